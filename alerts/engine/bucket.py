"""A token bucket as arithmetic. Times are epoch seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a receiver may be told: so many a minute, so many at once after a rest, so many an hour."""

    per_minute: float
    burst: float
    per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens at a time; None as the time means it was never used and is full."""

    tokens: float
    at: float | None


def refill(bucket: Bucket, now: float, rate: Rate) -> Bucket:
    """Return the bucket with the tokens that came since; it holds a burst; a clock set back adds none."""
    if bucket.at is None:
        return Bucket(rate.burst, now)
    gained = max(0.0, now - bucket.at) * rate.per_minute / 60
    return Bucket(min(rate.burst, bucket.tokens + gained), max(now, bucket.at))


def take(bucket: Bucket, count: int) -> Bucket:
    """Return the bucket after so many tokens were taken."""
    return Bucket(bucket.tokens - count, bucket.at)


def next_token_at(bucket: Bucket, rate: Rate) -> float:
    """Return when a whole token is there."""
    at = bucket.at or 0.0
    return at + max(0.0, 1 - bucket.tokens) * 60 / rate.per_minute


def held(now: float, seconds: float, rate: Rate) -> Bucket:
    """Return the bucket of a receiver that asked for a pause: its first whole token comes when the pause is over."""
    return Bucket(max(0.0, 1 - seconds * rate.per_minute / 60), now + max(0.0, seconds - 60 / rate.per_minute))
