"""A backtest of a rule about samples finds what the live evaluation did, by the same functions."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert, AlertEvent, Rule
from alerts.services.backtest import backtest
from tests.alerts.sampled import PULSE, feed, prepared, rule_of, run

pytestmark = pytest.mark.django_db(transaction=True)
MINUTES = 14


@pytest.fixture
def start() -> datetime:
    """Return a time with samples of two hosts after it, one of which stops, and an hour of quiet before it."""
    start = prepared(minutes_ago=90)
    feed(start, [50.0] * 240)
    start += timedelta(minutes=60)
    wave = [value for value in (50, 85, 97, 91, 79, 96, 99, 99, 60, 50, 50, 50, 50, 50, 50, 50) for _ in range(4)]
    feed(start, [float(value) for value in wave])
    feed(start, [91.0] * 10, host="b")
    feed(start - timedelta(minutes=10), [1.0] * 160, name=PULSE)
    return start


def lived(rule: Rule) -> list[tuple[str, float, float | None]]:
    """Return the firings of the live rule: host, begin and end."""
    found = []
    for alert in Alert.objects.filter(rule=rule, name=rule.name):
        begun: float | None = None
        for kind, at in AlertEvent.objects.filter(alert=alert).order_by("id").values_list("kind", "at"):
            if kind in ("started", "reopened"):
                begun = at.timestamp()
            elif kind == "resolved" and begun is not None:
                found.append((alert.labels.get("host", ""), begun, at.timestamp()))
                begun = None
        if begun is not None:
            found.append((alert.labels.get("host", ""), begun, None))
    return sorted(found)


KINDS: dict[str, dict[str, Any]] = {
    "levels": {
        "spec": {"expr": "heat > 80", "recovery_threshold": 75, "levels": [{"severity": "critical", "threshold": 95}]}
    },
    "recovery": {"for_seconds": 60, "spec": {"expr": "heat > 90", "recovery_threshold": 80}},
    "no data is an alert": {"spec": {"expr": "heat > 95", "no_data": "alert"}},
    "no data is an end": {"spec": {"expr": "heat > 90", "no_data": "ok"}},
    "absence": {
        "kind": "absence", "spec": {"selector": "heat", "missing_seconds": 120, "look_back_seconds": 600},
    },
    "dynamic": {
        "kind": "dynamic",
        "spec": {
            "expr": "heat", "baseline_seconds": 3600, "least_history_seconds": 3600, "recalculate_seconds": 86_400,
            "factor": 1.5,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("fields", KINDS.values(), ids=list(KINDS))
def test_what_is_replayed_is_what_was_lived(start: datetime, fields: dict[str, Any]) -> None:
    rule = rule_of(start, fields.get("kind", "promql"), **{k: v for k, v in fields.items() if k != "kind"})
    run(start, *range(MINUTES + 1))
    found = backtest(rule, start_at=start, end_at=start + timedelta(minutes=MINUTES), quieting="none")
    # What the rule says of itself, such as that data stopped coming, is another alert.
    own = [each for each in found.firings if each.name == rule.name]
    replayed = sorted((each.labels.get("host", ""), each.started_at, each.resolved_at) for each in own)
    assert (found.errors, replayed) == ((), lived(rule))
    assert replayed


def test_a_composite_rule_is_replayed_by_the_story_of_the_rules_it_joins(start: datetime) -> None:
    rule_of(start, name="Warm", spec={"expr": "heat > 80"})
    rule_of(start, name="Very hot", spec={"expr": "heat > 95"})
    both = rule_of(start, "composite", name="Both", spec={"expression": "Warm and not 'Very hot'", "on": ["host"]})
    run(start, *range(MINUTES + 1))
    found = backtest(both, start_at=start, end_at=start + timedelta(minutes=MINUTES), quieting="none")
    replayed = sorted((each.labels.get("host", ""), each.started_at, each.resolved_at) for each in found.firings)
    assert replayed == lived(both)
    assert len(replayed) > 2
