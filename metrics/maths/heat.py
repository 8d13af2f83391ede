"""Heat maps: how many observations fell into which bucket when; from classic buckets or native histograms, no I/O."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.native_histograms.buckets import Bucket, all_buckets
from metrics.native_histograms.model import Histogram
from metrics.promql.numbers import bound_of
from metrics.promql.types import Floats, QueryResult

MOST_ROWS = 40
MOST_CELLS = 20_000
LEVELS = 8


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One bucket: the observations above `low` up to `high`, a number for each time."""

    low: float
    high: float
    counts: list[float]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Buckets, lowest first, by times in milliseconds; `joined` buckets share a row, `left_out` cells did not fit."""

    times_ms: list[int]
    rows: list[HeatRow]
    native: bool
    joined: int = 1
    left_out: int = 0

    @property
    def highest(self) -> float:
        """Return the largest number in a cell."""
        return max((max(row.counts, default=0.0) for row in self.rows), default=0.0)

    def levels(self) -> list[list[int]]:
        """Return how hot each cell is, from 0 (nothing) to 8; the root keeps the few beside the many visible."""
        top = self.highest
        if top <= 0:
            return [[0] * len(row.counts) for row in self.rows]
        return [[math.ceil(LEVELS * math.sqrt(max(count, 0.0) / top)) for count in row.counts] for row in self.rows]


def heat_of(result: QueryResult) -> HeatMap | None:
    """Return the heat map of an answer that holds buckets, None where it holds none."""
    with np.errstate(over="ignore", invalid="ignore"):
        if result.histograms is not None and any(cell is not None for cell in result.histograms.ravel()):
            return _native(result)
        if any("le" in labels for labels in result.labels):
            return _classic(result)
    return None


def _classic(result: QueryResult) -> HeatMap:
    """Take each bucket's share from counts that include all lower buckets."""
    totals: defaultdict[float, Floats] = defaultdict(lambda: np.zeros(result.timestamps_ms.size))
    for labels, values, present in zip(result.labels, result.values, result.present, strict=True):
        bound = bound_of(labels.get("le", ""))
        if bound is not None and not math.isnan(bound):
            totals[bound] += np.where(present & np.isfinite(values), values, 0.0)
    bounds = sorted(totals)
    if not bounds:
        return HeatMap(result.timestamps_ms.tolist(), [], native=False)
    # A bucket with less than the one below it is a scrape cut in two: nothing is there, not less than nothing.
    shares = np.diff(np.array([totals[bound] for bound in bounds]), axis=0, prepend=0.0).clip(0.0)
    first = 0.0 if bounds[0] > 0 else -math.inf
    return _map(result, [first, *bounds], shares, native=False)


def _native(result: QueryResult) -> HeatMap:
    places = [] if result.histograms is None else np.argwhere(result.present).tolist()
    cells: list[tuple[int, Histogram]] = []
    for row, column in places:
        histogram = None if result.histograms is None else result.histograms[row, column]
        if histogram is not None:
            cells.append((column, histogram))
    kept = cells[:MOST_CELLS]
    edges = _edges([histogram for _, histogram in kept])
    shares = np.zeros((max(len(edges) - 1, 0), result.timestamps_ms.size))
    for column, histogram in kept:
        for bucket in all_buckets(histogram):
            if bucket.count > 0 and edges:
                shares[_row(edges, bucket), column] += bucket.count
    return _map(result, edges, shares, native=True, left_out=len(cells) - len(kept))


def _edges(histograms: Sequence[Histogram]) -> list[float]:
    """Return the bounds of the coarsest histograms, and those of the others where they reach beyond them."""
    coarsest = min((each.schema for each in histograms if not each.is_custom), default=0)
    edges: set[float] = set()
    beyond: set[float] = set()
    for each in histograms:
        own = {edge for bucket in all_buckets(each) if bucket.count > 0 for edge in (bucket.lower, bucket.upper)}
        if each.is_custom or each.schema == coarsest:
            edges |= own
        else:
            beyond |= own
    low, high = min(edges, default=math.inf), max(edges, default=-math.inf)
    return sorted(edges | {edge for edge in beyond if edge < low or edge > high})


def _row(edges: Sequence[float], bucket: Bucket) -> int:
    return min(max(bisect_left(edges, bucket.upper) - 1, 0), len(edges) - 2)


def _map(result: QueryResult, edges: Sequence[float], shares: Floats, *, native: bool, left_out: int = 0) -> HeatMap:
    """Leave out empty rows at both ends, and join neighbours where there are too many rows to look at."""
    times = result.timestamps_ms.tolist()
    # Senders may count without end: no colour can be worked out of infinity, so it is the largest number there is.
    shares = np.nan_to_num(shares)
    used = np.flatnonzero(shares.any(axis=1))
    if not used.size:
        return HeatMap(times, [], native, left_out=left_out)
    first, end = int(used[0]), int(used[-1]) + 1
    joined = math.ceil((end - first) / MOST_ROWS)
    starts = list(range(first, end, joined))
    counts = np.nan_to_num(np.add.reduceat(shares[:end], starts, axis=0))
    rows = [
        HeatRow(edges[start], edges[min(start + joined, end)], counts[place].tolist())
        for place, start in enumerate(starts)
    ]
    return HeatMap(times, rows, native, joined, left_out)
