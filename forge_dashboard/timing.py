"""How long phases take: bands of earlier runs, what is left of a running phase, and what is stalled. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_SILENCE_SECONDS = 300
INTERVALS_OF_SILENCE = 10
LEAST_PROGRESS = 0.02
# A pace seen so far is right within this at its beginning; the range closes as the work gets done.
FASTER, SLOWER = 0.75, 1.5


@dataclass(frozen=True, slots=True)
class Band:
    """The usual: half of the earlier ones took at most p50, nine in ten at most p90."""

    p50_seconds: float
    p90_seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """When something probably ends, as a range, and what that is told from."""

    low_seconds: float
    high_seconds: float
    basis: str

    def ends(self, now: datetime) -> tuple[datetime, datetime]:
        """Return the range as times."""
        return now + timedelta(seconds=self.low_seconds), now + timedelta(seconds=self.high_seconds)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of ordered values, between neighbours in proportion."""
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def band(durations_seconds: Iterable[float]) -> Band | None:
    """Return the usual duration; None where nothing is known."""
    ordered = sorted(seconds for seconds in durations_seconds if seconds >= 0)
    if not ordered:
        return None
    return Band(percentile(ordered, 0.5), percentile(ordered, 0.9), len(ordered))


def remaining(elapsed_seconds: float, progress: float | None, usual: Band | None) -> Estimate | None:
    """Return the time left of something that runs: from its own pace, from earlier runs, or both."""
    done = min(max(progress or 0.0, 0.0), 1.0)
    pace = elapsed_seconds * (1 - done) / done if done >= LEAST_PROGRESS else None
    if usual is None:
        if pace is None:
            return None
        return Estimate(pace * FASTER, pace * SLOWER, "its pace so far")
    low, high = (max(0.0, seconds - elapsed_seconds) for seconds in (usual.p50_seconds, usual.p90_seconds))
    basis = f"{usual.count} earlier {'run' if usual.count == 1 else 'runs'}"
    if pace is None:
        return Estimate(low, high, basis)
    # The more is done the more its own pace counts.
    low, high = (1 - done) * low + done * pace * FASTER, (1 - done) * high + done * pace * SLOWER
    return Estimate(min(low, pace), max(high, pace), f"its pace and {basis}")


def not_begun(usual: Band | None) -> Estimate | None:
    """Return how long something planned will take."""
    if usual is None:
        return None
    basis = f"{usual.count} earlier {'run' if usual.count == 1 else 'runs'}"
    return Estimate(usual.p50_seconds, usual.p90_seconds, basis)


def silence_seconds(reporting_interval_seconds: float | None) -> float:
    """Return how long a run may say nothing before it counts as stalled."""
    return max(LEAST_SILENCE_SECONDS, INTERVALS_OF_SILENCE * (reporting_interval_seconds or 0))


def is_stalled(
    state: str, last_event_at: datetime | None, reporting_interval_seconds: float | None, now: datetime
) -> bool:
    """Tell whether a run that should be at work has gone silent."""
    if state != "running" or last_event_at is None:
        return False
    return now - last_event_at >= timedelta(seconds=silence_seconds(reporting_interval_seconds))
