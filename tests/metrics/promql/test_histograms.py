"""Quantiles and fractions over classic buckets equal a plain reading of Prometheus' rules, step by step."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.promql.histograms.buckets import fractions, histograms_of, quantiles
from metrics.promql.numbers import bound_of
from metrics.promql.operands import VectorValue
from tests.metrics.promql.script import at

STEPS = 3
SMALLEST_NORMAL = 2.0**-1022
COUNTS = st.one_of(
    st.integers(0, 40).map(float),
    st.sampled_from([0.0, math.nan, math.inf, 7.0, 7.0 + 1e-13, 7.0 - 1e-13, 1e-320, 1.7e308, -1.0]),
)
CELLS = st.lists(st.one_of(st.none(), COUNTS), min_size=STEPS, max_size=STEPS)
BOUNDS = st.sampled_from(["-1", "0", "0.5", "1", "1.0", "2", "4", "+Inf", "+Inf", "Inf", "", "odd"])
ROWS = st.lists(st.tuples(st.sampled_from("ab"), BOUNDS, CELLS), min_size=1, max_size=14)
NUMBERS = st.lists(
    st.one_of(st.floats(-1, 5), st.sampled_from([0.0, 0.5, 1.0, 2.0, math.nan, math.inf, -math.inf])),
    min_size=STEPS,
    max_size=STEPS,
)


def vector_of(rows):
    cells = [row for _, _, row in rows]
    values = np.array([[0.0 if cell is None else cell for cell in row] for row in cells])
    present = np.array([[cell is not None for cell in row] for row in cells])
    labels = [{"__name__": "h", "job": job, "le": bound} for job, bound, _ in rows]
    return VectorValue(labels, values, present, np.zeros(len(rows), np.bool_))


def buckets_at(rows, job, step):
    found = {}
    for of, text, cells in sorted(rows, key=lambda row: bound_of(row[1]) or 0.0):
        bound = bound_of(text)
        if of == job and bound is not None and cells[step] is not None:
            found[bound] = found.get(bound, 0.0) + cells[step]
    return sorted(found.items())


def almost(a, b):
    if a == 0 or b == 0 or abs(a) + abs(b) < SMALLEST_NORMAL:
        return abs(a - b) < 1e-12 * SMALLEST_NORMAL
    return abs(a - b) / min(abs(a) + abs(b), np.finfo(float).max) < 1e-12


def level(buckets):
    counts = [buckets[0][1]]
    accepted = counts[0]
    for _, here in buckets[1:]:
        if here != accepted and not here < accepted and not almost(accepted, here):
            accepted = here
            counts.append(here)
        else:
            counts.append(accepted)
    return counts


def reference_quantile(q, buckets):
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return math.copysign(math.inf, q)
    bounds, counts = [bound for bound, _ in buckets], level(buckets)
    if bounds[-1] != math.inf or len(bounds) < 2 or counts[-1] == 0:
        return math.nan
    rank, low, high = q * counts[-1], 0, len(bounds) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if counts[middle] >= rank else (middle + 1, high)
    if low == len(bounds) - 1:
        return bounds[-2]
    if low == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[low - 1], counts[low - 1]) if low else (0.0, 0.0)
    with np.errstate(all="ignore"):
        return float(start + (bounds[low] - start) * (np.float64(rank - below) / np.float64(counts[low] - below)))


def reference_rank(value, buckets):
    start, below = (0.0 if buckets[0][0] > 0 else -math.inf), 0.0
    for bound, count in buckets:
        if start >= value:
            return below
        if bound > value:
            if math.isinf(start):
                return count
            return min(below + (count - below) * (value - start) / (bound - start), buckets[-1][1])
        start, below = bound, count
    return buckets[-1][1]


def reference_fraction(lower, upper, buckets):
    total = buckets[-1][1]
    if buckets[-1][0] != math.inf or total == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    ranks = [reference_rank(value, buckets) for value in (upper, lower)]
    high, low = (min(rank, total) for rank in ranks)
    return (high - low) / total


def differences(rows, got, reference):
    answers = {labels["job"]: row for row, labels in enumerate(got.labels)}
    found = [labels for labels in got.labels if labels.keys() != {"__name__", "job"}]
    for job, step in {(job, step) for job, _, _ in rows for step in range(STEPS)}:
        buckets = buckets_at(rows, job, step)
        here = job in answers and bool(got.present[answers[job], step])
        wanted = reference(step, buckets) if buckets else None
        value = float(got.values[answers[job], step]) if here else None
        if value != wanted and (None in (value, wanted) or value != pytest.approx(wanted, rel=1e-12, nan_ok=True)):
            found.append((job, step, value, wanted))
    return found


@given(rows=ROWS, q=NUMBERS)
@settings(max_examples=300, deadline=None)
def test_a_quantile_equals_its_reference(rows, q):
    with np.errstate(all="ignore"):
        got, _ = quantiles(histograms_of(vector_of(rows)), np.array(q), vector_of(rows))
        assert differences(rows, got, lambda step, held: reference_quantile(q[step], held)) == []


@given(rows=ROWS, lower=NUMBERS, upper=NUMBERS)
@settings(max_examples=300, deadline=None)
def test_a_fraction_equals_its_reference(rows, lower, upper):
    with np.errstate(all="ignore"):
        got = fractions(histograms_of(vector_of(rows)), np.array(lower), np.array(upper), vector_of(rows))
        assert differences(rows, got, lambda step, held: reference_fraction(lower[step], upper[step], held)) == []


def test_counts_that_are_all_unknown_answer_with_the_last_finite_bound():
    unknown = {"h le=1": [math.nan], "h le=2": [math.nan], "h le=+Inf": [math.nan]}
    assert at(unknown, "histogram_quantile(0.5, h)") == {"": 2}


def test_an_empty_vector_has_no_histogram():
    assert at({}, "histogram_quantile(0.5, h)") == {}
    assert at({}, "histogram_fraction(0, 1, h)") == {}
