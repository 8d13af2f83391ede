"""When a message is tried again, and what a receiver's answer means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SCHEDULE_SECONDS: Sequence[float] = (0, 2, 5, 15, 30, 60, 120, 300)
LATER_SECONDS = 600.0
RETRY_AFTER_MAXIMUM_SECONDS = 900.0
CRITICAL_DEADLINE_SECONDS = 86_400.0
DEADLINE_SECONDS = 14_400.0
RETRIED = frozenset({408, 425, 429})


class Verdict(StrEnum):
    """What becomes of a message after an answer."""

    DELIVERED = "delivered"  # Done.
    RETRY = "retry"  # Try again later.
    FAIL = "fail"  # Never going to work.
    DISABLE = "disable"  # The receiver is gone for good: fail, and switch the channel off.


def verdict_of(status: int) -> Verdict:
    """Return what an HTTP status means for the message."""
    if 200 <= status < 300:
        return Verdict.DELIVERED
    if status == 410:
        return Verdict.DISABLE
    if status in RETRIED or status >= 500:
        return Verdict.RETRY
    return Verdict.FAIL


@dataclass(frozen=True, slots=True)
class Own:
    """How a receiver is tried that was configured with limits of its own; None where it was not."""

    retries: int | None = None
    delay_seconds: float | None = None

    def is_spent(self, attempts: int) -> bool:
        """Say whether a message was tried as often as it may be."""
        return self.retries is not None and attempts > self.retries


def own_of(config: Mapping[str, Any]) -> Own:
    """Return the limits a channel's configuration names."""
    return Own(config.get("retry_attempts"), config.get("retry_delay"))


def delay_seconds(attempts: int, jitter: float, own: Own = Own()) -> float:
    """Return the wait after so many attempts; `jitter` in 0..1 picks from 50 to 100 % of it."""
    wait = SCHEDULE_SECONDS[attempts] if attempts < len(SCHEDULE_SECONDS) else LATER_SECONDS
    if own.delay_seconds is not None:
        wait = min(own.delay_seconds * 2.0 ** min(max(attempts - 1, 0), 20), LATER_SECONDS)
    return wait * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True)
class Plan:
    """When the next try is; None where the deadline comes first."""

    retry_at: float | None


def plan_retry(
    *,
    now: float,
    attempts: int,
    deadline_at: float,
    jitter: float,
    retry_after_seconds: float | None = None,
    own: Own = Own(),
) -> Plan:
    """Return when to try again; a receiver's Retry-After is obeyed up to 15 minutes."""
    if own.is_spent(attempts):
        return Plan(None)
    wait = delay_seconds(attempts, jitter, own)
    if retry_after_seconds is not None:
        wait = max(wait, min(retry_after_seconds, RETRY_AFTER_MAXIMUM_SECONDS))
    return Plan(now + wait if now + wait < deadline_at else None)


def deadline_seconds(*, urgent: bool) -> float:
    """Return how long a message is tried."""
    return CRITICAL_DEADLINE_SECONDS if urgent else DEADLINE_SECONDS
