"""Compiled quantiles and fractions of classic histograms, one value a histogram and step.

Histogram g holds the series members[starts[g]:starts[g + 1]], sorted by their upper bounds.
"""

import numpy as np
from numba import njit

from metrics.promql.types import Bools, Floats, Ints

# Below this relative difference two bucket counts differ by rounding alone.
SMALL_DELTA = 1e-12
SMALLEST_NORMAL = 2.2250738585072014e-308
LARGEST = 1.7976931348623157e308


@njit(nogil=True, cache=True)
def gathered(
    values: Floats, present: Bools, rows: Ints, row_bounds: Floats, step: int, bounds: Floats, counts: Floats
) -> int:
    """Copy what is present at a step, counts of equal bounds added up; returns how many buckets there are."""
    size = 0
    for place in range(rows.size):
        row, bound = rows[place], row_bounds[place]
        if not present[row, step]:
            continue
        if size > 0 and bounds[size - 1] == bound:
            counts[size - 1] += values[row, step]
        else:
            bounds[size], counts[size] = bound, values[row, step]
            size += 1
    return size


@njit(nogil=True, cache=True)
def nearly_equal(a: float, b: float) -> bool:
    """Tell whether two counts differ by rounding alone."""
    total, apart = abs(a) + abs(b), abs(a - b)
    if a == 0.0 or b == 0.0 or total < SMALLEST_NORMAL:
        return bool(apart < SMALL_DELTA * SMALLEST_NORMAL)
    return bool(apart / min(total, LARGEST) < SMALL_DELTA)


@njit(nogil=True, cache=True)
def levelled(counts: Floats) -> bool:
    """Take back what falls, or rises by rounding alone; returns whether something truly fell.

    NaN stays and forgets what came before it.
    """
    before = counts[0]
    fell = False
    for i in range(1, counts.size):
        here = counts[i]
        if here == before:
            continue
        if nearly_equal(before, here):
            counts[i] = before
        elif here < before:
            counts[i] = before
            fell = True
        else:
            before = here
    return fell


