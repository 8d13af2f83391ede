"""Compiled functions over windows. Each walks ragged columns and fills one value a step."""

import numpy as np
from numba import njit

from metrics.promql.types import Floats, Ints

SUM, AVG, COUNT, LAST, FIRST, STDVAR, STDDEV, MAD, QUANTILE = range(9)
TS_OF_MAX, TS_OF_MIN, TS_OF_LAST, TS_OF_FIRST, CHANGES, RESETS = range(9, 15)


@njit(nogil=True, cache=True, inline="always")
def compensated(term: float, total: float, lost: float) -> tuple[float, float]:
    """Add with Neumaier's compensation; the error is forgotten once the sum is infinite."""
    together = total + term
    if np.isinf(together):
        lost = 0.0
    elif abs(total) >= abs(term):
        lost += (total - together) + term
    else:
        lost += (term - together) + total
    return together, lost


@njit(nogil=True, cache=True)
def window_sum(values: Floats, a: int, b: int) -> float:
    """Sum with compensation."""
    total, lost = 0.0, 0.0
    for i in range(a, b):
        total, lost = compensated(values[i], total, lost)
    return float(total if np.isinf(total) else total + lost)


@njit(nogil=True, cache=True)
def window_mean(values: Floats, a: int, b: int) -> float:
    """Average by the sum until it would overflow, then incrementally."""
    total, lost, mean = values[a], 0.0, 0.0
    incremental = False
    for i in range(a + 1, b):
        count = float(i - a + 1)
        if not incremental:
            new_total, new_lost = compensated(values[i], total, lost)
            if not np.isinf(new_total):
                total, lost = new_total, new_lost
                continue
            incremental = True
            mean = total / (count - 1.0)
            lost /= count - 1.0
        share = (count - 1.0) / count
        mean, lost = compensated(values[i] / count, share * mean, share * lost)
    if incremental:
        return mean + lost
    return float(total / (b - a) + lost / (b - a))


@njit(nogil=True, cache=True)
def window_variance(values: Floats, a: int, b: int) -> float:
    """Return the population variance by Welford's method with compensation."""
    count, mean, mean_lost, spread, spread_lost = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(a, b):
        count += 1.0
        delta = values[i] - (mean + mean_lost)
        mean, mean_lost = compensated(delta / count, mean, mean_lost)
        spread, spread_lost = compensated(delta * (values[i] - (mean + mean_lost)), spread, spread_lost)
    return (spread + spread_lost) / count


@njit(nogil=True, cache=True)
def quantile_of(q: float, values: Floats) -> float:
    """Interpolated quantile of all values, which are sorted in place; NaN counts as the smallest value."""
    if values.size == 0 or np.isnan(q):
        return np.nan
    if q < 0.0:
        return -np.inf
    if q > 1.0:
        return np.inf
    values.sort()
    last = values.size - 1
    unknown = 0
    while unknown <= last and np.isnan(values[last - unknown]):
        unknown += 1
    rank = q * last
    lower = int(np.floor(rank))
    upper = min(last, lower + 1)
    weight = rank - np.floor(rank)
    low = np.nan if lower < unknown else values[lower - unknown]
    high = np.nan if upper < unknown else values[upper - unknown]
    return float(low * (1.0 - weight) + high * weight)


@njit(nogil=True, cache=True)
def window_deviation(values: Floats, a: int, b: int) -> float:
    """Median of the absolute distances to the median."""
    if np.isnan(values[a:b]).any():
        return np.nan
    median = quantile_of(0.5, values[a:b].copy())
    return quantile_of(0.5, np.abs(values[a:b] - median))


@njit(nogil=True, cache=True)
def window_extreme(values: Floats, a: int, b: int, highest: bool, latest: bool) -> int:
    """Place of the extreme value; NaN loses against everything. `latest` decides among equals."""
    best = a
    for i in range(a + 1, b):
        candidate, held = values[i], values[best]
        better = candidate > held if highest else candidate < held
        if better or np.isnan(held) or (latest and candidate == held):
            best = i
    return best


@njit(nogil=True, cache=True)
def window_changes(values: Floats, a: int, b: int) -> float:
    """How often the value changed; NaN after NaN is no change."""
    count = 0
    for i in range(a + 1, b):
        if values[i] != values[i - 1] and not (np.isnan(values[i]) and np.isnan(values[i - 1])):
            count += 1
    return float(count)


@njit(nogil=True, cache=True)
def window_resets(values: Floats, a: int, b: int) -> float:
    """How often the value fell."""
    count = 0
    for i in range(a + 1, b):
        if values[i] < values[i - 1]:
            count += 1
    return float(count)


