"""The circuit breaker of a channel. Times are epoch seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.engine.states import BreakerState

FAILURES_IN_A_ROW = 5
WINDOW = 20
SHARE = 0.5
FIRST_SECONDS = 15.0
LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """State, until when it is left alone, and how many times in a row it opened."""

    state: BreakerState = BreakerState.CLOSED
    until: float | None = None
    opened: int = 0


def room(breaker: Breaker, now: float, *, leased: int, slots: int) -> int:
    """Return how many more messages may be in flight: none while open, one as a probe afterwards."""
    if breaker.state is BreakerState.CLOSED:
        return max(0, slots - leased)
    if breaker.until is not None and now < breaker.until:
        return 0
    return 0 if leased else 1


def after_success(breaker: Breaker) -> Breaker:
    """Return the breaker closed."""
    return breaker if breaker.state is BreakerState.CLOSED else Breaker()


def after_failure(breaker: Breaker, now: float, newest_first: Sequence[bool]) -> Breaker:
    """Return the breaker after a failure; `newest_first` says of the last attempts, this one included, which worked."""
    if breaker.state is BreakerState.OPEN:
        return _opened(breaker, now) if breaker.until is None or now >= breaker.until else breaker
    return _opened(breaker, now) if _trips(newest_first[:WINDOW]) else breaker


def _trips(newest_first: Sequence[bool]) -> bool:
    row = newest_first[:FAILURES_IN_A_ROW]
    if len(row) == FAILURES_IN_A_ROW and not any(row):
        return True
    return len(newest_first) == WINDOW and sum(newest_first) <= WINDOW * SHARE


def _opened(breaker: Breaker, now: float) -> Breaker:
    wait = min(LONGEST_SECONDS, FIRST_SECONDS * 2**breaker.opened)
    return Breaker(BreakerState.OPEN, now + wait, breaker.opened + 1)
