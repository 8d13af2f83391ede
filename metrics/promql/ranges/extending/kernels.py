"""Compiled functions over windows that reach beyond their edges."""

import numpy as np
from numba import njit

from metrics.promql.types import Bools, Floats, Ints


@njit(nogil=True, cache=True)
def first_after(timestamps: Ints, a: int, b: int, instant: int, inclusive: bool) -> int:
    """Place of the first of the samples a..b-1 after an instant (or at it, if inclusive); b where there is none."""
    while a < b:
        middle = (a + b) // 2
        if timestamps[middle] > instant or (inclusive and timestamps[middle] == instant):
            b = middle
        else:
            a = middle + 1
    return a


@njit(nogil=True, cache=True)
def on_line(timestamps: Ints, values: Floats, i: int, instant: int, counter: bool) -> float:
    """Value at an instant on the line from sample i to the next; a counter that fell started from zero."""
    low, high = values[i], values[i + 1]
    if counter and high < low:
        low = 0.0
    return float(low + (high - low) * float(instant - timestamps[i]) / float(timestamps[i + 1] - timestamps[i]))


@njit(nogil=True, cache=True)
def edges(timestamps: Ints, a: int, b: int, start: int, end: int, smooth: bool) -> tuple[int, int]:
    """Places of the samples that stand for the edges of a window, among a..b-1; (-1, -1) where there are none."""
    last = b - 1
    first = max(a, first_after(timestamps, a, last, start, False) - 1)
    if smooth:
        last = first_after(timestamps, a, last, end, True)
    if timestamps[last] <= start or (smooth and timestamps[first] > end):
        return -1, -1
    return first, last


@njit(nogil=True, cache=True)
def edge_values(
    timestamps: Ints, values: Floats, a: int, first: int, last: int, start: int, end: int, smooth: bool, counter: bool
) -> tuple[float, float]:
    """Values at the edges of a window."""
    left, right = values[first], values[last]
    if smooth and timestamps[first] < start:
        left = on_line(timestamps, values, first, start, counter)
    if smooth and last > a and timestamps[last] > end:
        right = on_line(timestamps, values, last - 1, end, counter)
    return left, right


@njit(nogil=True, cache=True)
def changes(
    offsets: Ints, timestamps: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, ends: Ints, range_ms: int,
    smooth: bool, counter: bool, per_second: bool, out: Floats, present: Bools,
) -> None:  # fmt: skip
    """Fill the change from edge to edge of each window; nothing is extrapolated."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            a, b, start, end = base + lo[r, k], base + hi[r, k], ends[k] - range_ms, ends[k]
            if a >= b:
                continue
            first, last = edges(timestamps, a, b, start, end, smooth)
            if first < 0:
                continue
            left, right = edge_values(timestamps, values, a, first, last, start, end, smooth, counter)
            change = right - left
            if counter:
                first += timestamps[first] <= start
                last -= timestamps[last] >= end
                before = left
                for j in range(first, last + 1):
                    if values[j] < before:
                        change += before
                    before = values[j]
                if right < before:
                    change += before
            out[i, k] = change / (range_ms / 1000.0) if per_second else change
            present[i, k] = True


@njit(nogil=True, cache=True)
def stretched(timestamps: Ints, values: Floats, start: int, end: int, smooth: bool) -> tuple[Ints, Floats]:
    """Return the samples of one window with one at each edge; nothing where no sample is after its start."""
    if timestamps.size == 0:
        return timestamps[:0].copy(), values[:0].copy()
    first, last = edges(timestamps, 0, timestamps.size, start, end, smooth)
    if first < 0:
        return timestamps[:0].copy(), values[:0].copy()
    left, right = edge_values(timestamps, values, 0, first, last, start, end, smooth, False)
    first += timestamps[first] <= start
    last -= timestamps[last] >= end
    inner = max(last - first + 1, 0)
    times, held = np.empty(inner + 2, np.int64), np.empty(inner + 2)
    times[0], held[0], times[inner + 1], held[inner + 1] = start, left, end, right
    for j in range(inner):
        times[j + 1], held[j + 1] = timestamps[first + j], values[first + j]
    return times, held


@njit(nogil=True, cache=True)
def between(
    offsets: Ints, timestamps: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, ends: Ints, out: Floats,
    present: Bools,
) -> None:  # fmt: skip
    """Fill the value on the line between the samples around each step, or the last one before it."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            a, b = base + lo[r, k], base + hi[r, k]
            place = first_after(timestamps, a, b, ends[k], True)
            if place < b and timestamps[place] == ends[k]:
                out[i, k] = values[place]
            elif place == a:
                continue
            elif place < b:
                out[i, k] = on_line(timestamps, values, place - 1, ends[k], False)
            else:
                out[i, k] = values[place - 1]
            present[i, k] = True


def warm_up() -> None:
    """Compile every kernel here, or load it from the cache."""
    offsets, timestamps, values = np.array([0, 3]), np.array([0, 1, 2]), np.array([1.0, 2.0, 0.5])
    row, lo, hi = np.zeros(1, np.int64), np.zeros((1, 1), np.int64), np.full((1, 1), 3)
    ends, out, present = np.array([2]), np.empty((1, 1)), np.empty((1, 1), np.bool_)
    changes(offsets, timestamps, values, row, lo, hi, ends, 1, True, True, True, out, present)
    stretched(timestamps, values, 0, 2, True)
    between(offsets, timestamps, values, row, lo, hi, ends, out, present)
