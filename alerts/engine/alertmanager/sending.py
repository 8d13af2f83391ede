"""Telling a receiver: how long an attempt took, when the next one comes, when it is given up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from alerts.engine.alertmanager.alerts import Alert
from alerts.engine.alertmanager.notification_log import Reason

Verdict = Literal["sent", "again", "never"]
FIRST_PAUSE_SECONDS = 0.5
PAUSE_GROWTH = 1.5
LONGEST_PAUSE_SECONDS = 60.0
LEAST_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one integration of a receiver."""

    at: float
    receiver: str
    kind: str
    index: int
    group_key: str
    group_labels: dict[str, str]
    alerts: tuple[Alert, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt."""

    verdict: Verdict
    took_seconds: float = 0.0


Send = Callable[[Notification], Answer]


def pauses() -> Iterator[float]:
    """Yield the pauses between attempts; a live sender spreads them by half."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)


def deadline_seconds(group_interval_seconds: float) -> float:
    """Return how long a flush may take: until the next one is due, but never very short."""
    return max(group_interval_seconds, LEAST_DEADLINE_SECONDS)
