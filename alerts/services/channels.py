"""What people do with channels and messages: press the test button, replay a dead letter."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import doorbell
from alerts.engine.states import NotificationKind, NotificationState
from alerts.models import Channel, Notification

TEST_DEADLINE_SECONDS = 60


def channel_test(*, channel_id: uuid.UUID | str, actor: Actor, now: datetime) -> Notification:
    """Owe a test message to a channel, by the same way as any other."""
    with transaction.atomic():
        channel = Channel.objects.get(pk=channel_id)
        row = Notification.objects.create(
            key=uuid.uuid4().hex, channel=channel, channel_name=channel.name, kind=NotificationKind.TEST.value,
            created_at=now, due_at=now, deadline_at=now + timedelta(seconds=TEST_DEADLINE_SECONDS),
            payload={
                "timestamp": now.isoformat(), "kind": "test", "status": "firing", "alert_name": "TestMessage",
                "severity": "low", "description": f"{actor.label} pressed the test button.", "metric_value": None,
                "threshold": None, "labels": {}, "escalation_step": 0,
            },
        )  # fmt: skip
        audit(actor, "channel.test", channel, before=None, after={"notification": row.pk}, now=now)
        doorbell.ring("dispatch")
    return row


def notification_replay(*, notification_id: int, actor: Actor, now: datetime) -> Notification:
    """Owe a failed message again, under its old key, with a deadline of its own."""
    with transaction.atomic():
        row = Notification.objects.select_for_update().get(pk=notification_id, state=NotificationState.FAILED.value)
        row.deadline_at = now + (row.deadline_at - row.created_at)
        row.state, row.due_at, row.finished_at, row.lease_token = NotificationState.DUE.value, now, None, None
        row.save(update_fields=["deadline_at", "state", "due_at", "finished_at", "lease_token"])
        audit(actor, "notification.replay", row, before=None, after={"channel": row.channel_name}, now=now)
        doorbell.ring("dispatch")
    return row
