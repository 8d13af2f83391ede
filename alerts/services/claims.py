"""Which owed messages may be sent now, and their leases."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, QuerySet

from alerts.engine import breaker
from alerts.engine.states import BreakerState, NotificationState
from alerts.models import Channel, Notification
from alerts.services import pace

SLOTS_PER_CHANNEL = 4
# A resolve waits until every fire of its alert to that channel has ended, one way or the other. Any message waits for
# an earlier one of its alert to the channel that is due or on its way, or each would begin an issue of its own.
CLAIM = """
WITH open_channel AS (
    SELECT * FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[]) AS c(id, room, until)
), due AS (
    SELECT n.id, n.until FROM open_channel c CROSS JOIN LATERAL (
        SELECT n.id, n.due_at, c.until FROM alerts_notification n
        WHERE n.channel_id = c.id AND n.state = 'due' AND n.due_at <= %s AND NOT EXISTS (
            SELECT 1 FROM alerts_notification f WHERE f.alert_id = n.alert_id AND f.channel_id = n.channel_id
            AND f.state = 'due' AND f.id < n.id AND (f.lease_token IS NOT NULL OR f.due_at <= %s
                OR n.kind = 'resolve' AND f.episode = n.episode AND f.kind IN ('fire', 'repeat')))
        ORDER BY n.due_at LIMIT c.room FOR UPDATE SKIP LOCKED
    ) n ORDER BY n.due_at LIMIT %s
)
UPDATE alerts_notification n SET attempts = attempts + 1, due_at = due.until, lease_token = gen_random_uuid()
FROM due WHERE n.id = due.id RETURNING n.id, n.lease_token
"""


def leased(now: datetime) -> QuerySet[Notification]:
    """Return the messages in flight.

    No send lasts longer than its time-out: a lease older than this belongs to a process that died, and its slot is free
    before the lease ends. Without it, two dead processes could hold all slots of every channel for a whole lease.
    """
    return Notification.objects.filter(pace.in_flight(now))


def claim(now: datetime, free: int, *, late_seconds: float = 0) -> list[Notification]:
    """Lease up to `free` due messages, each channel within its slots, breaker and rate."""
    before = now - timedelta(seconds=late_seconds)
    due = Notification.objects.filter(state=NotificationState.DUE.value, due_at__lte=before)
    waiting = list(due.values_list("channel_id", flat=True).distinct())
    if not waiting:
        return []
    with transaction.atomic():
        # Ordered locks on the rate-limited channels: their tokens are counted by one claimer at a time.
        limited = Channel.objects.filter(pace.LIMITED, pk__in=waiting).order_by("pk")
        list(limited.select_for_update().values_list("pk", flat=True))
        on_their_way = pace.in_flight(now, notifications="notifications__", channel="")
        channels = list(
            Channel.objects.filter(pk__in=waiting, enabled=True).annotate(
                in_flight=Count("notifications", filter=on_their_way)
            )
        )
        rooms = {channel.pk: _room(channel, now) for channel in channels}
        claimed = _lease([channel for channel in channels if rooms[channel.pk]], rooms, before, now, free)
        for channel in channels:
            pace.pay(channel, sum(row.channel_id == channel.pk for row in claimed), now)
    return claimed


def _room(channel: Channel, now: datetime) -> int:
    until = channel.breaker_until.timestamp() if channel.breaker_until else None
    state = breaker.Breaker(BreakerState(channel.breaker_state), until, channel.breaker_opened)
    in_flight: int = channel.in_flight  # type: ignore[attr-defined]
    slots = breaker.room(state, now.timestamp(), leased=in_flight, slots=SLOTS_PER_CHANNEL)
    if not slots:
        return 0
    paced = pace.room(channel, now, in_flight=in_flight)
    return slots if paced is None else min(slots, paced)


def _lease(
    channels: Sequence[Channel], rooms: dict[uuid.UUID, int], before: datetime, now: datetime, free: int
) -> list[Notification]:
    if not channels:
        return []
    untils = [now + timedelta(seconds=pace.lease_seconds(channel.type)) for channel in channels]
    ids = [channel.pk for channel in channels]
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [ids, [rooms[pk] for pk in ids], untils, before, now, free])
        tokens = dict(cursor.fetchall())
    return list(Notification.objects.filter(pk__in=tokens).select_related("channel", "alert")) if tokens else []
