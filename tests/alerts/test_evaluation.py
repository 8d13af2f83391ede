"""Rules over stored samples become alerts that explain themselves."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from aivillage_console.accounts.models import Source
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, outbox
from alerts.models import Alert, Notification, Policy, Rule, RuleGroup, RuleState
from alerts.rules.validation import rule_problems
from alerts.services import alert_resolve, ensure_defaults, evaluate_due
from metrics.ingest.rows import MetricRow
from metrics.promql.questions import selector_texts
from metrics.services import partitions_prepare, samples_append

ALICE = Actor(kind="user", id="1", label="alice")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(settings: Any) -> datetime:
    """Return a grid time in the recent past; the storage is ready for samples around it."""
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


def until(true: Callable[[], bool]) -> bool:
    """Wait for something; return whether it came."""
    ends_at = time.monotonic() + 20
    while not true() and time.monotonic() < ends_at:
        time.sleep(0.05)
    return true()


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
    assert state_of("Hot") == "firing"
    run(start, 15, 16)
    assert state_of("Hot") == "unknown"
    assert state_of("RuleWithoutData") == "firing"
    feed(start + timedelta(minutes=16), [92.0] * 8)
    run(start, 17)
    assert (state_of("Hot"), state_of("RuleWithoutData")) == ("firing", "resolved")


def state_of(name: str) -> str:
    return Alert.objects.get(name=name).state


def test_data_that_never_comes_back_lets_the_alert_expire(start: datetime, settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, unknown_expires_seconds=1200)
    feed(start, [91.0] * 12)
    rule_over(start, for_seconds=0)
    run(start, 1, 2, 15)
    assert state_of("Hot") == "unknown"
    run(start, 29)
    alert = Alert.objects.get(name="Hot")
    assert (alert.state, alert.resolved_because, RuleState.objects.count()) == ("resolved", "expired", 0)


def test_a_query_without_a_left_side_tells_vanished_data_from_a_condition_that_is_over(start: datetime) -> None:
    feed(start, [91.0] * 16 + [50.0] * 8)
    rule_over(start, for_seconds=0, spec={"expr": "heat > 80 and heat < 200"})
    run(start, 1)
    assert state_of("Hot") == "firing"
    run(start, 5.5)
    assert Alert.objects.get(name="Hot").resolved_because == "no longer true"
    feed(start + timedelta(minutes=6), [91.0] * 4)
    run(start, 6.5)
    assert state_of("Hot") == "firing"
    run(start, 15)
    assert state_of("Hot") == "unknown"


def test_resolved_by_hand_it_stays_silent_until_the_condition_has_ended_once(start: datetime) -> None:
    feed(start, [91.0] * 16 + [50.0] * 4 + [91.0] * 8)
    rule_over(start, for_seconds=0)
    run(start, 1)
    alert = Alert.objects.get()
    alert_resolve(alert_id=alert.pk, version=alert.version, actor=ALICE, now=start + timedelta(minutes=1))
    run(start, 2, 3)
    alert.refresh_from_db()
    assert (alert.state, alert.quiet, alert.decisions[-1]["verdict"]) == ("resolved", True, "quiet")
    run(start, 4.5, 5.5)
    alert.refresh_from_db()
    assert (alert.state, alert.quiet, alert.repeat_no) == ("firing", False, 1)


def test_a_group_out_of_time_is_taken_up_where_it_stopped(start: datetime) -> None:
    feed(start, [91.0] * 8)
    first = rule_over(start, for_seconds=0)
    Rule.objects.create(group=first.group, position=1, name="Second", spec={"expr": "heat > 80"}, cooldown_seconds=0)
    tick = start + timedelta(minutes=1)
    Rule.objects.filter(pk=first.pk).update(last_evaluated_at=tick)
    run(start, 1)
    assert [alert.name for alert in Alert.objects.all()] == ["Second"]
    assert RuleGroup.objects.get().last_evaluated_at == tick


def test_a_lease_is_renewed_while_a_slow_rule_lasts(start: datetime) -> None:
    group = rule_over(start).group
    claimed = outbox.claim(RuleGroup.objects.all(), now=start, lease_seconds=0.3)[0]
    with outbox.kept(claimed, read_clock=at(start + timedelta(minutes=9)), lease_seconds=0.3):
        assert until(lambda: RuleGroup.objects.get(pk=group.pk).due_at > start + timedelta(minutes=8))
    assert RuleGroup.objects.get(pk=group.pk).lease_token == claimed.lease_token


@pytest.mark.parametrize(
    ("query", "selectors"),
    [
        ("vector(1) > 0", []),
        ('sum by (a) (rate(x{b="c"}[5m] offset 1m)) / on() y > 3', ['x{b="c"}', "y"]),
        ("absent(z) or -w", ["w", "z"]),
        ("max_over_time(rate(x[1m])[5m:1m])", ["x"]),
    ],
)
def test_the_selectors_of_a_query_are_found(query: str, selectors: list[str]) -> None:
    assert selector_texts(query) == selectors


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
