"""Classic histograms of a script, converted to native ones with listed bounds."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from metrics.native_histograms.layout import compacted
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, Span
from metrics.promql.labels import NAME
from metrics.promql.numbers import bound_of
from metrics.promql.scripts.durations import BadScript
from metrics.promql.scripts.series import Point, Series

BOUND = "le"


@dataclass(slots=True)
class _Gathered:
    """The cumulative buckets of one instant."""

    bounds: list[float] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)
    count: float | None = None
    sum: float = 0.0

    def add_bucket(self, bound: float, count: float) -> None:
        if count < 0:
            raise BadScript(f"bucket count must be non-negative: le={bound:g}, count={count:g}")
        place = bisect_left(self.bounds, bound)
        if place < len(self.bounds) and self.bounds[place] == bound:
            return
        below, above = self.counts[place - 1 : place] if place else [], self.counts[place : place + 1]
        if any(count < other for other in below) or any(count > other for other in above):
            raise BadScript(f"count is not cumulative: le={bound:g}, count={count:g}")
        self.bounds.insert(place, bound)
        self.counts.insert(place, count)

    def histogram(self) -> Histogram:
        count = self.count if self.count is not None else (self.counts[-1] if self.counts else 0.0)
        bounds, counts = list(self.bounds), list(self.counts)
        if not bounds or bounds[-1] != math.inf:
            bounds.append(math.inf)
            counts.append(count)
        if count != counts[-1]:
            raise BadScript(f"count mismatch: count={count:g} != le={bounds[-1]:g} count={counts[-1]:g}")
        own = [here - before for here, before in zip(counts, [0.0, *counts], strict=False)]
        return compacted(
            Histogram(
                CUSTOM_SCHEMA, count, self.sum,
                positive_spans=(Span(0, len(own)),), positive=tuple(own), custom_values=tuple(bounds[:-1]),
            )
        )  # fmt: skip


def native_series(series: Iterable[Series]) -> Iterator[Series]:
    """Return a native series for each classic histogram among the series of one load."""
    found: dict[frozenset[tuple[str, str]], dict[int, _Gathered]] = {}
    longest = 0
    for one in series:
        base = _base_of(one.labels)
        if base is None:
            continue
        longest = max(longest, len(one.points))
        held = found.setdefault(frozenset(base.items()), {})
        for place, point in enumerate(one.points):
            if point.value is not None:
                _take(held.setdefault(place, _Gathered()), one.labels, point.value)
    for labels, held in found.items():
        points = [Point(None, held[place].histogram()) if place in held else Point() for place in range(longest)]
        yield Series(dict(labels), points)


def _base_of(labels: dict[str, str]) -> dict[str, str] | None:
    name = labels.get(NAME, "")
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix):
            if suffix == "_bucket" and _bound(labels) is None:
                return None
            kept = {label: value for label, value in labels.items() if label != BOUND}
            return kept | {NAME: name.removesuffix(suffix)}
    return None


def _bound(labels: dict[str, str]) -> float | None:
    bound = bound_of(labels.get(BOUND, ""))
    return None if bound is None or math.isnan(bound) else bound


def _take(held: _Gathered, labels: dict[str, str], value: float) -> None:
    name = labels[NAME]
    if name.endswith("_sum"):
        held.sum = value
    elif name.endswith("_count"):
        held.count = value
    else:
        held.add_bucket(_bound(labels) or 0.0, value)
