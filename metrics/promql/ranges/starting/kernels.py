"""Compiled rates of counters whose samples know since when they count.

`resets` counts for each sample how often its counter was reset so far, over all series.
"""

import numpy as np
from numba import njit

from metrics.promql.types import Bools, Floats, Ints


@njit(nogil=True, cache=True)
def stretch(sampled: float, before: float, after: float, spacing: float, opening: float, change: float) -> float:
    """Return by what a change is stretched to the edges of its window; where `before` is negative, at the end only."""
    threshold = spacing * 1.1
    if after >= threshold:
        after = spacing / 2.0
    if before < 0.0:
        before = 0.0
    else:
        if before >= threshold:
            before = spacing / 2.0
        if change > 0.0 and opening >= 0.0:
            before = min(before, sampled * (opening / change))
    return (sampled + before + after) / sampled


@njit(nogil=True, cache=True)
def growth(
    offsets: Ints, timestamps: Ints, starts: Ints, values: Floats, resets: Ints, row: Ints, lo: Ints, hi: Ints,
    ends: Ints, range_ms: int, per_second: bool, out: Floats, present: Bools,
) -> None:  # fmt: skip
    """Rate and increase; a counter that started within the window was zero then, and one sample of it is enough."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            low, high = base + lo[r, k], base + hi[r, k] - 1
            if high < low:
                continue
            begin, since = ends[k] - range_ms, starts[low]
            started = since != 0 and begin < since < timestamps[low]
            if high == low and not started:
                continue
            change = values[high] - values[low]
            if resets[high] != resets[low]:
                for j in range(low + 1, high + 1):
                    if resets[j] != resets[j - 1]:
                        change += values[j - 1]
            sampled = (timestamps[high] - timestamps[low]) / 1000.0
            spacing = sampled / (high - low) if high > low else 0.0
            before = (timestamps[low] - begin) / 1000.0
            if started:
                before = -1.0
                sampled = (timestamps[high] - since) / 1000.0
                change += values[low]
            factor = stretch(sampled, before, (ends[k] - timestamps[high]) / 1000.0, spacing, values[low], change)
            if per_second:
                factor /= range_ms / 1000.0
            out[i, k] = change * factor
            present[i, k] = True


@njit(nogil=True, cache=True)
def newest_growth(
    offsets: Ints, timestamps: Ints, values: Floats, resets: Ints, row: Ints, lo: Ints, hi: Ints, out: Floats
) -> None:
    """Irate: the change between the last two samples; a counter that was reset started from zero."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            if hi[r, k] - lo[r, k] < 2:
                continue
            last = base + hi[r, k] - 1
            change = values[last]
            if resets[last] == resets[last - 1]:
                change -= values[last - 1]
            out[i, k] = change / ((timestamps[last] - timestamps[last - 1]) / 1000.0)


def warm_up() -> None:
    """Compile every kernel here, or load it from the cache."""
    offsets, timestamps, values = np.array([0, 3]), np.array([1, 2, 3]), np.array([1.0, 2.0, 0.5])
    starts, resets, row = np.zeros(3, np.int64), np.array([0, 0, 1]), np.zeros(1, np.int64)
    lo, hi, out = np.zeros((1, 1), np.int64), np.full((1, 1), 3), np.empty((1, 1))
    present, ends = np.zeros((1, 1), np.bool_), np.array([3])
    growth(offsets, timestamps, starts, values, resets, row, lo, hi, ends, 3, True, out, present)
    newest_growth(offsets, timestamps, values, resets, row, lo, hi, out)
