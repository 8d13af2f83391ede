"""Samples in memory that rules read from and write to as time goes on."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from metrics.native_histograms.model import Histogram
from metrics.native_histograms.resets import as_stored
from metrics.promql.labels import NAME, matches
from metrics.promql.scripts.series import Point
from metrics.promql.types import Matcher, SeriesColumns

DUPLICATE = "duplicate sample for timestamp"
OUT_OF_ORDER = "out of order sample"
Key = frozenset[tuple[str, str]]


@dataclass(slots=True)
class Line:
    """One series: what is there, and what will come with time."""

    labels: dict[str, str]
    times_ms: list[int] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    coming: list[tuple[int, Point]] = field(default_factory=list)
    place: int = 0  # How many of `coming` have come.
    written: Histogram | None = None  # The last histogram as it was given.

    def append(self, at_ms: int, point: Point) -> str:
        """Add a sample; return why it is refused, or an empty text."""
        if self.times_ms and at_ms <= self.times_ms[-1]:
            if at_ms < self.times_ms[-1]:
                return OUT_OF_ORDER
            return "" if _same(self.points[-1], point) else DUPLICATE
        kept = point
        if point.histogram is not None:
            kept = replace(point, histogram=as_stored(point.histogram, self.written))
        self.written = point.histogram
        self.times_ms.append(at_ms)
        self.points.append(kept)
        return ""


def _same(before: Point, after: Point) -> bool:
    if before.histogram is not None or after.histogram is not None:
        return before.histogram == after.histogram
    values = np.array([before.number, after.number]).view(np.uint64)
    return bool(values[0] == values[1])


class Shelf:
    """All series; a source the query engine reads from."""

    def __init__(self) -> None:
        """Start empty."""
        self._lines: dict[Key, Line] = {}
        self._named: dict[str, list[Line]] = {}
        self._coming: list[Line] = []

    def _line(self, labels: Mapping[str, str]) -> Line:
        key = frozenset(labels.items())
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(dict(sorted(labels.items())))
            self._named.setdefault(labels.get(NAME, ""), []).append(line)
        return line

    def expect(self, labels: Mapping[str, str], samples: Sequence[tuple[int, Point]]) -> None:
        """Say what samples a series will get as time goes on; said twice, the later counts."""
        line = self._line({name: value for name, value in labels.items() if value})
        if not line.coming:
            self._coming.append(line)
        line.coming = list(samples)

    def advance(self, at_ms: int | None = None) -> str:
        """Let come what has come by a time, or everything; return why a sample is refused, or an empty text."""
        for line in self._coming:
            while line.place < len(line.coming) and (at_ms is None or line.coming[line.place][0] <= at_ms):
                problem = line.append(*line.coming[line.place])
                if problem:
                    return problem
                line.place += 1
        return ""

    def append(self, labels: Mapping[str, str], at_ms: int, point: Point) -> str:
        """Add a sample; return why it is refused, or an empty text."""
        return self._line(labels).append(at_ms, point)

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series cut to the time range."""
        name = next((one.value for one in matchers if one.name == NAME and one.op == "="), None)
        lines = chain.from_iterable(self._named.values()) if name is None else self._named.get(name, [])
        found: list[tuple[Line, int, int]] = []
        for line in lines:
            low, high = bisect_left(line.times_ms, t_min_ms), bisect_right(line.times_ms, t_max_ms)
            if low < high and matches(line.labels, matchers):
                found.append((line, low, high))
        found.sort(key=lambda one: list(one[0].labels.items()))
        return _columns(found)


def _columns(found: Sequence[tuple[Line, int, int]]) -> SeriesColumns:
    points = list(chain.from_iterable(line.points[low:high] for line, low, high in found))
    times = list(chain.from_iterable(line.times_ms[low:high] for line, low, high in found))
    histograms = None
    if any(point.histogram is not None for point in points):
        histograms = np.empty(len(points), np.object_)
        histograms[:] = [point.histogram for point in points]
    values = [point.number if point.histogram is None else point.histogram.count for point in points]
    sizes = [0, *(high - low for _, low, high in found)]
    return SeriesColumns(
        [line.labels for line, _, _ in found],
        np.cumsum(sizes).astype(np.int64),
        np.array(times, np.int64),
        np.array(values, np.float64),
        histograms,
    )
