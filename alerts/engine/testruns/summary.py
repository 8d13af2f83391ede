"""What the page of test runs says at a glance: bands, the direction of a month, and where it hurts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Any

GOOD, FAIR, FAIR_MODULE = 95.0, 85.0, 80.0
DIRECTION_DAYS, DIRECTION_POINTS = 30, 5.0
HOT_RATE, HOT_RUNS, MOST_HOT = 80.0, 3, 5


class Direction(StrEnum):
    """Where the success rate goes."""

    BETTER = "better"
    STEADY = "steady"
    WORSE = "worse"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HotIssue:
    """A module to look at first."""

    module: str
    rate: float
    because: str


def band(rate: float | None, *, module: bool = False) -> str:
    """Return the band of a success rate: ok, warning, bad or unknown."""
    if rate is None:
        return "unknown"
    return "ok" if rate >= GOOD else "warning" if rate >= (FAIR_MODULE if module else FAIR) else "bad"


def direction(rates: Sequence[float]) -> tuple[Direction, float | None]:
    """Return where the rates of a month go, oldest first: medians of the first and of the last third compared."""
    if len(rates) < 3:
        return Direction.UNKNOWN, None
    third = len(rates) // 3
    change = median(rates[-third:]) - median(rates[:third])
    if abs(change) < DIRECTION_POINTS:
        return Direction.STEADY, change
    return (Direction.BETTER if change > 0 else Direction.WORSE), change


def hot_issues(runs: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[HotIssue]:
    """Return the modules that are low or fell in each of the last runs, the lowest first; runs come oldest first."""
    found = []
    for name, counts in runs[-1].items() if runs else ():
        rate = counts.get("success_rate")
        if rate is None:
            continue
        last = [each for run in runs[-HOT_RUNS:] if (each := run.get(name, {}).get("success_rate")) is not None]
        falls = len(last) == HOT_RUNS and all(a > b for a, b in pairwise(last))
        if rate < HOT_RATE:
            found.append(HotIssue(name, rate, f"below {HOT_RATE:g} %" + (", and falling" if falls else "")))
        elif falls:
            found.append(HotIssue(name, rate, f"falling for {HOT_RUNS} runs, from {last[0]:.1f} %"))
    return sorted(found, key=lambda one: (one.rate, one.module))[:MOST_HOT]