@njit(nogil=True, cache=True)
def first_reaching(counts: Floats, rank: float) -> int:
    """Bisect for the first count that reaches the rank; a count that is NaN reaches nothing."""
    low, high = 0, counts.size
    while low < high:
        middle = (low + high) // 2
        if counts[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    return low


@njit(nogil=True, cache=True, error_model="numpy")
def quantile_of_buckets(q: float, bounds: Floats, counts: Floats) -> float:
    """Interpolate linearly within the bucket that holds the quantile; the counts do not fall."""
    if np.isnan(q):
        return np.nan
    if q < 0.0:
        return -np.inf
    if q > 1.0:
        return np.inf
    last = bounds.size - 1
    if bounds[last] != np.inf or last < 1 or counts[last] == 0.0:
        return np.nan
    rank = q * counts[last]
    bucket = first_reaching(counts[:last], rank)
    if bucket == last:
        return float(bounds[last - 1])
    if bucket == 0 and bounds[0] <= 0.0:
        return float(bounds[0])
    start = bounds[bucket - 1] if bucket > 0 else 0.0
    below = counts[bucket - 1] if bucket > 0 else 0.0
    return float(start + (bounds[bucket] - start) * ((rank - below) / (counts[bucket] - below)))


@njit(nogil=True, cache=True, error_model="numpy")
def rank_of_value(value: float, bounds: Floats, counts: Floats) -> float:
    """Estimate how many observations are at most a value."""
    total = counts[bounds.size - 1]
    start, below = 0.0 if bounds[0] > 0.0 else -np.inf, 0.0
    for i in range(bounds.size):
        if start >= value:
            return float(min(below, total))
        if bounds[i] > value:
            if np.isinf(start):
                return float(min(counts[i], total))
            rank = below + (counts[i] - below) * (value - start) / (bounds[i] - start)
            return float(min(rank, total))
        start, below = bounds[i], counts[i]
    return float(total)


@njit(nogil=True, cache=True, error_model="numpy")
def fraction_of_buckets(lower: float, upper: float, bounds: Floats, counts: Floats) -> float:
    """Return the share of observations between two values."""
    last = bounds.size - 1
    total = counts[last]
    if bounds[last] != np.inf or total == 0.0 or np.isnan(lower) or np.isnan(upper):
        return np.nan
    if lower >= upper:
        return 0.0
    return float((rank_of_value(upper, bounds, counts) - rank_of_value(lower, bounds, counts)) / total)


@njit(nogil=True, cache=True)
def histogram_quantiles(
    q: Floats, values: Floats, present: Bools, starts: Ints, members: Ints, row_bounds: Floats, out: Floats,
    seen: Bools, forced: Bools,
) -> None:  # fmt: skip
    """Fill the quantile q[k] of each histogram at each step k where it has a bucket.

    `forced` tells where the counts of complete buckets had to be made to rise.
    """
    bounds, counts = np.empty(members.size), np.empty(members.size)
    for g in range(starts.size - 1):
        span = slice(starts[g], starts[g + 1])
        for k in range(out.shape[1]):
            size = gathered(values, present, members[span], row_bounds[span], k, bounds, counts)
            seen[g, k] = size > 0
            if size > 0:
                fell = levelled(counts[:size])
                forced[g, k] = fell and bounds[size - 1] == np.inf and 0.0 <= q[k] <= 1.0
                out[g, k] = quantile_of_buckets(q[k], bounds[:size], counts[:size])


@njit(nogil=True, cache=True)
def histogram_fractions(
    limits: Floats, values: Floats, present: Bools, starts: Ints, members: Ints, row_bounds: Floats, out: Floats,
    seen: Bools,
) -> None:  # fmt: skip
    """Fill the share between limits[0, k] and limits[1, k] of each histogram at each step k where it has a bucket."""
    bounds, counts = np.empty(members.size), np.empty(members.size)
    for g in range(starts.size - 1):
        span = slice(starts[g], starts[g + 1])
        for k in range(out.shape[1]):
            size = gathered(values, present, members[span], row_bounds[span], k, bounds, counts)
            seen[g, k] = size > 0
            if size > 0:
                out[g, k] = fraction_of_buckets(limits[0, k], limits[1, k], bounds[:size], counts[:size])


@njit(nogil=True, cache=True)
def histogram_falls(
    values: Floats, present: Bools, starts: Ints, members: Ints, row_bounds: Floats, forced: Bools, falls: Floats
) -> None:
    """Note of each histogram where its counts fell at the forced steps.

    falls[g] is the lowest and the highest bound whose count was below one before it, and by how much at most.
    """
    bounds, counts = np.empty(members.size), np.empty(members.size)
    for g in range(starts.size - 1):
        span = slice(starts[g], starts[g + 1])
        for k in range(forced.shape[1]):
            if not forced[g, k]:
                continue
            size = gathered(values, present, members[span], row_bounds[span], k, bounds, counts)
            before = counts[0]
            for i in range(1, size):
                here = counts[i]
                if here == before or nearly_equal(before, here):
                    continue
                if here < before:
                    falls[g, 0] = min(falls[g, 0], bounds[i])
                    falls[g, 1] = max(falls[g, 1], bounds[i])
                    falls[g, 2] = max(falls[g, 2], before - here)
                else:
                    before = here


def warm_up() -> None:
    """Compile every kernel here, or load it from the cache."""
    values, present, out = np.ones((1, 1)), np.ones((1, 1), np.bool_), np.empty((1, 1))
    starts, members, bounds = np.array([0, 1]), np.zeros(1, np.int64), np.array([np.inf])
    seen = present.copy()
    histogram_quantiles(np.array([0.5]), values, present, starts, members, bounds, out, seen, present.copy())
    histogram_fractions(np.ones((2, 1)), values, present, starts, members, bounds, out, present.copy())
    histogram_falls(values, present, starts, members, bounds, present, np.zeros((1, 3)))
