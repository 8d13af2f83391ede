"""Compiled reductions of many series to one a group, and the choice of the k best."""

import numpy as np
from numba import njit

from metrics.promql.ranges.kernels import compensated, quantile_of
from metrics.promql.types import Bools, Floats, Ints

SUM, AVG, MIN, MAX, STDVAR, STDDEV = range(6)


@njit(nogil=True, cache=True)
def reduce_groups(op: int, values: Floats, present: Bools, group: Ints, out: Floats, counts: Floats) -> None:
    """Reduce the series of each group step by step; `counts` says how many had a value."""
    groups, steps = out.shape
    lost, mean = np.zeros((groups, steps)), np.zeros((groups, steps))
    incremental = np.zeros((groups, steps), np.bool_)
    counts[:] = 0.0
    for i in range(values.shape[0]):
        g = group[i]
        for k in range(steps):
            if not present[i, k]:
                continue
            value = values[i, k]
            counts[g, k] += 1.0
            count = counts[g, k]
            if count == 1.0:
                mean[g, k] = value
                out[g, k] = value if op <= MAX else value - value
            elif op == SUM:
                out[g, k], lost[g, k] = compensated(value, out[g, k], lost[g, k])
            elif op == AVG:
                if not incremental[g, k]:
                    total, error = compensated(value, out[g, k], lost[g, k])
                    if not np.isinf(total):
                        out[g, k], lost[g, k] = total, error
                        continue
                    incremental[g, k] = True
                    mean[g, k] = out[g, k] / (count - 1.0)
                    lost[g, k] /= count - 1.0
                share = (count - 1.0) / count
                mean[g, k], lost[g, k] = compensated(value / count, share * mean[g, k], share * lost[g, k])
            elif op in (MIN, MAX):
                better = value > out[g, k] if op == MAX else value < out[g, k]
                if better or np.isnan(out[g, k]):
                    out[g, k] = value
            else:
                delta = value - mean[g, k]
                mean[g, k] += delta / count
                out[g, k] += delta * (value - mean[g, k])
    for g in range(groups):
        for k in range(steps):
            if counts[g, k] == 0.0:
                continue
            if op == SUM:
                out[g, k] += lost[g, k]
            elif op == AVG:
                if incremental[g, k]:
                    out[g, k] = mean[g, k] + lost[g, k]
                else:
                    out[g, k] = out[g, k] / counts[g, k] + lost[g, k] / counts[g, k]
            elif op == STDVAR:
                out[g, k] /= counts[g, k]
            elif op == STDDEV:
                out[g, k] = np.sqrt(out[g, k] / counts[g, k])


@njit(nogil=True, cache=True)
def sum_groups(values: Floats, present: Bools, group: Ints, totals: Floats, lost: Floats, counts: Floats) -> None:
    """Add up the series of each group step by step; the sum is `totals`, and `lost` what rounding took from it."""
    # The only number that leaves every other as it is when it is added to it.
    totals[:] = -0.0
    lost[:] = 0.0
    counts[:] = 0.0
    for i in range(values.shape[0]):
        g = group[i]
        row, here = values[i], present[i]
        total, error, count = totals[g], lost[g], counts[g]
        for k in range(row.size):
            if here[k]:
                total[k], error[k] = compensated(row[k], total[k], error[k])
                count[k] += 1.0


@njit(nogil=True, cache=True)
def merge_sums(
    totals: Floats, lost: Floats, counts: Floats, group: Ints, out: Floats, out_lost: Floats, out_counts: Floats
) -> None:
    """Add up sums of parts, with what rounding took from each of them."""
    out[:] = -0.0
    out_lost[:] = 0.0
    out_counts[:] = 0.0
    for i in range(totals.shape[0]):
        g = group[i]
        for k in range(totals.shape[1]):
            if counts[i, k] > 0.0:
                out[g, k], out_lost[g, k] = compensated(totals[i, k], out[g, k], out_lost[g, k])
                if not np.isinf(out[g, k]):
                    out_lost[g, k] += lost[i, k]
                out_counts[g, k] += counts[i, k]


@njit(nogil=True, cache=True)
def group_quantiles(
    q: Floats, values: Floats, present: Bools, starts: Ints, members: Ints, out: Floats, seen: Bools
) -> None:
    """Quantile of each group at each step; group g holds the series members[starts[g]:starts[g + 1]]."""
    buffer = np.empty(members.size)
    for g in range(starts.size - 1):
        for k in range(out.shape[1]):
            count = 0
            for place in range(starts[g], starts[g + 1]):
                i = members[place]
                if present[i, k]:
                    buffer[count] = values[i, k]
                    count += 1
            seen[g, k] = count > 0
            if count > 0:
                out[g, k] = quantile_of(q[k], buffer[:count])


@njit(nogil=True, cache=True)
def best_of_groups(wanted: Ints, ranks: Floats, present: Bools, starts: Ints, members: Ints, kept: Bools) -> None:
    """Keep the series with the lowest ranks of each group at each step; NaN ranks last, the earlier series wins."""
    places, keys = np.empty(members.size, np.int64), np.empty(members.size)
    for g in range(starts.size - 1):
        for k in range(ranks.shape[1]):
            count = 0
            for place in range(starts[g], starts[g + 1]):
                i = members[place]
                if present[i, k]:
                    places[count], keys[count] = i, ranks[i, k]
                    count += 1
            order = np.argsort(keys[:count], kind="mergesort")
            for j in range(min(count, wanted[k])):
                kept[places[order[j]], k] = True


def warm_up() -> None:
    """Compile every kernel here, or load it from the cache."""
    values, present = np.ones((1, 1)), np.ones((1, 1), np.bool_)
    group, starts, out = np.zeros(1, np.int64), np.array([0, 1]), np.empty((1, 1))
    reduce_groups(SUM, values, present, group, out, np.empty((1, 1)))
    sum_groups(values, present, group, out, np.empty((1, 1)), np.empty((1, 1)))
    merge_sums(values, values, values, group, out, np.empty((1, 1)), np.empty((1, 1)))
    group_quantiles(np.array([0.5]), values, present, starts, group, out, present.copy())
    best_of_groups(np.array([1]), values, present, starts, group, np.zeros((1, 1), np.bool_))
