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
def count_falls(values: Floats, a: int, b: int) -> int:
    """Return how often a counter fell between the samples a..b-1."""
    held = values[a:b]
    count = 0
    # Counted from zero up, the loop needs no check of its places and takes several at a time.
    for j in range(held.size - 1):
        count += 1 if held[j + 1] < held[j] else 0
    return count


@njit(nogil=True, cache=True, error_model="numpy")
def window_edges(
    lo: Ints, hi: Ints, times: Ints, begins: Ints, ends: Ints, range_ms: int, before: Floats, after: Floats,
    sampled: Floats,
) -> None:  # fmt: skip
    """Fill how far each window may be stretched to its start and to its end, and the seconds between its samples."""
    for r in range(lo.shape[0]):
        for k in range(lo.shape[1]):
            first, last = begins[r] + lo[r, k], begins[r] + hi[r, k] - 1
            if last <= first:
                continue
            to_start = (times[first] - (ends[k] - range_ms)) / 1000.0
            to_end = (ends[k] - times[last]) / 1000.0
            sampled[r, k] = (times[last] - times[first]) / 1000.0
            spacing = sampled[r, k] / (last - first)
            before[r, k] = to_start if to_start < spacing * 1.1 else spacing / 2.0
            after[r, k] = to_end if to_end < spacing * 1.1 else spacing / 2.0


@njit(nogil=True, cache=True, error_model="numpy")
def extrapolated(
    offsets: Ints, values: Floats, row: Ints, lo: Ints, hi: Ints, times: Ints, begins: Ints,
    ends: Ints, range_ms: int, counter: bool, per_second: bool, out: Floats,
) -> None:  # fmt: skip
    """Rate, increase and delta: the change in a window, stretched to its edges as far as the spacing allows."""
    steps = lo.shape[1]
    before, after, sampled = np.zeros(lo.shape), np.zeros(lo.shape), np.ones(lo.shape)
    window_edges(lo, hi, times, begins, ends, range_ms, before, after, sampled)
    unit = range_ms / 1000.0 if per_second else 1.0
    usual = (sampled + before + after) / sampled / unit
    falls = np.zeros(1, np.int64)
    for i in range(offsets.size - 1):
        base, r = offsets[i], row[i]
        length = offsets[i + 1] - base
        fell = counter and count_falls(values, base + lo[r, 0], base + hi[r, steps - 1]) > 0
        if fell:
            if falls.size <= length:
                falls = np.zeros(length + 1, np.int64)
            for j in range(1, length):
                falls[j] = falls[j - 1] + (1 if values[base + j] < values[base + j - 1] else 0)
        numbers, line = values[base : offsets[i + 1]], out[i]
        first, behind, seconds = lo[r], hi[r], sampled[r]
        ahead, past, factors = before[r], after[r], usual[r]
        for k in range(steps):
            low, high = first[k], behind[k] - 1
            if high <= low:
                continue
            opening = numbers[low]
            change = numbers[high] - opening
            if fell and falls[high] != falls[low]:
                for j in range(low + 1, high + 1):
                    if numbers[j] < numbers[j - 1]:
                        change += numbers[j - 1]
            factor = factors[k]
            # A counter cannot have begun below zero; asked without a division first.
            if counter and opening >= 0.0 and seconds[k] * opening < ahead[k] * change * 1.000001:
                limited = min(ahead[k], seconds[k] * (opening / change))
                factor = (seconds[k] + limited + past[k]) / seconds[k] / unit
            line[k] = change * factor


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
    extrapolated(offsets, values, row, lo, hi, timestamps, np.zeros(1, np.int64), ends, 3, True, True, out)
    instantaneous(offsets, timestamps, values, row, lo, hi, True, out)
    regressions(offsets, timestamps, values, row, lo, hi, ends, parameters, True, out)
    smoothed(offsets, values, row, lo, hi, parameters, parameters, out)
