"""Compiled loops of the store; each has a plain reference in the tests."""

import numba as nb
import numpy as np


@nb.njit(nogil=True, cache=True)
def arrange(series, times, values, series_count, offsets, out_times, out_values):
    """Sort samples by (series, time), a later one replacing an earlier one of the same time.

    `series` holds numbers below `series_count`; rows with a negative number are left out. Writes CSR offsets and
    returns the number of rows kept.
    """
    starts = np.zeros(series_count + 1, np.int64)
    for i in range(series.size):
        if series[i] >= 0:
            starts[series[i] + 1] += 1
    for s in range(series_count):
        starts[s + 1] += starts[s]
    ends = starts[:-1].copy()
    for i in range(series.size):
        s = series[i]
        if s < 0:
            continue
        place = ends[s]
        time = times[i]
        first = starts[s]
        if place > first and out_times[place - 1] >= time:
            low = first
            high = place
            while low < high:
                middle = (low + high) // 2
                if out_times[middle] < time:
                    low = middle + 1
                else:
                    high = middle
            if out_times[low] == time:
                out_values[low] = values[i]
                continue
            for j in range(place, low, -1):
                out_times[j] = out_times[j - 1]
                out_values[j] = out_values[j - 1]
            place = low
        out_times[place] = time
        out_values[place] = values[i]
        ends[s] += 1
    kept = np.int64(0)
    for s in range(series_count):
        offsets[s] = kept
        for i in range(starts[s], ends[s]):
            out_times[kept] = out_times[i]
            out_values[kept] = out_values[i]
            kept += 1
    offsets[series_count] = kept
    return kept


@nb.njit(nogil=True, cache=True)
def whole_numbers(values, most, out):
    """Write values as integers; tells whether that loses nothing: no fraction, no -0.0, no NaN, none beyond `most`."""
    for i in range(values.size):
        value = values[i]
        if not (-most <= value <= most):
            return False
        whole = np.int64(value)
        if np.float64(whole) != value or (whole == 0 and np.signbit(value)):
            return False
        out[i] = whole
    return True


@nb.njit(nogil=True, cache=True)
def share_rows(offsets, times, row_of_series, representative):
    """Give series with the same timestamps one row; returns the number of rows."""
    rows = np.int64(0)
    for s in range(offsets.size - 1):
        first = offsets[s]
        length = offsets[s + 1] - first
        hit = -1
        for r in range(rows):
            other = offsets[representative[r]]
            if offsets[representative[r] + 1] - other != length:
                continue
            same = True
            for i in range(length):
                if times[first + i] != times[other + i]:
                    same = False
                    break
            if same:
                hit = r
                break
        if hit < 0:
            hit = rows
            representative[rows] = s
            rows += 1
        row_of_series[s] = hit
    return rows


@nb.njit(nogil=True, cache=True)
def spread_rows(row_starts, row_times, row_of_series, out_times, out_series, slots):
    """Write each series' own timestamps and slot, row after row."""
    place = np.int64(0)
    for s in range(row_of_series.size):
        row = row_of_series[s]
        for i in range(row_starts[row], row_starts[row + 1]):
            out_times[place] = row_times[i]
            out_series[place] = slots[s]
            place += 1
    return place


@nb.njit(nogil=True, cache=True)
def narrow(ids, times, values, numbers, low, high, place, out_series, out_times, out_values):
    """Copy the samples of numbered series within a time range, from `place` on; returns the place after them.

    `numbers` gives each series id its number, -1 to those that are not wanted. The caller has made room for all.
    """
    for i in range(ids.size):
        series = ids[i]
        if series < 0 or series >= numbers.size or times[i] < low or times[i] > high:
            continue
        number = numbers[series]
        if number >= 0:
            out_series[place] = number
            out_times[place] = times[i]
            out_values[place] = values[i]
            place += 1
    return place


@nb.njit(nogil=True, cache=True)
def cut_series(slots, row_of_series, row_starts, row_times, numbers, low, high, newest, counts, first, behind):
    """Find what each wanted series of a block has within a time range; returns the total, -1 where order is broken.

    `numbers` gives each of the 200 slots its number, -1 to those not wanted. `first` and `behind` get the ends of each
    series' part as places in `row_times`; `counts` grows by their lengths. `newest` holds the last time taken of each
    number: where this block does not begin after it, the blocks cannot simply be put one after another.
    """
    rows = row_starts.size - 1
    row_first = np.empty(rows, np.int64)
    row_behind = np.empty(rows, np.int64)
    for r in range(rows):
        begin = row_starts[r]
        times = row_times[begin : row_starts[r + 1]]
        row_first[r] = begin + np.searchsorted(times, low)
        row_behind[r] = begin + np.searchsorted(times, high, side="right")
    total = np.int64(0)
    for s in range(slots.size):
        first[s] = 0
        behind[s] = 0
        number = numbers[slots[s]]
        if number < 0:
            continue
        a = row_first[row_of_series[s]]
        b = row_behind[row_of_series[s]]
        if b <= a:
            continue
        if row_times[a] <= newest[number]:
            return np.int64(-1)
        newest[number] = row_times[b - 1]
        first[s] = a
        behind[s] = b
        counts[number] += b - a
        total += b - a
    return total


