"""Which owed messages may be sent now, and their leases."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from aivillage_console.lib import clock, http, outbox
from alerts.engine import breaker, bucket
from alerts.engine.states import BreakerState, NotificationState
from alerts.models import Channel, Notification

SLOTS_PER_CHANNEL = 4
# No send lasts longer than its time-out: a lease older than this belongs to a process that died, and its slot is free
# before the lease ends. Without it, two dead processes could hold all slots of every channel for a whole lease.
SLOT_SECONDS = http.TOTAL_SECONDS + 1
# A resolve waits until every fire of its alert to that channel has ended, one way or the other.
CLAIM = """
WITH open_channel AS (
    SELECT * FROM unnest(%s::uuid[], %s::int[]) AS c(id, room)
), due AS (
    SELECT n.id FROM open_channel c CROSS JOIN LATERAL (
        SELECT n.id, n.due_at FROM alerts_notification n
        WHERE n.channel_id = c.id AND n.state = 'due' AND n.due_at <= %s AND (n.kind <> 'resolve' OR NOT EXISTS (
            SELECT 1 FROM alerts_notification f WHERE f.alert_id = n.alert_id AND f.episode = n.episode
            AND f.channel_id = n.channel_id AND f.state = 'due' AND f.kind IN ('fire', 'repeat') AND f.id < n.id))
        ORDER BY n.due_at LIMIT c.room FOR UPDATE SKIP LOCKED
    ) n ORDER BY n.due_at LIMIT %s
)
UPDATE alerts_notification n SET attempts = attempts + 1, due_at = %s, lease_token = gen_random_uuid()
FROM due WHERE n.id = due.id RETURNING n.id, n.lease_token
"""


def _in_flight(now: datetime, prefix: str = "") -> Q:
    """Match what was claimed so lately that it may be on its way now."""
    ends_after = now + timedelta(seconds=outbox.LEASE_SECONDS - SLOT_SECONDS)
    return Q(
        **{
            f"{prefix}state": NotificationState.DUE.value,
            f"{prefix}lease_token__isnull": False,
            f"{prefix}due_at__gt": ends_after,
        }
    )


def leased(now: datetime) -> QuerySet[Notification]:
    """Return the messages in flight."""
    return Notification.objects.filter(_in_flight(now))


def claim(now: datetime, free: int, *, late_seconds: float = 0) -> list[Notification]:
    """Lease up to `free` due messages, each channel within its slots, breaker and rate."""
    before = now - timedelta(seconds=late_seconds)
    due = Notification.objects.filter(state=NotificationState.DUE.value, due_at__lte=before)
    waiting = list(due.values_list("channel_id", flat=True).distinct())
    if not waiting:
        return []
    with transaction.atomic():
        # Ordered locks on the rate-limited channels: their tokens are counted by one claimer at a time.
        limited = Channel.objects.filter(pk__in=waiting, rate_per_minute__isnull=False).order_by("pk")
        list(limited.select_for_update().values_list("pk", flat=True))
        channels = list(Channel.objects.filter(pk__in=waiting, enabled=True).annotate(
            in_flight=Count("notifications", filter=_in_flight(now, "notifications__")),
        ))  # fmt: skip
        rooms = {channel.pk: _room(channel, now) for channel in channels}
        claimed = _lease([pk for pk, room in rooms.items() if room], rooms, before, now, free)
        _pay(channels, claimed, now)
    return claimed


def _room(channel: Channel, now: datetime) -> int:
    until = channel.breaker_until.timestamp() if channel.breaker_until else None
    state = breaker.Breaker(BreakerState(channel.breaker_state), until, channel.breaker_opened)
    in_flight: int = channel.in_flight  # type: ignore[attr-defined]
    room = breaker.room(state, now.timestamp(), leased=in_flight, slots=SLOTS_PER_CHANNEL)
    return min(room, int(_bucket(channel, now).tokens)) if channel.rate_per_minute else room


def _bucket(channel: Channel, now: datetime) -> bucket.Bucket:
    at = channel.tokens_at.timestamp() if channel.tokens_at else None
    return bucket.refill(bucket.Bucket(channel.tokens, at), now.timestamp(), per_minute=channel.rate_per_minute or 0)


def _lease(
    open_ids: list[uuid.UUID], rooms: dict[uuid.UUID, int], before: datetime, now: datetime, free: int
) -> list[Notification]:
    if not open_ids:
        return []
    until = now + timedelta(seconds=outbox.LEASE_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [open_ids, [rooms[pk] for pk in open_ids], before, free, until])
        tokens = dict(cursor.fetchall())
    return list(Notification.objects.filter(pk__in=tokens).select_related("channel", "alert")) if tokens else []


def _pay(channels: Sequence[Channel], claimed: list[Notification], now: datetime) -> None:
    for channel in channels:
        count = sum(row.channel_id == channel.pk for row in claimed)
        if channel.rate_per_minute and count:
            left = bucket.take(_bucket(channel, now), count)
            at = clock.at_seconds(left.at or now.timestamp())
            Channel.objects.filter(pk=channel.pk).update(tokens=left.tokens, tokens_at=at)
