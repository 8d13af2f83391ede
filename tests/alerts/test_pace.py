"""How long a claim holds its row, whose turn it is, and when the dispatcher is woken."""

from datetime import timedelta

import pytest
from django.db import connection

from aivillage_console.lib import clock
from alerts.channels import CHANNELS, total_seconds
from alerts.management.commands.dispatch import NEXT_NOTIFICATION
from alerts.models import Channel, Notification
from alerts.services import claims, pace
from tests.alerts.conftest import channel_at, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("kind", CHANNELS)
def test_no_row_is_free_while_its_try_can_still_be_running(kind: str) -> None:
    assert pace.lease_seconds(kind) > pace.slot_seconds(kind) > total_seconds(kind)
    policy_with((0, [channel_at("https://93.184.216.34/", type=kind)]))
    now = clock.now()
    fire(now=now)
    assert len(claims.claim(now, 16)) == 1
    assert claims.leased(now + timedelta(seconds=total_seconds(kind))).count() == 1
    assert claims.claim(now + timedelta(seconds=pace.lease_seconds(kind) - 0.1), 16) == []
    assert len(claims.claim(now + timedelta(seconds=pace.lease_seconds(kind)), 16)) == 1


def test_a_message_waits_for_an_earlier_one_of_its_alert_to_the_channel() -> None:
    policy_with((0, [channel_at("https://93.184.216.34/")]))
    now = clock.now()
    fire(now=now)
    first = Notification.objects.get()
    again = Notification.objects.create(
        key="again", alert=first.alert, episode=1, kind="repeat", channel=first.channel, channel_name="hook",
        created_at=now, due_at=now - timedelta(seconds=1), deadline_at=first.deadline_at,
    )  # fmt: skip
    assert [row.pk for row in claims.claim(now, 16)] == [first.pk]
    assert claims.claim(now, 16) == []
    # While the first waits for its next try, the second may go.
    Notification.objects.filter(pk=first.pk).update(lease_token=None, due_at=now + timedelta(minutes=5))
    assert [row.pk for row in claims.claim(now, 16)] == [again.pk]


def test_the_dispatcher_sleeps_until_a_held_channel_may_be_told() -> None:
    policy_with((0, [channel_at("https://93.184.216.34/", type="slack")]))
    now = clock.now()
    fire(now=now)
    pace.hold(Channel.objects.get(), 40, now)
    with connection.cursor() as cursor:
        cursor.execute(NEXT_NOTIFICATION)
        (at,) = cursor.fetchone()
    assert abs(at - now - timedelta(seconds=40)) < timedelta(milliseconds=10)
    assert claims.claim(now + timedelta(seconds=39), 16) == []
    assert len(claims.claim(now + timedelta(seconds=40.1), 16)) == 1
