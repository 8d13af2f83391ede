"""Windows over columns: bounds once for each distinct row of timestamps."""

from dataclasses import dataclass

import numpy as np

from metrics.promql.operands import RangeValue
from metrics.promql.types import STALE_NAN_BITS, Bools, Floats, Ints, SeriesColumns, SharedTimes
from metrics.promql.windows import kernels

NO_TIMES = np.empty(0, np.int64), np.empty(0, np.int64)


@dataclass(slots=True)
class Windows:
    """For series i and step k, samples lo[row[i], k]:hi[row[i], k] counted from the start of the series."""

    row: Ints
    lo: Ints
    hi: Ints
    # All timestamps, and where those of each distinct row begin.
    times: tuple[Ints, Ints] = NO_TIMES

    @property
    def counts(self) -> Ints:
        """Return how many samples each series has in each window."""
        counts: Ints = (self.hi - self.lo)[self.row]
        return counts

    def holding(self, needed: int) -> Bools:
        """Tell for each series and step whether there are so many samples."""
        held: Bools = (self.hi - self.lo >= needed)[self.row]
        return held


def windows_over(columns: SeriesColumns, ends_ms: Ints, range_ms: int) -> Windows:
    """Find the windows (end - range_ms, end] of each series."""
    if isinstance(columns, SharedTimes):
        return _shared_windows(columns, ends_ms, range_ms)
    series = len(columns.labels)
    row, first = np.empty(series, np.int64), np.empty(series, np.int64)
    distinct = kernels.timestamp_rows(columns.offsets, columns.timestamps_ms, row, first)
    lo, hi = np.empty((distinct, ends_ms.size), np.int64), np.empty((distinct, ends_ms.size), np.int64)
    kernels.window_bounds(columns.offsets, columns.timestamps_ms, first[:distinct], ends_ms, range_ms, lo, hi)
    return Windows(row, lo, hi, (columns.timestamps_ms, columns.offsets[first[:distinct]]))


def _shared_windows(columns: SharedTimes, ends_ms: Ints, range_ms: int) -> Windows:
    """Find the windows of the one row of timestamps that all series have."""
    lo, hi = np.empty((1, ends_ms.size), np.int64), np.empty((1, ends_ms.size), np.int64)
    begin = np.zeros(1, np.int64)
    span = np.array([0, columns.shared_ms.size])
    kernels.window_bounds(span, columns.shared_ms, begin, ends_ms, range_ms, lo, hi)
    return Windows(np.zeros(len(columns.labels), np.int64), lo, hi, (columns.shared_ms, begin))


def wide_windows(ranged: RangeValue) -> Windows:
    """Return for each step the samples its window may look at."""
    after = ranged.lookback_ms if ranged.smoothing == "smoothed" else 0
    return windows_over(ranged.columns, ranged.ends_ms + after, ranged.range_ms + ranged.lookback_ms + after)


def newest_in(columns: SeriesColumns, windows: Windows) -> tuple[Floats, Bools]:
    """Return the newest sample of each window and whether it counts."""
    shape = (len(columns.labels), windows.lo.shape[1])
    values, present = np.empty(shape), np.empty(shape, np.bool_)
    bits = columns.values.view(np.int64)
    kernels.newest_samples(columns.offsets, columns.values, bits, windows.row, windows.lo, windows.hi, values, present)
    return values, present


def without_stale_markers(columns: SeriesColumns) -> SeriesColumns:
    """Drop stale markers, which no function over a range sees."""
    if isinstance(columns, SharedTimes) and not columns.may_be_stale:
        return columns
    stale = columns.values.view(np.int64) == STALE_NAN_BITS
    if not bool(stale.any()):
        return columns
    kept = ~stale
    before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
    return SeriesColumns(
        columns.labels,
        before[columns.offsets],
        columns.timestamps_ms[kept],
        columns.values[kept],
        None if columns.histograms is None else columns.histograms[kept],
        None if columns.starts_ms is None else columns.starts_ms[kept],
    )


def contiguous(columns: SeriesColumns) -> SeriesColumns:
    """Give columns the exact types the kernels are compiled for."""
    if isinstance(columns, SharedTimes):
        return columns
    return SeriesColumns(
        columns.labels,
        np.ascontiguousarray(columns.offsets, np.int64),
        np.ascontiguousarray(columns.timestamps_ms, np.int64),
        np.ascontiguousarray(columns.values, np.float64),
        columns.histograms,
        None if columns.starts_ms is None else np.ascontiguousarray(columns.starts_ms, np.int64),
    )