@njit(nogil=True, cache=True)
def window_statistic(op: int, parameter: float, values: Floats, a: int, b: int) -> float:
    """Reduce one window that is not empty to a number."""
    if op == SUM:
        return window_sum(values, a, b)
    if op == AVG:
        return window_mean(values, a, b)
    if op == COUNT:
        return float(b - a)
    if op == LAST:
        return float(values[b - 1])
    if op == FIRST:
        return float(values[a])
    if op == STDVAR:
        return window_variance(values, a, b)
    if op == STDDEV:
        return float(np.sqrt(window_variance(values, a, b)))
    if op == MAD:
        return window_deviation(values, a, b)
    if op == QUANTILE:
        return quantile_of(parameter, values[a:b].copy())
    if op == CHANGES:
        return window_changes(values, a, b)
    return window_resets(values, a, b)


@njit(nogil=True, cache=True)
def reduce_windows(
    op: int, parameters: Floats, offsets: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, out: Floats
) -> None:
    """Reduce each window that is not empty."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            if lo[r, k] < hi[r, k]:
                out[i, k] = window_statistic(op, parameters[k], values, base + lo[r, k], base + hi[r, k])


@njit(nogil=True, cache=True)
def sliding_extremes(highest: bool, offsets: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, out: Floats) -> None:
    """Highest or lowest value of each window in one walk; NaN only where there is nothing else.

    The places that may still become the extreme of a later window wait in a queue, the best one first (Lemire 2006,
    "Streaming maximum-minimum filter"); bounds of windows never fall.
    """
    longest = 0
    for i in range(offsets.size - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    queue = np.empty(longest + 1, np.int64)
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        first, last, seen = 0, 0, 0
        for k in range(lo.shape[1]):
            low, high = lo[r, k], hi[r, k]
            for j in range(max(seen, low), high):
                value = values[base + j]
                if np.isnan(value):
                    continue
                while last > first:
                    held = values[base + queue[last - 1]]
                    if (held > value) if highest else (held < value):
                        break
                    last -= 1
                if last == first:
                    first, last = 0, 0
                queue[last] = j
                last += 1
            seen = max(seen, high)
            while first < last and queue[first] < low:
                first += 1
            if low < high:
                out[i, k] = values[base + queue[first]] if first < last else np.nan


@njit(nogil=True, cache=True)
def window_instants(
    op: int, offsets: Ints, timestamps: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, out: Floats
) -> None:
    """Write when the first, last, highest or lowest sample of each window was taken, in seconds."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            a, b = base + lo[r, k], base + hi[r, k]
            if a >= b:
                continue
            place = a
            if op == TS_OF_LAST:
                place = b - 1
            elif op != TS_OF_FIRST:
                place = window_extreme(values, a, b, op == TS_OF_MAX, True)
            out[i, k] = timestamps[place] / 1000.0


