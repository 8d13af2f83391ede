"""Compiled walks over ragged columns that find each step's samples."""

import numpy as np
from numba import njit

from metrics.promql.types import STALE_NAN_BITS, Bools, Floats, Ints

STALE = np.int64(STALE_NAN_BITS)


@njit(nogil=True, cache=True)
def timestamp_rows(offsets: Ints, timestamps: Ints, row: Ints, first: Ints) -> int:
    """Count and number the distinct timestamp rows; neighbours scraped together share one."""
    count = 0
    for i in range(offsets.size - 1):
        begin, end = offsets[i], offsets[i + 1]
        same = i > 0 and end - begin == begin - offsets[i - 1]
        if same:
            before = offsets[i - 1]
            for k in range(end - begin):
                if timestamps[begin + k] != timestamps[before + k]:
                    same = False
                    break
        if not same:
            first[count] = i
            count += 1
        row[i] = count - 1
    return count


@njit(nogil=True, cache=True)
def window_bounds(offsets: Ints, timestamps: Ints, first: Ints, ends: Ints, range_ms: int, lo: Ints, hi: Ints) -> None:
    """Fill lo and hi so that rows lo..hi-1 of a series lie in (end - range_ms, end]; ends must not fall."""
    for r in range(first.size):
        begin, stop = offsets[first[r]], offsets[first[r] + 1]
        low, high = begin, begin
        for k in range(ends.size):
            end = ends[k]
            start = end - range_ms
            while high < stop and timestamps[high] <= end:
                high += 1
            while low < high and timestamps[low] <= start:
                low += 1
            lo[r, k] = low - begin
            hi[r, k] = high - begin


@njit(nogil=True, cache=True)
def newest_samples(
    offsets: Ints, values: Floats, bits: Ints, row: Ints, lo: Ints, hi: Ints, out: Floats, present: Bools
) -> None:
    """Take the last sample of each window; a stale marker means that the series is gone."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            found = hi[r, k] > lo[r, k]
            if found:
                place = base + hi[r, k] - 1
                found = bits[place] != STALE
                out[i, k] = values[place]
            present[i, k] = found


def warm_up() -> None:
    """Compile every kernel here, or load it from the cache."""
    offsets, timestamps = np.array([0, 1]), np.array([1])
    row, first = np.zeros(1, np.int64), np.zeros(1, np.int64)
    timestamp_rows(offsets, timestamps, row, first)
    lo, hi = np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64)
    window_bounds(offsets, timestamps, first, np.array([1]), 1, lo, hi)
    values = np.ones(1)
    newest_samples(offsets, values, values.view(np.int64), row, lo, hi, np.empty((1, 1)), np.empty((1, 1), np.bool_))
