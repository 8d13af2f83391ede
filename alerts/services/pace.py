"""How fast each channel is told, and for how long a try of it holds its row."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q

from aivillage_console.lib import clock, outbox
from alerts.channels import CHANNELS, default_rate, total_seconds
from alerts.engine import bucket
from alerts.engine.bucket import Bucket, Rate
from alerts.models import Channel, DeliveryAttempt

HOUR = timedelta(hours=1)
# A channel that had its hour's worth is looked at again after this long.
HOUR_IS_FULL_SECONDS = 30.0
RATED = tuple(name for name in CHANNELS if default_rate(name) is not None)
LIMITED = Q(rate_per_minute__isnull=False) | Q(type__in=RATED)


def rate_of(channel: Channel) -> Rate | None:
    """Return the rate of a channel: its own, else its type's; None for no limit."""
    usual = default_rate(channel.type)
    if channel.rate_per_minute is None:
        return usual
    burst = min(channel.rate_per_minute, usual.burst) if usual else channel.rate_per_minute
    return Rate(channel.rate_per_minute, burst, usual.per_hour if usual else None)


def bucket_of(channel: Channel, rate: Rate, now: datetime) -> Bucket:
    """Return the tokens of a channel as they stand now."""
    at = channel.tokens_at.timestamp() if channel.tokens_at else None
    return bucket.refill(Bucket(channel.tokens, at), now.timestamp(), rate)


def room(channel: Channel, now: datetime, *, in_flight: int) -> int | None:
    """Return how many more messages the channel may be sent now; None for any number."""
    rate = rate_of(channel)
    if rate is None:
        return None
    tokens = int(bucket_of(channel, rate, now).tokens)
    if not tokens or rate.per_hour is None:
        return tokens
    # The attempt log is the hourly window: no second counter that a crash could let drift.
    tried = DeliveryAttempt.objects.filter(channel=channel, at__gt=now - HOUR).order_by("-id")[: rate.per_hour].count()
    left = rate.per_hour - tried - in_flight
    if left <= 0:
        hold(channel, HOUR_IS_FULL_SECONDS, now)
    return max(0, min(tokens, left))


def pay(channel: Channel, count: int, now: datetime) -> None:
    """Take the tokens of messages that were claimed."""
    rate = rate_of(channel)
    if rate is not None and count:
        _store(channel, bucket.take(bucket_of(channel, rate, now), count), now)


def hold(channel: Channel, seconds: float, now: datetime) -> None:
    """Leave a channel alone for a while, as its receiver asked."""
    rate = rate_of(channel)
    if rate is not None:
        _store(channel, bucket.held(now.timestamp(), seconds, rate), now)


def _store(channel: Channel, left: Bucket, now: datetime) -> None:
    at = clock.at_seconds(left.at or now.timestamp())
    channel.tokens, channel.tokens_at = left.tokens, at
    Channel.objects.filter(pk=channel.pk).update(tokens=left.tokens, tokens_at=at)


def slot_seconds(channel_type: str) -> float:
    """Return how long a claim may still be sending: its time-out, and a second to begin and to end."""
    return total_seconds(channel_type) + 1


def lease_seconds(channel_type: str) -> float:
    """Return how long a claimed row is nobody else's: long past the last moment its try may run."""
    return max(outbox.LEASE_SECONDS, 2 * total_seconds(channel_type) + 2)


def in_flight(now: datetime, *, notifications: str = "", channel: str = "channel__") -> Q:
    """Match what was claimed so lately that it may be on its way now; the arguments are the paths to both rows."""
    late = Q()
    for (lease, slot), types in _spans():
        ends_after = now + timedelta(seconds=lease - slot)
        late |= Q(**{f"{channel}type__in": types, f"{notifications}due_at__gt": ends_after})
    return Q(**{f"{notifications}state": "due", f"{notifications}lease_token__isnull": False}) & late


def _spans() -> Iterator[tuple[tuple[float, float], list[str]]]:
    spans: dict[tuple[float, float], list[str]] = {}
    for name in CHANNELS:
        spans.setdefault((lease_seconds(name), slot_seconds(name)), []).append(name)
    yield from spans.items()


def next_token_sql(channel: str) -> str:
    """Return SQL of the time from which a channel may be told; NULL where it has no rate or was never told."""
    usual = " ".join(
        f"WHEN '{name}' THEN {rate.per_minute:g}" for name in CHANNELS if (rate := default_rate(name)) is not None
    )
    own = f"{channel}.rate_per_minute"
    per_minute = f"coalesce({own}, CASE {channel}.type {usual} END)" if usual else own
    wait = f"greatest(0, 1 - {channel}.tokens) * 60 / nullif({per_minute}, 0)"
    return f"{channel}.tokens_at + {wait} * interval '1 second'"
