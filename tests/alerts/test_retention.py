"""Finished messages move to the history, and old alerts go with all that is theirs."""

from datetime import timedelta

import pytest

from aivillage_console.lib import clock
from alerts.models import Alert, AlertEvent, Notification, NotificationHistory
from alerts.services import dispatch_due, retain
from tests.alerts.conftest import Letterbox, channel_at, clear, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)


def test_messages_of_an_ended_alert_move_after_a_week_with_their_tries(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    fire("Over", now=now)
    fire("Open", now=now)
    dispatch_due(hand="celery")
    clear("Over", now=now)
    dispatch_due(hand="celery")
    assert retain(now=now + timedelta(days=6)) == {"moved": 0, "dropped": 0}
    assert retain(now=now + timedelta(days=8)) == {"moved": 2, "dropped": 0}
    assert [row.alert.name for row in Notification.objects.select_related("alert") if row.alert] == ["Open"]
    kept = NotificationHistory.objects.order_by("id").first()
    assert kept is not None
    assert (kept.row["kind"], kept.tries[0]["status"]) == ("fire", 200)


def test_an_alert_over_for_a_month_goes_with_its_story(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    fire(now=now)
    dispatch_due(hand="celery")
    clear(now=now)
    retain(now=now + timedelta(days=8))
    assert retain(now=now + timedelta(days=31))["dropped"] == 1
    left = [model.objects.count() for model in (Alert, AlertEvent, Notification, NotificationHistory)]
    assert left == [0, 0, 0, 0]
