"""Thresholds from a series' own past: a percentile of its values, times a factor, within bounds.

Values come as one row a series on a grid; what is not a number is not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Key: TypeAlias = frozenset[tuple[str, str]]
HOURS_OF_WEEK = 168
WEEKS_PER_SLOT = 2
# The epoch was a Thursday; hour 0 is Monday's first, in UTC.
EPOCH_HOUR = 72
HOUR_MS = 3_600_000
# A new threshold applies when it differs by more than this share.
WORTH_A_CHANGE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How thresholds come from the past."""

    percentile: float = 95
    factor: float = 1.2
    floor: float | None = None
    ceiling: float | None = None
    least_history_seconds: float = 86_400
    seasonal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What came of one series; `slots` has one for each hour of the week, None where there is too little past."""

    value: float | None = None
    slots: tuple[float | None, ...] = ()
    samples: int = 0
    history_seconds: float = 0
    why: str = ""  # Why there is no threshold.

    def at(self, at_seconds: float) -> float | None:
        """Return the threshold at a time."""
        return self.slots[hour_of_week(at_seconds)] if self.slots else self.value


def hour_of_week(at_seconds: float) -> int:
    """Return the hour of the week in UTC; Monday's first is 0."""
    return (int(at_seconds // 3600) + EPOCH_HOUR) % HOURS_OF_WEEK


def worked(timestamps_ms: Ints, values: Floats, baseline: Baseline, *, step_seconds: float) -> list[Worked]:
    """Return the threshold of each row of values, where NaN means there was none."""
    each = _seasonal if baseline.seasonal else _plain
    return [each(timestamps_ms, row, baseline, step_seconds) for row in values]


def _plain(_timestamps_ms: Ints, row: Floats, baseline: Baseline, step_seconds: float) -> Worked:
    there = row[np.isfinite(row)]
    seconds = there.size * step_seconds
    if not there.size or seconds < baseline.least_history_seconds:
        return Worked(samples=int(there.size), history_seconds=seconds, why=_too_short(seconds, baseline))
    return Worked(value=_threshold(there, baseline), samples=int(there.size), history_seconds=seconds)


def _too_short(seconds: float, baseline: Baseline) -> str:
    return f"{_hours(seconds)} of past, and {_hours(baseline.least_history_seconds)} are needed"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def _threshold(there: Floats, baseline: Baseline) -> float:
    found = float(np.percentile(there, baseline.percentile)) * baseline.factor
    if baseline.floor is not None:
        found = max(found, baseline.floor)
    return found if baseline.ceiling is None else min(found, baseline.ceiling)


def _seasonal(timestamps_ms: Ints, row: Floats, baseline: Baseline, step_seconds: float) -> Worked:
    finite = np.isfinite(row)
    times, there = timestamps_ms[finite], row[finite]
    seconds = there.size * step_seconds
    hours = times // HOUR_MS + EPOCH_HOUR
    slots, weeks = hours % HOURS_OF_WEEK, hours // HOURS_OF_WEEK
    found = tuple(_slot(there[slots == slot], weeks[slots == slot], baseline) for slot in range(HOURS_OF_WEEK))
    missing = sum(value is None for value in found)
    why = f"{missing} of {HOURS_OF_WEEK} hours of the week have fewer than {WEEKS_PER_SLOT} weeks" if missing else ""
    if seconds < baseline.least_history_seconds:
        found, why = (None,) * HOURS_OF_WEEK, _too_short(seconds, baseline)
    return Worked(slots=found, samples=int(there.size), history_seconds=seconds, why=why)


def _slot(there: Floats, weeks: Ints, baseline: Baseline) -> float | None:
    return _threshold(there, baseline) if np.unique(weeks).size >= WEEKS_PER_SLOT else None


def without(timestamps_ms: Ints, row: Floats, periods_ms: Sequence[tuple[float, float]]) -> Floats:
    """Return a row of values without those of some periods, both ends included."""
    kept = row.copy()
    for begin, end in periods_ms:
        kept[(timestamps_ms >= begin) & (timestamps_ms <= end)] = np.nan
    return kept


def differs(before: Worked | None, after: Worked) -> bool:
    """Say whether a threshold is worth applying in the place of the one before."""
    if before is None or len(before.slots) != len(after.slots):
        return True
    pairs = zip(before.slots, after.slots, strict=True) if after.slots else [(before.value, after.value)]
    return any(_differs(old, new) for old, new in pairs)


def _differs(old: float | None, new: float | None) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(new - old) > WORTH_A_CHANGE * abs(old)


class Past:
    """The past of many series, read a piece at a time; more series than `most` are refused."""

    def __init__(self, most: int) -> None:
        """Begin with nothing."""
        self._most = most
        self._pieces: list[tuple[Ints, Mapping[Key, Floats]]] = []
        self._keys: dict[Key, int] = {}

    def add(self, timestamps_ms: Ints, rows: Mapping[Key, Floats]) -> None:
        """Add a piece; raises ValueError where there are too many series."""
        for key in rows:
            self._keys.setdefault(key, len(self._keys))
        if len(self._keys) > self._most:
            raise ValueError(f"more than {self._most} series have a threshold of their own: aggregate the expression")
        self._pieces.append((timestamps_ms, rows))

    def joined(self) -> tuple[Ints, list[Key], Floats]:
        """Return the times, the series, and a row of values for each; NaN where there is none."""
        times = np.concatenate([piece for piece, _ in self._pieces]) if self._pieces else np.empty(0, np.int64)
        values = np.full((len(self._keys), times.size), np.nan)
        begin = 0
        for piece, rows in self._pieces:
            for key, row in rows.items():
                values[self._keys[key], begin : begin + piece.size] = row
            begin += piece.size
        return times, list(self._keys), values
