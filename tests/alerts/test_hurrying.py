"""Rules of asked kinds are evaluated at once when something has been stored, and the grid does not notice."""

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from aivillage_console.lib import clock, outbox
from alerts.models import Alert, Rule, RuleGroup
from alerts.rules.kinds import ASKED_KINDS
from alerts.services import evaluate, evaluate_due, hurry
from alerts.services.hurrying import PACE
from tests.alerts.asked import Events, asked_rule, at, attack, grid_time, tick

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    rows = Events()
    monkeypatch.setitem(ASKED_KINDS._slots, "security_event", rows.kind())
    return rows


@pytest.fixture
def start() -> datetime:
    return grid_time()


def asked_at(events: Events, start: datetime) -> list[float]:
    """Return when the rule was asked, in seconds after the start."""
    return [(moment - start).total_seconds() for _, _, moment in events.asked]


def hurried(start: datetime, second: float) -> None:
    """Ask for a round as if it were so many seconds after the start."""
    moment = start + timedelta(seconds=second)
    RuleGroup.objects.update(hurry_asked_at=moment, due_at=moment)


def test_what_was_stored_a_moment_ago_is_an_alert_without_waiting_for_the_grid(events: Events) -> None:
    now = clock.now()
    rule = asked_rule(now, name="Now")
    RuleGroup.objects.update(interval_seconds=86_400)
    evaluate_due(hand="celery")
    events.put(attack())
    evaluate_due(hand="celery")
    assert Alert.objects.count() == 0
    hurry("security_event")
    evaluate_due(hand="celery")
    assert Alert.objects.get().state == "firing"
    group = RuleGroup.objects.get()
    assert (group.hurry_asked_at, group.lease_token, group.due_at > now) == (None, None, True)
    rule.refresh_from_db()
    assert rule.last_evaluated_at == group.hurry_done_at


def test_the_grid_neither_misses_nor_repeats_a_tick_for_it(start: datetime, events: Events) -> None:
    asked_rule(start)
    tick(start, 5)
    hurried(start, 7.5)
    tick(start, 7.5, 8, 10, 15)
    assert asked_at(events, start) == [5, 7.5, 10, 15]
    group = RuleGroup.objects.get()
    assert (group.missed, group.last_evaluated_at) == (0, start + timedelta(seconds=15))
    assert group.due_at == start + timedelta(seconds=20)


def test_a_round_that_comes_late_first_does_the_grid_time_that_has_come(start: datetime, events: Events) -> None:
    asked_rule(start)
    tick(start, 5)
    hurried(start, 9.9)
    tick(start, 10.4)
    assert asked_at(events, start) == [5, 10, 10.4]
    assert RuleGroup.objects.get().last_evaluated_at == start + timedelta(seconds=10)


def test_a_round_asked_for_exactly_on_the_grid_is_that_tick(start: datetime, events: Events) -> None:
    asked_rule(start)
    hurried(start, 5)
    tick(start, 5)
    assert asked_at(events, start) == [5]
    assert RuleGroup.objects.get().hurry_asked_at is None


def test_only_rules_of_asked_kinds_are_evaluated_off_the_grid(start: datetime, events: Events) -> None:
    asked_rule(start)
    other = Rule.objects.create(group=RuleGroup.objects.get(), name="Samples", spec={"expr": "vector(1) > 0"})
    tick(start, 5)
    hurried(start, 7)
    tick(start, 7)
    other.refresh_from_db()
    assert other.last_evaluated_at == start + timedelta(seconds=5)


def test_asked_for_while_the_group_is_leased_it_comes_soon_after(start: datetime, events: Events) -> None:
    asked_rule(start)
    tick(start, 5)
    claimed = outbox.claim(RuleGroup.objects.all(), now=start + timedelta(seconds=10))[0]
    leased_until = claimed.due_at
    hurry("security_event")
    group = RuleGroup.objects.get()
    assert (group.due_at, group.lease_token) == (leased_until, claimed.lease_token)
    evaluate._evaluate_group(claimed, start + timedelta(seconds=10), ends_at=float("inf"))
    group.refresh_from_db()
    assert group.hurry_asked_at is not None
    assert (group.due_at, group.lease_token) == (start + timedelta(seconds=10) + PACE, None)
    tick(start, 11.5)
    assert asked_at(events, start) == [5, 10, 11.5]
    assert RuleGroup.objects.get().due_at == start + timedelta(seconds=15)


def test_however_often_it_is_asked_for_rounds_keep_their_distance(events: Events) -> None:
    asked_rule(clock.now())
    RuleGroup.objects.update(interval_seconds=86_400)
    evaluate_due(hand="celery")
    for _ in range(5):
        hurry("security_event")
        evaluate_due(hand="celery")
    assert len(events.asked) == 2
    group = RuleGroup.objects.get()
    assert group.hurry_done_at is not None
    assert (group.hurry_asked_at is not None, group.due_at) == (True, group.hurry_done_at + PACE)
    evaluate_due(hand="celery", read_clock=at(group.due_at))
    assert len(events.asked) == 3


def test_a_transaction_that_is_rolled_back_asks_for_nothing(start: datetime, events: Events) -> None:
    asked_rule(start)
    with transaction.atomic():
        hurry("security_event")
        transaction.set_rollback(True)
    assert RuleGroup.objects.get().hurry_asked_at is None
    with transaction.atomic():
        hurry("security_event")
        assert RuleGroup.objects.get().hurry_asked_at is None
    assert RuleGroup.objects.get().hurry_asked_at is not None


def test_groups_without_such_rules_are_left_alone(start: datetime, events: Events) -> None:
    asked_rule(start, enabled=False)
    hurry("security_event")
    hurry("phase_failed")
    assert RuleGroup.objects.get().hurry_asked_at is None


def test_a_failure_off_the_grid_is_not_counted_as_an_interval(start: datetime, events: Events) -> None:
    asked_rule(start)
    events.put(attack())
    tick(start, 5)
    events.error = ValueError("no")
    hurried(start, 7)
    tick(start, 7)
    rule = Rule.objects.get()
    assert (rule.failed_evaluations, rule.health, Alert.objects.get().state) == (0, "ok", "firing")


def test_missed_ticks_are_counted_once_by_a_hand_that_runs_out_of_time(start: datetime, events: Events) -> None:
    asked_rule(start)
    tick(start, 5)
    claimed = outbox.claim(RuleGroup.objects.all(), now=start + timedelta(seconds=31))[0]
    evaluate._evaluate_group(claimed, start + timedelta(seconds=31), ends_at=float("-inf"))
    assert RuleGroup.objects.get().missed == 0
    tick(start, 31)
    group = RuleGroup.objects.get()
    assert (group.missed, group.last_evaluated_at) == (3, start + timedelta(seconds=30))
    assert asked_at(events, start) == [5, 25, 30]