@nb.njit(nogil=True, cache=True)
def place_series(
    slots, row_of_series, row_starts, row_times, starts, values, numbers, first, behind, cursor, out_times, out_values
):
    """Copy the parts that `cut_series` found to where `cursor` says the next sample of each number goes."""
    for s in range(slots.size):
        a = first[s]
        length = behind[s] - a
        if length <= 0:
            continue
        number = numbers[slots[s]]
        place = cursor[number]
        value = starts[s] + a - row_starts[row_of_series[s]]
        for i in range(length):
            out_times[place + i] = row_times[a + i]
            out_values[place + i] = values[value + i]
        cursor[number] = place + length


@nb.njit(nogil=True, cache=True)
def place_side_by_side(values, starts, length, place, out):
    """Copy `length` values of each series, from where `starts` says on, into its row of `out` from `place` on."""
    for s in range(starts.size):
        held = values[starts[s] : starts[s] + length]
        row = out[s, place : place + length]
        for i in range(row.size):
            row[i] = held[i]


@nb.njit(nogil=True, cache=True)
def place_runs(offsets, times, values, cursor, out_times, out_values):
    """Copy run after run (CSR) to where `cursor` says the next sample of each number goes."""
    for number in range(offsets.size - 1):
        place = cursor[number]
        for i in range(offsets[number], offsets[number + 1]):
            out_times[place] = times[i]
            out_values[place] = values[i]
            place += 1
        cursor[number] = place


@nb.njit(nogil=True, cache=True)
def roll_up(offsets, times, values, stale, before, bucket_ms, out_offsets, last_row, low, high, total, count, falls):
    """Fold each series' samples into buckets of time; returns the number of buckets.

    For each bucket: the row of its last sample, least and greatest value (NaN only where all are), sum, number of
    samples, and what counters lost by falling (the value before each fall). `before` is the last value of each series
    before its first row, NaN where there is none. Stale markers are left out.
    """
    place = np.int64(0)
    for s in range(offsets.size - 1):
        out_offsets[s] = place
        previous = before[s]
        bucket = np.int64(0)
        is_open = False
        for i in range(offsets[s], offsets[s + 1]):
            if stale[i]:
                continue
            value = values[i]
            this = times[i] // bucket_ms
            if not is_open or this != bucket:
                if is_open:
                    place += 1
                is_open = True
                bucket = this
                low[place] = value
                high[place] = value
                total[place] = 0.0
                count[place] = 0.0
                falls[place] = 0.0
            if value < low[place] or low[place] != low[place]:
                low[place] = value
            if value > high[place] or high[place] != high[place]:
                high[place] = value
            if value < previous:
                falls[place] += previous
            total[place] += value
            count[place] += 1.0
            last_row[place] = i
            previous = value
        if is_open:
            place += 1
    out_offsets[offsets.size - 1] = place
    return place


@nb.njit(nogil=True, cache=True)
def lift_counters(offsets, values, falls):
    """Add to each value what its series lost by falling up to there, so that it never falls; in place.

    A fall of NaN stands for a raw sample, whose falls are seen from the values themselves.
    """
    for s in range(offsets.size - 1):
        lost = 0.0
        previous = np.nan
        for i in range(offsets[s], offsets[s + 1]):
            value = values[i]
            if falls[i] != falls[i]:
                if value < previous:
                    lost += previous
            elif i > offsets[s]:
                lost += falls[i]
            values[i] = value + lost
            previous = value


def warm_up() -> None:
    """Compile every kernel for the types it is called with."""
    ints, floats, offsets = np.zeros(1, np.int64), np.zeros(1), np.zeros(2, np.int64)
    arrange(ints, ints, floats, 1, offsets, ints.copy(), floats.copy())
    whole_numbers(floats, 1.0, ints.copy())
    share_rows(np.array([0, 1]), ints, ints.copy(), ints.copy())
    spread_rows(np.array([0, 1]), ints, ints, ints.copy(), ints.copy(), ints)
    narrow(ints, ints, floats, ints, 0, 0, 0, ints.copy(), ints.copy(), floats.copy())
    cut_series(ints, ints, np.array([0, 1]), ints, ints, 0, 0, ints - 1, ints.copy(), ints.copy(), ints.copy())
    for values in (ints, floats):
        place_side_by_side(values, ints, 1, 0, np.zeros((1, 1)))
        place_series(
            ints, ints, np.array([0, 1]), ints, ints, values, ints, ints, ints + 1, ints.copy(), ints.copy(), floats
        )
    place_runs(np.array([0, 1]), ints, floats, ints.copy(), ints.copy(), floats.copy())
    nothing = np.zeros(1, np.bool_)
    roll_up(
        np.array([0, 1]), ints, floats, nothing, floats, 1, offsets, ints.copy(), *(floats.copy() for _ in range(5))
    )
    lift_counters(np.array([0, 1]), floats.copy(), floats)
