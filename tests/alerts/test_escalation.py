"""Steps follow the clock, and nothing is created once somebody has taken the alert."""

import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import Alert, AlertEvent, Escalation, Notification
from alerts.services import (
    StaleVersion,
    alert_acknowledge,
    alert_note,
    alert_reopen,
    alert_resolve,
    alert_unacknowledge,
    audit_and_repair,
    dispatch_due,
    escalate_due,
)
from tests.alerts.conftest import Letterbox, channel_at, clear, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")


def at(moment: datetime):  # type: ignore[no-untyped-def]
    return lambda: moment


def after(seconds: float, start: datetime):  # type: ignore[no-untyped-def]
    return at(start + timedelta(seconds=seconds))


def test_steps_follow_at_their_times_and_never_twice(letterbox: Letterbox) -> None:
    channel = channel_at(letterbox.url)
    policy_with((0, [channel]), (60, [channel]), (120, [channel]))
    now = clock.now()
    alert = fire(now=now)
    for seconds in (1, 61, 62, 121, 122, 1000):
        escalate_due(hand="celery", read_clock=after(seconds, now))
        dispatch_due(hand="celery", read_clock=after(seconds, now))
    assert [(m["kind"], m["escalation_step"]) for m in letterbox.got] == [("fire", 1), ("repeat", 2), ("repeat", 3)]
    assert Escalation.objects.get().state == "done"
    assert alert.events.filter(kind="escalated").count() == 2


def test_a_dead_process_leaves_its_step_to_the_next(letterbox: Letterbox) -> None:
    channel = channel_at(letterbox.url)
    policy_with((0, [channel]), (60, [channel]))
    now = clock.now()
    fire(now=now)
    Escalation.objects.update(lease_token="00000000-0000-0000-0000-000000000001", due_at=now + timedelta(seconds=70))
    escalate_due(hand="celery", read_clock=after(65, now))
    assert Notification.objects.count() == 1
    escalate_due(hand="sweeper", read_clock=after(71, now))
    assert Notification.objects.count() == 2


def test_acknowledging_stops_the_steps(letterbox: Letterbox) -> None:
    channel = channel_at(letterbox.url)
    policy_with((0, [channel]), (60, [channel]))
    now = clock.now()
    alert = fire(now=now)
    alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, reason="mine", now=now)
    escalate_due(hand="celery", read_clock=after(61, now))
    assert Notification.objects.count() == 1
    assert Escalation.objects.get().stopped_because == "acknowledged by alice"
    event = AlertEvent.objects.filter(kind="acknowledged").get()
    assert (event.actor, event.reason) == ("alice", "mine")


def test_a_stale_action_is_refused_with_the_fresh_alert(letterbox: Letterbox) -> None:
    alert = fire()
    alert_note(alert_id=alert.pk, version=alert.version, actor=ALICE, reason="hm", now=clock.now())
    with pytest.raises(StaleVersion) as caught:
        alert_resolve(alert_id=alert.pk, version=alert.version, actor=ALICE, now=clock.now())
    assert caught.value.alert.version == alert.version + 1
    assert Alert.objects.get().state == "firing"


def test_no_page_is_created_after_the_acknowledgement_has_committed(letterbox: Letterbox) -> None:
    channel = channel_at(letterbox.url)
    policy_with((0, []), (1, [channel]))
    now = clock.now()
    for number in range(20):
        alert = fire(f"Hot{number}", now=now)

        def step() -> None:
            escalate_due(hand="celery", read_clock=after(2, now), deadline_seconds=2)
            connection.close()

        racer = threading.Thread(target=step)
        racer.start()
        pages = _acknowledge(alert.pk)
        racer.join()
        assert Notification.objects.filter(alert_id=alert.pk).count() == pages


def _acknowledge(alert_id: int) -> int:
    """Acknowledge and return how many pages there were as it committed: counted under the alert's lock."""
    while True:
        version = Alert.objects.get(pk=alert_id).version
        try:
            with transaction.atomic():
                alert_acknowledge(alert_id=alert_id, version=version, actor=ALICE, now=clock.now())
                return Notification.objects.filter(alert_id=alert_id).count()
        except StaleVersion:
            continue


