"""A token bucket as arithmetic. Times are epoch seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens at a time; None as the time means it was never used and is full."""

    tokens: float
    at: float | None


def refill(bucket: Bucket, now: float, *, per_minute: float) -> Bucket:
    """Return the bucket with the tokens that came since; it holds a minute's worth; a clock set back adds none."""
    if bucket.at is None:
        return Bucket(per_minute, now)
    gained = max(0.0, now - bucket.at) * per_minute / 60
    return Bucket(min(per_minute, bucket.tokens + gained), max(now, bucket.at))


def take(bucket: Bucket, count: int) -> Bucket:
    """Return the bucket after so many tokens were taken."""
    return Bucket(bucket.tokens - count, bucket.at)


def next_token_at(bucket: Bucket, *, per_minute: float) -> float:
    """Return when a whole token is there."""
    at = bucket.at or 0.0
    return at + max(0.0, 1 - bucket.tokens) * 60 / per_minute
