"""Samples in the store, and rules over them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from alerts.models import Alert, Rule, RuleGroup
from alerts.services import evaluate_due
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append

PULSE = "cpu_usage_percent"


def prepared(*, minutes_ago: int = 30) -> datetime:
    """Return a grid time in the past; the storage takes samples around it."""
    now = clock.now()
    for days in range(minutes_ago // 1440 + 2):
        partitions_prepare(now=now - timedelta(days=days))
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - minutes_ago * 60)


def feed(
    start: datetime, values: Sequence[float | None], *, name: str = "heat", step_seconds: int = 15, **labels: str
) -> None:
    """Store one value a step from the start on; None is a gap."""
    source, _ = Source.objects.get_or_create(name="test", defaults={"service": "test", "created_at": start})
    rows = [
        MetricRow(
            name=name, type="gauge", value=value, labels=labels or {"host": "a"},
            timestamp_ms=round(start.timestamp() * 1000) + place * step_seconds * 1000,
        )
        for place, value in enumerate(values)
        if value is not None
    ]  # fmt: skip
    for begin in range(0, len(rows), 5000):
        assert samples_append(rows[begin : begin + 5000], source=source, now=clock.now(), backfill=True) == []


def rule_of(start: datetime, kind: str = "promql", **fields: Any) -> Rule:
    """Return a saved rule, in one group with the others."""
    group, _ = RuleGroup.objects.get_or_create(name="g", defaults={"interval_seconds": 60, "due_at": start})
    values: dict[str, Any] = {
        "name": "Hot", "kind": kind, "severity": "medium", "for_seconds": 0, "cooldown_seconds": 0,
        "position": Rule.objects.count(), **fields,
    }  # fmt: skip
    return Rule.objects.create(group=group, **values)


def run(start: datetime, *minutes: float) -> None:
    """Evaluate what is due so many minutes after the start."""
    for minute in minutes:
        moment = start + timedelta(minutes=minute)
        evaluate_due(hand="celery", read_clock=lambda moment=moment: moment)


def state_of(name: str = "Hot", **labels: str) -> str:
    """Return how an alert stands; empty where there is none."""
    found = Alert.objects.filter(name=name, labels__contains=labels).first()
    return found.state if found else ""


def story(name: str = "Hot") -> list[tuple[str, str]]:
    """Return what is told of an alert."""
    return [(event.kind, event.reason) for event in Alert.objects.get(name=name).events.order_by("id")]
