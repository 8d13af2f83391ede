"""Reading samples from the source: instant selectors, windows and subqueries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from metrics.promql.annotations import Annotations
from metrics.promql.labels import Signature
from metrics.promql.native.ranges import smoothed_instants
from metrics.promql.native.stats import NEEDS_ALL, Need
from metrics.promql.nodes import Anchor, RangeSelector, Selector
from metrics.promql.operands import Grid, RangeValue, VectorValue, refuse_too_many, stacked, vector_of
from metrics.promql.ranges.extending.windows import interpolated
from metrics.promql.types import (
    Ints,
    Limits,
    Matcher,
    PartedSource,
    QueryError,
    SeriesColumns,
    SeriesSource,
    Worked,
)
from metrics.promql.windows.bounds import contiguous, newest_in, windows_over, without_stale_markers


@dataclass(slots=True)
class Reader:
    """Reads what a query selects, within its limits and under the matchers it is held to."""

    source: SeriesSource
    query_grid: Grid
    lookback_ms: int
    limits: Limits
    deadline: Callable[[], bool]
    enforced: tuple[Matcher, ...] = ()
    notes: Annotations = field(default_factory=Annotations)
    samples: int = 0
    need: Need = NEEDS_ALL
    cache: dict[tuple[tuple[tuple[Matcher, ...], ...], int, int], SeriesColumns] = field(default_factory=dict)

    def check(self) -> None:
        """Give up once the deadline has passed."""
        if self.deadline():
            raise QueryError("query timed out in expression evaluation", kind="timeout")

    def ends_of(self, grid: Grid, offset_ms: int, anchor: Anchor) -> Ints:
        """Return where each step's window ends; an anchored selector ends at one instant always."""
        if anchor is None:
            return grid.times_ms - offset_ms
        fixed = {"start": self.query_grid.start_ms, "end": self.query_grid.end_ms}.get(str(anchor), anchor)
        return np.full(grid.count, int(fixed) - offset_ms, dtype=np.int64)

    def instant(self, selector: Selector, grid: Grid, *, sampled_at: bool = False) -> VectorValue:
        """Return the newest sample within the look-back, or with `sampled_at` when it was taken."""
        ends = self.ends_of(grid, selector.offset_ms, selector.anchor)
        if selector.smoothing == "smoothed" and not sampled_at:
            return self._smoothed(selector, grid, ends)

        first = int(ends[0]) - self.lookback_ms + 1
        newest = self._newest_of(ends, sampled_at=sampled_at)
        return stacked(self._each(selector, first, int(ends[-1]), grid.count, newest), grid.count)

    def newest_parts(self, selector: Selector, grid: Grid, work: Callable[[VectorValue], Worked]) -> list[Worked]:
        """Return what `work` makes of the newest samples, some series after the other."""
        ends = self.ends_of(grid, selector.offset_ms, selector.anchor)
        newest = self._newest_of(ends)
        first = int(ends[0]) - self.lookback_ms + 1
        return self._each(selector, first, int(ends[-1]), grid.count, lambda columns: work(newest(columns)))

    def _newest_of(self, ends: Ints, *, sampled_at: bool = False) -> Callable[[SeriesColumns], VectorValue]:
        """Return what finds the newest sample of each series within the look-back, or when it was taken."""

        def newest(columns: SeriesColumns) -> VectorValue:
            columns = self.need.of(columns)
            windows = windows_over(columns, ends, self.lookback_ms)
            values, present = newest_in(columns, windows)
            vector = vector_of(columns.labels, values, present)
            if columns.timestamps_ms.size and (sampled_at or columns.histograms is not None):
                newest = (columns.offsets[:-1, None] + windows.hi[windows.row] - 1).clip(0, columns.values.size - 1)
                if sampled_at:
                    vector.values = columns.timestamps_ms[newest] / 1000.0
                elif columns.histograms is not None:
                    vector.histograms = np.where(present, columns.histograms[newest], None)
            return vector.answered()

        return newest

    def started(self, selector: Selector, grid: Grid) -> VectorValue:
        """Return since when the newest sample within the look-back counts, in seconds; 0 where that is not known."""
        ends = self.ends_of(grid, selector.offset_ms, selector.anchor)

        def newest(columns: SeriesColumns) -> VectorValue:
            starts = np.zeros(columns.values.size, np.int64) if columns.starts_ms is None else columns.starts_ms
            windows = windows_over(columns, ends, self.lookback_ms)
            _, present = newest_in(columns, windows)
            values = np.zeros(present.shape)
            if starts.size:
                last = (columns.offsets[:-1, None] + windows.hi[windows.row] - 1).clip(0, starts.size - 1)
                values = starts[last] / 1000.0
            return vector_of(columns.labels, values, present).rows(np.flatnonzero(present.any(axis=1)))

        first = int(ends[0]) - self.lookback_ms + 1
        return stacked(self._each(selector, first, int(ends[-1]), grid.count, newest), grid.count)

    def _smoothed(self, selector: Selector, grid: Grid, ends: Ints) -> VectorValue:
        low, high = int(ends[0]) - self.lookback_ms + 1, int(ends[-1]) + self.lookback_ms
        columns = without_stale_markers(self._columns(selector, low, high))
        refuse_too_many(len(columns.labels), grid.count, self.limits)
        ranged = RangeValue(columns, np.zeros(len(columns.labels), np.bool_), ends, 0, "smoothed", self.lookback_ms)
        vector = smoothed_instants(
            self.notes, selector.place, ranged, lambda part: interpolated(part.columns, ends, self.lookback_ms)
        )
        return vector.rows(np.flatnonzero(vector.present.any(axis=1)))

    def window(self, node: RangeSelector, grid: Grid) -> RangeValue:
        """Return the samples of all windows, without stale markers."""
        first, last, ranged = self._reach(node, grid)
        columns = self._columns(node.selector, first, last)
        refuse_too_many(len(columns.labels), grid.count, self.limits)
        return ranged(columns)

    def over_windows(self, node: RangeSelector, grid: Grid, work: Callable[[RangeValue], VectorValue]) -> VectorValue:
        """Return what `work` makes of the windows, some series after the other."""
        return stacked(self.window_parts(node, grid, work), grid.count)

    def window_parts(self, node: RangeSelector, grid: Grid, work: Callable[[RangeValue], Worked]) -> list[Worked]:
        """Return what `work` makes of the windows of some series after the other."""
        first, last, ranged = self._reach(node, grid)
        return self._each(node.selector, first, last, grid.count, lambda columns: work(ranged(columns)))

    @property
    def has_parts(self) -> bool:
        """Tell whether the source hands its series out in parts."""
        return isinstance(self.source, PartedSource)

    def _reach(self, node: RangeSelector, grid: Grid) -> tuple[int, int, Callable[[SeriesColumns], RangeValue]]:
        """Return the first and last millisecond that windows need, and what makes windows of columns."""
        ends = self.ends_of(grid, node.selector.offset_ms, node.selector.anchor)
        smoothing = node.selector.smoothing
        before, after = {"anchored": (1, 0), "smoothed": (1, 1)}.get(smoothing, (0, 0))

        def ranged(columns: SeriesColumns) -> RangeValue:
            drops = np.zeros(len(columns.labels), dtype=np.bool_)
            held = self.need.of(without_stale_markers(columns))
            return RangeValue(held, drops, ends, node.range_ms, smoothing, self.lookback_ms if smoothing else 0)

        first = int(ends[0]) - node.range_ms - before * self.lookback_ms + 1
        return first, int(ends[-1]) + after * self.lookback_ms, ranged

    def _each(
        self, selector: Selector, t_min_ms: int, t_max_ms: int, steps: int, work: Callable[[SeriesColumns], Worked]
    ) -> list[Worked]:
        """Work on the series a selector finds: in the source's own parts where it has such, else all at once."""
        if not isinstance(self.source, PartedSource) or len(selector.alternatives) > 1:
            columns = self._columns(selector, t_min_ms, t_max_ms)
            refuse_too_many(len(columns.labels), steps, self.limits)
            return [work(columns)]
        found: list[int] = []

        def counted(columns: SeriesColumns) -> Worked:
            self.check()
            found.append(len(columns.labels))
            self._count(columns)
            refuse_too_many(sum(found), steps, self.limits)
            return work(contiguous(columns))

        return self.source.each((*selector.alternatives[0], *self.enforced), t_min_ms, t_max_ms, counted)

    def _count(self, columns: SeriesColumns) -> None:
        self.samples += columns.values.size
        if self.samples > self.limits.max_samples:
            raise QueryError("query processing would load too many samples into memory in query execution")

    def _columns(self, selector: Selector, t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        self.check()
        key = (selector.alternatives, t_min_ms, t_max_ms)
        if key not in self.cache:
            parts = [
                contiguous(self.source.select((*matchers, *self.enforced), t_min_ms, t_max_ms))
                for matchers in selector.alternatives
            ]
            self.cache[key] = parts[0] if len(parts) == 1 else joined(parts)
            self._count(self.cache[key])
            refuse_too_many(len(self.cache[key].labels), 1, self.limits)
        return self.cache[key]


def joined(parts: Sequence[SeriesColumns]) -> SeriesColumns:
    """Put the series of several selections together; one found twice counts once."""
    labels: list[dict[str, str]] = []
    pieces: list[tuple[SeriesColumns, int]] = []
    seen: set[Signature] = set()
    for part in parts:
        for row, names in enumerate(part.labels):
            signature = frozenset(names.items())
            if signature not in seen:
                seen.add(signature)
                labels.append(names)
                pieces.append((part, row))
    spans = [slice(int(part.offsets[row]), int(part.offsets[row + 1])) for part, row in pieces]
    offsets = np.concatenate(([0], np.cumsum([span.stop - span.start for span in spans], dtype=np.int64)))
    times = [part.timestamps_ms[span] for (part, _), span in zip(pieces, spans, strict=True)]
    values = [part.values[span] for (part, _), span in zip(pieces, spans, strict=True)]
    histograms = [
        np.full(span.stop - span.start, None, np.object_) if part.histograms is None else part.histograms[span]
        for (part, _), span in zip(pieces, spans, strict=True)
    ]
    starts = [
        np.zeros(span.stop - span.start, np.int64) if part.starts_ms is None else part.starts_ms[span]
        for (part, _), span in zip(pieces, spans, strict=True)
    ]
    return SeriesColumns(
        labels,
        offsets.astype(np.int64),
        np.concatenate([*times, np.empty(0, np.int64)]),
        np.concatenate([*values, np.empty(0)]),
        None
        if all(part.histograms is None for part in parts)
        else np.concatenate([*histograms, np.empty(0, np.object_)]),
        None if all(part.starts_ms is None for part in parts) else np.concatenate([*starts, np.empty(0, np.int64)]),
    )


def columns_of(vector: VectorValue, grid: Grid) -> SeriesColumns:
    """Turn an evaluated grid into samples, as a subquery does."""
    counts = vector.present.sum(axis=1)
    times = np.broadcast_to(grid.times_ms, vector.present.shape)
    return SeriesColumns(
        vector.labels,
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        np.ascontiguousarray(times[vector.present]),
        np.ascontiguousarray(vector.values[vector.present]),
        None if vector.histograms is None else vector.histograms[vector.present],
    )
