"""Rules over stored samples become alerts that explain themselves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from alerts.models import Alert, Notification, Policy, Rule, RuleGroup, RuleState
from alerts.rules.validation import rule_problems
from alerts.services import ensure_defaults, evaluate_due
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(settings: Any) -> datetime:
    """A grid time in the recent past; the storage is ready for samples around it."""
    now = clock.now()
    partitions_prepare(now=now)
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 1800)


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def feed(start: datetime, values: list[float | None], *, name: str = "heat", step_seconds: int = 15) -> None:
    """Store one value every 15 s from the start."""
    source, _ = Source.objects.get_or_create(name="test", defaults={"service": "test", "created_at": start})
    rows = [
        MetricRow(
            name=name, type="gauge", value=value, labels={"host": "a"},
            timestamp_ms=round(start.timestamp() * 1000) + i * step_seconds * 1000,
        )
        for i, value in enumerate(values)
        if value is not None
    ]  # fmt: skip
    assert samples_append(rows, source=source, now=clock.now()) == []


def rule_over(start: datetime, **fields: Any) -> Rule:
    """Return a saved rule in a group of its own."""
    group = RuleGroup.objects.create(name="g", interval_seconds=60, due_at=start)
    values: dict[str, Any] = {
        "name": "Hot", "spec": {"expr": "heat > 80"}, "severity": "high", "for_seconds": 60, "cooldown_seconds": 0,
        "annotations": {"summary": "{{ $labels.host }} is at {{ $value }}"}, **fields,
    }  # fmt: skip
    return Rule.objects.create(group=group, **values)


def run(start: datetime, *minutes: float) -> None:
    for minute in minutes:
        evaluate_due(hand="celery", read_clock=at(start + timedelta(minutes=minute)))


def test_a_rule_waits_fires_with_evidence_and_recovers(start: datetime) -> None:
    feed(start, [50.0] * 8 + [91.0] * 16 + [50.0] * 16)
    rule_over(start)
    run(start, 1, 2.1)
    assert Alert.objects.get().state == "pending"
    run(start, 3.1)
    alert = Alert.objects.get()
    assert (alert.state, alert.value, alert.threshold, alert.severity) == ("firing", 91.0, 80.0, "high")
    assert alert.annotations["summary"] == "a is at 91"
    assert (alert.evidence["expression"], alert.evidence["operator"]) == ("heat", ">")
    assert alert.evidence["values"][-1] == 91.0
    assert len(alert.evidence["values"]) == len(alert.evidence["timestamps_ms"]) > 3
    run(start, 4.1, 5.1, 6.1, 7.1)
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_because) == ("resolved", "recovered")
    assert RuleState.objects.count() == 0
    assert [e.kind for e in alert.events.all()] == ["started", "resolved"]


def test_timers_survive_the_process_and_the_grid_is_kept(start: datetime) -> None:
    feed(start, [91.0] * 80)
    rule = rule_over(start, for_seconds=300)
    run(start, 1)
    RuleGroup.objects.update(lease_token="00000000-0000-0000-0000-000000000001", due_at=start + timedelta(minutes=1.2))
    run(start, 6.5)
    assert Alert.objects.get().state == "firing"
    group = RuleGroup.objects.get()
    assert (group.missed, group.last_evaluated_at) == (3, start + timedelta(minutes=6))
    assert rule.states.get().active_at == start + timedelta(minutes=1)


def test_lost_data_is_unknown_and_not_resolved(start: datetime) -> None:
    feed(start, [91.0] * 12)
    rule_over(start, for_seconds=0)
    run(start, 1, 2)
    assert Alert.objects.get().state == "firing"
    run(start, 15, 16)
    assert Alert.objects.get().state == "unknown"
    feed(start + timedelta(minutes=16), [92.0] * 8)
    run(start, 17)
    assert Alert.objects.get().state == "firing"


def test_a_rule_that_cannot_be_evaluated_raises_its_own_alert_and_stops_nobody(start: datetime) -> None:
    feed(start, [91.0] * 40)
    broken = rule_over(start, name="Broken", spec={"expr": "heat >"})
    Rule.objects.create(group=broken.group, position=1, name="Good", spec={"expr": "heat > 80"})
    run(start, 1, 2)
    assert Alert.objects.get(name="Good").state == "firing"
    assert Alert.objects.get(name="RuleNotEvaluated").labels["rule"] == "Broken"
    assert Rule.objects.get(name="Broken").health == "unknown"
    Rule.objects.filter(name="Broken").update(spec={"expr": "heat > 99"})
    run(start, 3)
    assert Alert.objects.get(name="RuleNotEvaluated").state == "resolved"


def test_a_threshold_rule_needs_three_samples(start: datetime) -> None:
    spec = {"metric_path": "heat", "condition": "greater_than", "threshold": 80}
    feed(start, [91.0] * 2 + [None] * 30 + [91.0] * 8)
    rule_over(start, kind="threshold", spec=spec, for_seconds=0, window_seconds=60)
    run(start, 1)
    assert Alert.objects.count() == 0
    run(start, 9)
    alert = Alert.objects.get()
    assert (alert.state, alert.threshold, alert.value) == ("firing", 80.0, 91.0)


def test_switching_a_rule_off_ends_its_alert(start: datetime) -> None:
    feed(start, [91.0] * 20)
    rule_over(start, for_seconds=0)
    run(start, 1)
    Rule.objects.update(enabled=False)
    run(start, 2)
    assert Alert.objects.get().resolved_because == "its rule was switched off"


def test_the_defaults_are_valid_created_once_and_never_overwritten() -> None:
    now = clock.now()
    assert ensure_defaults(now=now) >= 6
    for rule in Rule.objects.all():
        fields = {"kind": rule.kind, "spec": rule.spec, "labels": rule.labels, "annotations": rule.annotations}
        assert rule_problems({**fields, "name": rule.name, "severity": rule.severity}) == {}
        assert all(rule.annotations[key] for key in ("summary", "description", "runbook"))
    Rule.objects.filter(name="high_cpu_usage").update(severity="low")
    Rule.objects.filter(name="disk_space_low").delete()
    assert ensure_defaults(now=now) == 0
    assert Rule.objects.get(name="high_cpu_usage").severity == "low"
    assert not Rule.objects.filter(name="disk_space_low").exists()
    assert Policy.objects.get().is_default
    assert Notification.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"spec": {"expr": "sum("}}, "spec"),
        ({"spec": {"expr": ""}}, "spec"),
        ({"spec": {"expr": "up", "x": 1}}, "spec"),
        ({"spec": []}, "spec"),
        ({"kind": "magic"}, "kind"),
        ({"kind": "threshold", "spec": {"metric_path": "a.p42", "condition": "gt", "threshold": 1}}, "spec"),
        ({"kind": "threshold", "spec": {"metric_path": "a", "condition": "gt", "threshold": True}}, "spec"),
        ({"spec": {"expr": "up"}, "labels": {"a-b": "c"}}, "labels"),
        ({"spec": {"expr": "up"}, "labels": {"a": 1}}, "labels"),
        ({"spec": {"expr": "up"}, "severity": "bad"}, "severity"),
        ({"spec": {"expr": "up"}, "name": " "}, "name"),
        ({"spec": {"expr": "a" * 10_001}}, "spec"),
    ],
)
def test_a_bad_rule_names_the_field(fields: dict[str, Any], key: str) -> None:
    assert key in rule_problems(fields)
