"""What is owed reaches the receiver: signed, once, retried, and never after it stopped being owed."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from standardwebhooks.webhooks import Webhook

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import Alert, Channel, DeliveryAttempt, Notification
from alerts.services import alert_acknowledge, channel_test, claims, dispatch_due, notification_replay
from tests.alerts.conftest import SECRET, Letterbox, channel_at, clear, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")


def at(moment: datetime):  # type: ignore[no-untyped-def]
    return lambda: moment


def only() -> Notification:
    return Notification.objects.get()


def test_a_fire_reaches_the_receiver_signed(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    alert = fire(value=91.0, threshold=80.0)
    assert dispatch_due(hand="celery") is False
    message = letterbox.got[0]
    assert (message["alert_name"], message["metric_value"], message["threshold"]) == ("Hot", 91.0, 80.0)
    assert (message["severity"], message["labels"], message["escalation_step"]) == ("high", {"host": "a"}, 1)
    assert message["alert_id"] == alert.pk
    Webhook(SECRET).verify(letterbox.bodies[0].decode(), letterbox.headers[0])
    row = only()
    assert (row.state, row.attempts, row.lease_token) == ("done", 1, None)
    assert row.tries.get().status == 200


def test_a_second_observation_owes_nothing(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()
    fire()
    dispatch_due(hand="celery")
    assert letterbox.kinds == ["fire"]


def test_the_end_is_told_after_the_beginning(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()
    dispatch_due(hand="celery")
    alert = clear()
    dispatch_due(hand="celery")
    assert letterbox.kinds == ["fire", "resolve"]
    assert alert.resolved_because == "recovered"


def test_an_alert_that_ends_before_it_was_told_is_not_told(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()
    clear()
    dispatch_due(hand="celery")
    assert letterbox.got == []
    assert "resolved" in only().cancelled_because


def test_an_acknowledged_alert_is_not_told(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    alert = fire()
    alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=clock.now())
    dispatch_due(hand="celery")
    assert letterbox.got == []
    assert only().cancelled_because == "acknowledged by alice before this was sent"


def test_an_error_of_the_receiver_is_tried_again_under_the_same_key(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    letterbox.answers = [(500, {}), (200, {})]
    fire()
    dispatch_due(hand="celery")
    row = only()
    assert (row.state, row.lease_token) == ("due", None)
    assert row.due_at > clock.now()
    dispatch_due(hand="celery", read_clock=at(row.due_at + timedelta(seconds=1)))
    assert only().state == "done"
    assert letterbox.headers[0]["webhook-id"] == letterbox.headers[1]["webhook-id"] == row.key


def test_retry_after_is_obeyed(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    letterbox.answers = [(429, {"retry-after": "120"})]
    fire()
    now = clock.now()
    dispatch_due(hand="celery", read_clock=at(now))
    assert timedelta(seconds=119) < only().due_at - now < timedelta(seconds=130)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_no_for_good_fails_raises_an_alert_and_goes_through_the_fallback(letterbox: Letterbox, status: int) -> None:
    policy_with((0, [channel_at(letterbox.url)]), triggers=[{"alertname": "Hot"}])
    channel_at(letterbox.url, "spare", is_fallback=True)
    letterbox.answers = [(status, {"location": letterbox.url}), (200, {})]
    fire()
    dispatch_due(hand="celery")
    assert Notification.objects.get(channel__name="hook").state == "failed"
    assert Notification.objects.get(channel__name="spare").state == "done"
    assert Alert.objects.get(name="NotificationFailing").labels["channel"] == "hook"
    assert len(letterbox.got) == 2


def test_a_receiver_that_is_gone_switches_its_channel_off(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    letterbox.answers = [(410, {})]
    fire()
    dispatch_due(hand="celery")
    channel = Channel.objects.get()
    assert (channel.enabled, channel.disabled_because) == (False, "the receiver answered 410 Gone")


def test_a_message_past_its_deadline_has_failed(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]), triggers=[{"alertname": "Hot"}])
    letterbox.answers = [(500, {})]
    fire()
    late = only().deadline_at - timedelta(seconds=1)
    Notification.objects.update(due_at=late, attempts=20)
    dispatch_due(hand="celery", read_clock=at(late))
    assert only().state == "failed"
    assert only().last_error.startswith("the deadline passed")


def test_five_failures_in_a_row_open_the_breaker_and_one_success_closes_it(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    letterbox.answers = [(500, {})]
    now = clock.now()
    for number in range(6):
        fire(f"Hot{number}", now=now)
    dispatch_due(hand="celery", read_clock=at(now))
    channel = Channel.objects.get()
    assert channel.breaker_state == "open"
    assert DeliveryAttempt.objects.count() <= 8
    tried = len(letterbox.got)
    dispatch_due(hand="celery", read_clock=at(now + timedelta(seconds=5)))
    assert len(letterbox.got) == tried
    letterbox.answers = [(200, {})]
    dispatch_due(hand="celery", read_clock=at(now + timedelta(minutes=2)))
    assert Channel.objects.get().breaker_state == "closed"
    assert set(Notification.objects.values_list("state", flat=True)) == {"done"}


def test_a_rate_limited_channel_sends_no_more_than_its_tokens(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url, rate_per_minute=2)]))
    now = clock.now()
    for number in range(5):
        fire(f"Hot{number}", now=now)
    dispatch_due(hand="celery", read_clock=at(now))
    assert len(letterbox.got) == 2
    dispatch_due(hand="celery", read_clock=at(now + timedelta(seconds=31)))
    assert len(letterbox.got) == 3


def test_a_process_that_died_after_its_claim_leaves_the_message_to_the_next(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    fire(now=now)
    assert len(claims.claim(now, 16)) == 1
    dispatch_due(hand="celery", read_clock=at(now + timedelta(seconds=9)))
    assert letterbox.got == []
    dispatch_due(hand="celery", read_clock=at(now + timedelta(seconds=10)))
    assert (only().state, only().attempts, letterbox.kinds) == ("done", 2, ["fire"])


def test_whoever_slept_through_the_lease_changes_nothing(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()

    def steal() -> None:
        Notification.objects.update(lease_token="00000000-0000-0000-0000-000000000001")
        connection.close()

    letterbox.before_answer = steal
    dispatch_due(hand="celery")
    assert only().state == "due"
    letterbox.before_answer = lambda: None
    dispatch_due(hand="celery", read_clock=at(only().due_at + timedelta(seconds=1)))
    assert (only().state, len(letterbox.got)) == ("done", 2)


def test_a_storm_is_folded_into_one_summary(letterbox: Letterbox, settings) -> None:  # type: ignore[no-untyped-def]
    settings.CONFIG = settings.CONFIG.__class__(outbound_allowed=["127.0.0.0/8:*"], celery_enabled=False)
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    for number in range(55):
        fire(f"Hot{number}", now=now)
    dispatch_due(hand="celery", read_clock=at(now))
    assert letterbox.kinds.count("fire") == 50
    dispatch_due(hand="celery", read_clock=at(now + timedelta(seconds=61)))
    assert letterbox.kinds.count("summary") == 1
    assert len(letterbox.got[-1]["alerts"]) == 5
    assert Notification.objects.filter(state="cancelled", cancelled_because__startswith="folded").count() == 5


def test_the_test_button_sends_by_the_same_way(letterbox: Letterbox) -> None:
    channel = channel_at(letterbox.url)
    channel_test(channel_id=channel.pk, actor=ALICE, now=clock.now())
    dispatch_due(hand="celery")
    assert letterbox.kinds == ["test"]


def test_a_dead_letter_can_be_replayed(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    letterbox.answers = [(400, {}), (200, {})]
    fire()
    dispatch_due(hand="celery")
    row = Notification.objects.get(state="failed")
    notification_replay(notification_id=row.pk, actor=ALICE, now=clock.now())
    dispatch_due(hand="celery")
    assert Notification.objects.get(pk=row.pk).state == "done"


def test_a_resolve_waits_for_a_fire_in_flight(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()
    row = only()
    Notification.objects.update(
        attempts=1, lease_token="00000000-0000-0000-0000-000000000001", due_at=clock.now() + timedelta(seconds=10)
    )
    clear()
    dispatch_due(hand="celery")
    assert letterbox.got == []
    later = at(clock.now() + timedelta(seconds=11))
    dispatch_due(hand="celery", read_clock=later)
    assert Notification.objects.get(pk=row.pk).state == "cancelled"
    dispatch_due(hand="celery", read_clock=later)
    assert letterbox.kinds == ["resolve"]