@njit(nogil=True, cache=True)
def extrapolated(
    offsets: Ints, timestamps: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints,
    ends: Ints, range_ms: int, counter: bool, per_second: bool, out: Floats,
) -> None:  # fmt: skip
    """Rate, increase and delta: the change in a window, stretched to its edges as far as the spacing allows."""
    steps = lo.shape[1]
    longest = 0
    for i in range(offsets.size - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    falls = np.zeros(longest + 1, np.int64)
    to_start, to_end, sampled = np.empty(steps), np.empty(steps), np.empty(steps)
    known = -1
    for i in range(offsets.size - 1):
        base, stop, r = offsets[i], offsets[i + 1], row[i]
        if r != known:
            known = r
            for k in range(steps):
                a, b = base + lo[r, k], base + hi[r, k]
                if b - a >= 2:
                    to_start[k] = (timestamps[a] - (ends[k] - range_ms)) / 1000.0
                    to_end[k] = (ends[k] - timestamps[b - 1]) / 1000.0
                    sampled[k] = (timestamps[b - 1] - timestamps[a]) / 1000.0
        if counter:
            for j in range(1, stop - base):
                falls[j] = falls[j - 1] + (1 if values[base + j] < values[base + j - 1] else 0)
        for k in range(steps):
            low, high = lo[r, k], hi[r, k] - 1
            if high <= low:
                continue
            opening = values[base + low]
            change = values[base + high] - opening
            if counter and falls[high] != falls[low]:
                for j in range(base + low + 1, base + high + 1):
                    if values[j] < values[j - 1]:
                        change += values[j - 1]
            spacing = sampled[k] / (high - low)
            threshold = spacing * 1.1
            before = to_start[k] if to_start[k] < threshold else spacing / 2.0
            if counter and change > 0.0 and opening >= 0.0:
                before = min(before, sampled[k] * (opening / change))
            after = to_end[k] if to_end[k] < threshold else spacing / 2.0
            factor = (sampled[k] + before + after) / sampled[k]
            if per_second:
                factor /= range_ms / 1000.0
            out[i, k] = change * factor


@njit(nogil=True, cache=True)
def instantaneous(
    offsets: Ints, timestamps: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, per_second: bool, out: Floats
) -> None:
    """Irate and idelta: the change between the last two samples; a counter that fell started from zero."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            if hi[r, k] - lo[r, k] < 2:
                continue
            last = base + hi[r, k] - 1
            change = values[last] - values[last - 1]
            if per_second:
                if values[last] < values[last - 1]:
                    change = values[last]
                change /= (timestamps[last] - timestamps[last - 1]) / 1000.0
            out[i, k] = change


# Instants far from the origin can leave no variance at all: the answer is then NaN or infinite, not an exception.
@njit(nogil=True, cache=True, error_model="numpy")
def fitted_line(timestamps: Ints, values: Floats, a: int, b: int, origin_ms: int) -> tuple[float, float]:
    """Least squares through a window: slope per second and the value at the origin."""
    constant = True
    x_sum, x_lost, y_sum, y_lost = 0.0, 0.0, 0.0, 0.0
    xy_sum, xy_lost, xx_sum, xx_lost = 0.0, 0.0, 0.0, 0.0
    for i in range(a, b):
        if values[i] != values[a]:
            constant = False
        x = (timestamps[i] - origin_ms) / 1000.0
        x_sum, x_lost = compensated(x, x_sum, x_lost)
        y_sum, y_lost = compensated(values[i], y_sum, y_lost)
        xy_sum, xy_lost = compensated(x * values[i], xy_sum, xy_lost)
        xx_sum, xx_lost = compensated(x * x, xx_sum, xx_lost)
    if constant:
        return (np.nan, np.nan) if np.isinf(values[a]) else (0.0, values[a])
    count = float(b - a)
    x_sum += x_lost
    y_sum += y_lost
    covariance = xy_sum + xy_lost - x_sum * y_sum / count
    variance = xx_sum + xx_lost - x_sum * x_sum / count
    slope = covariance / variance
    return slope, y_sum / count - slope * x_sum / count


@njit(nogil=True, cache=True)
def regressions(
    offsets: Ints, timestamps: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints,
    origins: Ints, ahead: Floats, predicts: bool, out: Floats,
) -> None:  # fmt: skip
    """Compute deriv, or predict_linear `ahead` seconds after the origin, of each window with two samples or more."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            a, b = base + lo[r, k], base + hi[r, k]
            if b - a < 2:
                continue
            origin = origins[k] if predicts else timestamps[a]
            slope, level = fitted_line(timestamps, values, a, b, origin)
            out[i, k] = slope * ahead[k] + level if predicts else slope


@njit(nogil=True, cache=True)
def smoothed(
    offsets: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, level: Floats, trend: Floats, out: Floats
) -> None:
    """Double exponential smoothing of each window with two samples or more."""
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        for k in range(lo.shape[1]):
            a, b = base + lo[r, k], base + hi[r, k]
            if b - a < 2:
                continue
            before, now = 0.0, values[a]
            slope = values[a + 1] - values[a]
            for j in range(a + 1, b):
                if j > a + 1:
                    slope = trend[k] * (now - before) + (1.0 - trend[k]) * slope
                before, now = now, level[k] * values[j] + (1.0 - level[k]) * (now + slope)
            out[i, k] = now


def warm_up() -> None:
    """Compile every kernel here, or load it from the cache."""
    offsets, timestamps, values = np.array([0, 3]), np.array([0, 1, 2]), np.array([1.0, 2.0, 0.5])
    row, lo, hi = np.zeros(1, np.int64), np.zeros((1, 1), np.int64), np.full((1, 1), 3)
    out, ends, parameters = np.empty((1, 1)), np.array([2]), np.array([0.5])
    reduce_windows(SUM, parameters, offsets, values, row, lo, hi, out)
    sliding_extremes(True, offsets, values, row, lo, hi, out)
    window_instants(TS_OF_MAX, offsets, timestamps, values, row, lo, hi, out)
    extrapolated(offsets, timestamps, values, row, lo, hi, ends, 3, True, True, out)
    instantaneous(offsets, timestamps, values, row, lo, hi, True, out)
    regressions(offsets, timestamps, values, row, lo, hi, ends, parameters, True, out)
    smoothed(offsets, values, row, lo, hi, parameters, parameters, out)
