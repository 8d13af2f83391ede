"""Levels, recovery thresholds, lost data and vanished series, from the sample to the alert."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert, Rule, RuleState
from alerts.services.held import NO_DATA
from alerts.services.labelsets import TAKEN_FOR_OK
from alerts.services.measured import STOPPED
from metrics.selectors import instant_query
from tests.alerts.sampled import PULSE, feed, prepared, rule_of, run, state_of, story

pytestmark = pytest.mark.django_db(transaction=True)
LEVELS = [{"severity": "critical", "threshold": 95, "recovery_threshold": 90}, {"severity": "high", "threshold": 85}]


@pytest.fixture
def start() -> datetime:
    return prepared()


def by_minute(*values: float | None) -> list[float | None]:
    """Return four samples a minute."""
    return [value for value in values for _ in range(4)]


def test_one_alert_rises_with_its_value_and_says_when_it_falls(start: datetime) -> None:
    feed(start, by_minute(50, 82, 87, 96, 92, 80, 97, 96, 60))
    rule_of(start, spec={"expr": "heat > 80", "levels": LEVELS, "recovery_threshold": 70})
    run(start, 0)
    assert Alert.objects.count() == 0
    run(start, 1, 2, 3)
    alert = Alert.objects.get()
    assert (alert.state, alert.severity, alert.threshold, alert.episode) == ("firing", "critical", 95.0, 1)
    assert "severity" not in alert.labels
    assert alert.evidence["levels"][0] == {"severity": "critical", "threshold": 95.0, "recovery_threshold": 90.0}
    run(start, 4)
    assert RuleState.objects.get().severity == "critical"
    run(start, 5)
    assert (RuleState.objects.get().severity, RuleState.objects.get().last_value) == ("medium", 80)
    run(start, 6, 7, 8)
    alert.refresh_from_db()
    assert (alert.state, alert.severity, alert.episode) == ("resolved", "critical", 1)
    assert [kind for kind, _ in story()] == ["started", "worsened", "worsened", "eased", "rose", "resolved"]
    assert story()[3][1] == ("from critical to medium, the value is 80; the alert stays critical, the worst it was")


def test_it_recovers_only_beyond_its_recovery_threshold_and_only_while_it_fires(start: datetime) -> None:
    feed(start, by_minute(85, 91, 85, 81, 80, 79, 85))
    rule_of(
        start, "threshold", window_seconds=60,
        spec={"metric_path": "heat.last", "condition": "gt", "threshold": 90, "recovery_threshold": 80},
    )  # fmt: skip
    seen = []
    for minute in range(7):
        run(start, minute)
        seen.append(state_of())
    assert seen == ["", "firing", "firing", "firing", "firing", "resolved", "resolved"]
    assert Alert.objects.get().labels["severity"] == "medium"


def test_with_for_the_recovery_threshold_holds_nothing_that_has_not_fired(start: datetime) -> None:
    feed(start, by_minute(91, 85, 85, 91, 91, 91, 85))
    rule_of(start, for_seconds=120, spec={"expr": "heat > 90", "recovery_threshold": 80})
    run(start, 0)
    assert state_of() == "pending"
    run(start, 1)
    assert state_of() == ""
    run(start, 3, 4, 5, 6)
    assert state_of() == "firing"


@pytest.mark.parametrize(
    ("no_data", "after", "reason"),
    [
        ("unknown", "unknown", NO_DATA),
        ("ok", "resolved", TAKEN_FOR_OK),
        ("keep", "firing", ""),
        ("alert", "firing", ""),
    ],
)
def test_what_lost_data_means_is_the_rules_to_say(start: datetime, no_data: str, after: str, reason: str) -> None:
    feed(start, [91.0] * 8)
    rule_of(start, spec={"expr": "heat > 90", "no_data": no_data})
    run(start, 1, 9, 10)
    assert state_of() == after
    assert story()[-1][1] == reason or not reason
    assert (state_of("RuleWithoutData") == "firing") is (no_data == "unknown")
    feed(start + timedelta(minutes=10), [50.0] * 8)
    run(start, 11)
    assert Alert.objects.get(name="Hot").resolved_because == (TAKEN_FOR_OK if no_data == "ok" else "recovered")


def test_a_pending_label_set_is_kept_too_where_the_rule_says_so(start: datetime) -> None:
    feed(start, [91.0] * 8)
    rule_of(start, for_seconds=3600, spec={"expr": "heat > 90", "no_data": "keep"})
    run(start, 1, 10)
    assert state_of() == "pending"


def test_what_is_kept_survives_a_failed_query_and_is_given_up_in_the_end(start: datetime, settings: Any) -> None:
    feed(start, [91.0] * 8)
    rule = rule_of(start, spec={"expr": "heat > 90", "no_data": "keep"})
    run(start, 1)
    Rule.objects.filter(pk=rule.pk).update(spec={"expr": "nonsense(", "no_data": "keep"})
    run(start, 9)
    assert state_of() == "unknown"
    Rule.objects.filter(pk=rule.pk).update(spec={"expr": "heat > 90", "no_data": "keep"})
    run(start, 10)
    assert state_of() == "firing"
    settings.CONFIG = replace(settings.CONFIG, unknown_expires_seconds=600)
    run(start, 12)
    assert Alert.objects.get(name="Hot").resolved_because == "expired"


def test_a_series_that_never_fired_and_stopped_is_an_alert_where_the_rule_says_so(start: datetime) -> None:
    feed(start, [50.0] * 8, host="a")
    feed(start, [50.0] * 100, host="b")
    rule_of(start, spec={"expr": "heat > 90", "no_data": "alert"}, annotations={"summary": "{{ $value }}"})
    run(start, 1, 5)
    assert Alert.objects.count() == 0
    run(start, 14)
    alert = Alert.objects.get()
    assert (alert.state, alert.labels["host"], alert.annotations["summary"]) == ("firing", "a", "50")
    assert story()[0] == ("started", STOPPED)
    feed(start + timedelta(minutes=14), [50.0] * 8, host="a")
    run(start, 15)
    assert state_of() == "resolved"


ABSENCE = {"selector": 'up{job="node"}', "missing_seconds": 120, "look_back_seconds": 900}


def test_a_vanished_target_is_an_alert_with_its_labels_until_it_is_back(start: datetime) -> None:
    for host in ("a", "b"):
        feed(start, [1.0] * (8 if host == "a" else 160), name="up", job="node", instance=host)
    feed(start, [1.0] * 160, name=PULSE)
    rule_of(start, "absence", spec=ABSENCE)
    run(start, 2, 3)
    assert Alert.objects.count() == 0
    run(start, 4)
    alert = Alert.objects.get()
    assert (alert.state, alert.labels["instance"], alert.labels["job"]) == ("firing", "a", "node")
    run(start, 25)
    assert state_of() == "firing"
    feed(start + timedelta(minutes=25), [1.0] * 8, name="up", job="node", instance="a")
    run(start, 26)
    assert Alert.objects.get().resolved_because == "its samples came again"
    assert state_of("RuleWithoutData") == ""


def test_when_nothing_matches_at_all_there_is_one_alert(start: datetime) -> None:
    feed(start, [1.0] * 160, name=PULSE)
    rule_of(start, "absence", spec=ABSENCE)
    run(start, 16)
    alert = Alert.objects.get()
    assert (alert.state, alert.labels) == ("firing", {"job": "node", "severity": "medium"})
    feed(start + timedelta(minutes=16), [1.0] * 8, name="up", job="node", instance="a")
    run(start, 17)
    assert state_of() == "resolved"


def test_after_an_outage_of_the_store_silence_is_counted_from_its_end(start: datetime) -> None:
    feed(start, by_minute(*[1.0] * 5), name="up", job="node", instance="a")
    feed(start, by_minute(*[1.0] * 5, *[None] * 5, *[1.0] * 10), name=PULSE)
    feed(start, by_minute(*[1.0] * 5, *[None] * 5, *[1.0] * 10), name="up", job="node", instance="b")
    rule_of(start, "absence", spec=ABSENCE)
    run(start, 4, 8, 10, 11)
    assert Alert.objects.count() == 0
    run(start, 13)
    assert (state_of(instance="a"), state_of(instance="b")) == ("firing", "")


def test_a_selector_of_many_metrics_tells_label_sets_apart(start: datetime) -> None:
    for name in ("up", "load"):
        feed(start, [1.0] * 8, name=name, job="node", instance="a")
        feed(start, [1.0] * 60, name=name, job="node", instance="b")
    rule_of(start, "absence", spec={**ABSENCE, "selector": '{job="node"}', "absent": False})
    run(start, 3, 5)
    assert Alert.objects.get().labels["instance"] == "a"


def test_the_alert_series_have_the_severity_a_label_set_stands_at(start: datetime) -> None:
    feed(start, by_minute(96, 96, 96))
    rule_of(start, spec={"expr": "heat > 80", "levels": LEVELS})
    run(start, 1)
    found = instant_query("ALERTS", at_ms=round((start.timestamp() + 60) * 1000))
    assert [labels["severity"] for labels in found.labels] == ["critical"]