def test_a_second_fire_within_the_hour_reopens_and_tells_again(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    fire(now=now)
    dispatch_due(hand="celery", read_clock=after(1, now))
    clear(now=now + timedelta(seconds=10))
    dispatch_due(hand="celery", read_clock=after(11, now))
    alert = fire(now=now + timedelta(seconds=20))
    dispatch_due(hand="celery", read_clock=after(21, now))
    assert (alert.episode, alert.repeat_no) == (1, 1)
    assert letterbox.kinds == ["fire", "resolve", "fire"]
    clear(now=now + timedelta(seconds=30))
    later = fire(now=now + timedelta(seconds=4000))
    assert (later.episode, later.repeat_no) == (2, 0)


def test_a_cooldown_puts_the_page_off_and_does_not_drop_it(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    fire(now=now, cooldown_seconds=600)
    dispatch_due(hand="celery", read_clock=after(1, now))
    clear(now=now + timedelta(seconds=10), cooldown_seconds=600)
    alert = fire(now=now + timedelta(seconds=20), cooldown_seconds=600)
    assert "cooldown" in str(alert.decisions)
    for seconds in (30, 599, 601):
        escalate_due(hand="celery", read_clock=after(seconds, now))
        dispatch_due(hand="celery", read_clock=after(seconds, now))
    assert letterbox.kinds == ["fire", "fire"]
    assert Notification.objects.get(kind="resolve").cancelled_because == "it fired again before this was sent"


def test_giving_an_alert_back_or_reopening_it_begins_its_policy_again(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    alert = fire(now=now)
    dispatch_due(hand="celery", read_clock=after(1, now))
    alert = alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=now)
    alert = alert_unacknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=now + timedelta(seconds=2))
    work(now, 3)
    alert.refresh_from_db()
    alert = alert_resolve(alert_id=alert.pk, version=alert.version, actor=ALICE, now=now + timedelta(seconds=4))
    work(now, 5)
    alert = alert_reopen(alert_id=alert.pk, version=alert.version, actor=ALICE, now=now + timedelta(seconds=6))
    work(now, 7)
    assert letterbox.kinds == ["fire", "fire", "resolve", "fire"]
    assert (alert.state, alert.quiet) == ("firing", False)


def work(start: datetime, seconds: float) -> None:
    escalate_due(hand="celery", read_clock=after(seconds, start))
    dispatch_due(hand="celery", read_clock=after(seconds, start))


def test_an_alert_taken_before_it_was_sent_owes_no_end_and_one_taken_after_does(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    for name, sent in (("Unsent", False), ("Sent", True)):
        alert = fire(name, now=now)
        if sent:
            dispatch_due(hand="celery", read_clock=after(1, now))
        alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=now)
        clear(name, now=now + timedelta(seconds=2))
    dispatch_due(hand="celery", read_clock=after(3, now))
    assert [(message["alert_name"], message["kind"]) for message in letterbox.got] == [
        ("Sent", "fire"),
        ("Sent", "resolve"),
    ]


def test_without_a_policy_nobody_is_told_and_the_reason_is_kept() -> None:
    alert = fire()
    assert "nobody is told" in str(alert.decisions)
    assert Notification.objects.count() == 0


def test_the_default_policy_tells_every_channel_whose_filters_fit(letterbox: Letterbox) -> None:
    channel_at(letterbox.url, "all")
    channel_at(letterbox.url, "critical only", filters=[{"severity": "critical"}])
    policy_with((0, []), is_default=True)
    fire()
    assert Notification.objects.get().channel_name == "all"


def test_the_auditor_repairs_a_resolve_that_was_lost(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]), triggers=[{"alertname": "Hot"}])
    now = clock.now()
    fire(now=now)
    dispatch_due(hand="celery", read_clock=at(now))
    clear(now=now)
    Notification.objects.filter(kind="resolve").delete()
    found = audit_and_repair(now=now + timedelta(seconds=60))
    assert found["resolves_missing"] == 1
    assert Notification.objects.filter(kind="resolve").count() == 1
    assert Alert.objects.get(name="AuditorFinding").state == "firing"
    assert audit_and_repair(now=now + timedelta(seconds=90))["resolves_missing"] == 0


def test_the_auditor_sends_an_urgent_message_through_the_fallback(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]), triggers=[{"alertname": "Hot"}])
    channel_at(letterbox.url, "spare", is_fallback=True)
    now = clock.now()
    fire(now=now, severity="critical")
    Notification.objects.update(due_at=now + timedelta(seconds=300))
    for seconds in (61, 91):
        audit_and_repair(now=now + timedelta(seconds=seconds))
    assert Notification.objects.filter(channel__name="spare").count() == 1


def test_events_cannot_be_changed_or_deleted() -> None:
    fire()
    with pytest.raises(Exception, match="append-only"):
        AlertEvent.objects.update(reason="x")
    with pytest.raises(Exception, match="append-only"):
        AlertEvent.objects.all().delete()
