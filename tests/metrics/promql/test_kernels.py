"""Every kernel equals a plain Python reading of the same definition."""

import importlib
import math
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import warm_up
from metrics.promql.aggregations import kernels as groups
from metrics.promql.annotations import Annotations
from metrics.promql.frames import Frame
from metrics.promql.nodes import Call
from metrics.promql.operands import Grid, RangeValue, ScalarValue
from metrics.promql.ranges import kernels as ranges
from metrics.promql.ranges.functions import over_range
from metrics.promql.types import Limits, SeriesColumns
from metrics.promql.windows.bounds import windows_over

RANGE_MS = 50
VALUES = st.integers(-1000, 1000).map(lambda number: number / 8)
ROWS = st.lists(
    st.dictionaries(st.integers(0, 200), VALUES, min_size=1, max_size=30).map(lambda row: sorted(row.items())),
    min_size=1,
    max_size=4,
)
GRID = Grid(20, 15, 12)


ROWS_WITH_GAPS = st.lists(
    st.dictionaries(st.integers(0, 200), st.one_of(VALUES, st.just(math.nan)), min_size=1, max_size=30).map(
        lambda row: sorted(row.items())
    ),
    min_size=1,
    max_size=4,
)


def frame_of(name, grid):
    return Frame(Call(name, ()), grid, Annotations(), Limits())


def columns_of(rows):
    sizes = np.cumsum([0, *(len(row) for row in rows)])
    times = np.array([at for row in rows for at, _ in row], np.int64)
    values = np.array([value for row in rows for _, value in row], np.float64)
    return SeriesColumns([{"i": str(place)} for place in range(len(rows))], sizes, times, values)


def inside(row, end):
    return [(at, value) for at, value in row if end - RANGE_MS < at <= end]


def reference_rate(window, end, *, counter, per_second):
    if len(window) < 2:
        return None
    (first_at, first), (last_at, last) = window[0], window[-1]
    change = last - first
    if counter:
        change += sum(a for (_, a), (_, b) in pairwise(window) if b < a)
    sampled = (last_at - first_at) / 1000
    spacing = sampled / (len(window) - 1)
    before, after = (first_at - (end - RANGE_MS)) / 1000, (end - last_at) / 1000
    before = before if before < spacing * 1.1 else spacing / 2
    after = after if after < spacing * 1.1 else spacing / 2
    if counter and change > 0 and first >= 0:
        before = min(before, sampled * first / change)
    return change * (sampled + before + after) / sampled / (RANGE_MS / 1000 if per_second else 1)


def reference_slope(window, _end):
    if len(window) < 2:
        return None
    xs, ys = [at / 1000 for at, _ in window], [value for _, value in window]
    x, y = statistics.fmean(xs), statistics.fmean(ys)
    spread = math.fsum((a - x) ** 2 for a in xs)
    return math.fsum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread


def of_values(function):
    return lambda window, _end: function([value for _, value in window]) if window else None


def median_distance(values):
    middle = statistics.median(values)
    return statistics.median([abs(value - middle) for value in values])


REFERENCES = {
    "sum_over_time": of_values(math.fsum),
    "avg_over_time": of_values(statistics.fmean),
    "min_over_time": of_values(min),
    "max_over_time": of_values(max),
    "count_over_time": of_values(len),
    "last_over_time": of_values(lambda values: values[-1]),
    "first_over_time": of_values(lambda values: values[0]),
    "stdvar_over_time": of_values(statistics.pvariance),
    "stddev_over_time": of_values(statistics.pstdev),
    "mad_over_time": of_values(median_distance),
    "changes": of_values(lambda values: sum(a != b for a, b in pairwise(values))),
    "resets": of_values(lambda values: sum(a > b for a, b in pairwise(values))),
    "present_over_time": of_values(lambda _values: 1),
    "rate": lambda window, end: reference_rate(window, end, counter=True, per_second=True),
    "increase": lambda window, end: reference_rate(window, end, counter=True, per_second=False),
    "delta": lambda window, end: reference_rate(window, end, counter=False, per_second=False),
    "idelta": lambda window, _end: window[-1][1] - window[-2][1] if len(window) > 1 else None,
    "deriv": reference_slope,
    "ts_of_last_over_time": lambda window, _end: window[-1][0] / 1000 if window else None,
}


@pytest.mark.parametrize("name", sorted(REFERENCES))
@given(rows=ROWS)
@settings(max_examples=40, deadline=None)
def test_a_range_function_equals_its_reference(name, rows):
    columns = columns_of(rows)
    ranged = RangeValue(columns, np.zeros(len(rows), np.bool_), GRID.times_ms, RANGE_MS)
    vector = over_range(frame_of(name, GRID), ranged, [])
    got = {labels["i"]: row for row, labels in enumerate(vector.labels)}
    for place, row in enumerate(rows):
        for step, end in enumerate(GRID.times_ms.tolist()):
            wanted = REFERENCES[name](inside(row, end), end)
            found = str(place) in got and vector.present[got[str(place)], step]
            assert found == (wanted is not None)
            if wanted is not None:
                assert vector.values[got[str(place)], step] == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(values=st.lists(VALUES, min_size=1, max_size=30), q=st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_quantile_interpolates_between_neighbours(values, q):
    ordered, rank = sorted(values), q * (len(values) - 1)
    low, high = ordered[math.floor(rank)], ordered[min(len(values) - 1, math.floor(rank) + 1)]
    wanted = low + (high - low) * (rank - math.floor(rank))
    assert ranges.quantile_of(q, np.array(values)) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(rows=st.lists(st.tuples(st.integers(0, 2), VALUES, st.booleans()), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_groups_reduce_like_their_reference(rows):
    group = np.array([number for number, _, _ in rows])
    values = np.array([[value] for _, value, _ in rows])
    present = np.array([[here] for _, _, here in rows])
    reductions = {
        groups.SUM: math.fsum, groups.AVG: statistics.fmean, groups.MIN: min, groups.MAX: max,
        groups.STDVAR: statistics.pvariance, groups.STDDEV: statistics.pstdev,
    }  # fmt: skip
    for op, reference in reductions.items():
        out, counts = np.empty((3, 1)), np.empty((3, 1))
        groups.reduce_groups(op, values, present, group, out, counts)
        for number in range(3):
            members = [value for of, value, here in rows if here and of == number]
            assert counts[number, 0] == len(members)
            if members:
                assert out[number, 0] == pytest.approx(reference(members), rel=1e-9, abs=1e-9)


def test_neighbours_with_the_same_instants_share_one_row_of_bounds():
    columns = columns_of([[(1, 1.0), (2, 1.0)], [(1, 5.0), (2, 6.0)], [(1, 5.0), (3, 6.0)]])
    found = windows_over(columns, np.array([2, 3]), 5)
    assert found.row.tolist() == [0, 0, 1]
    assert found.counts.tolist() == [[2, 2], [2, 2], [1, 2]]


def test_smoothing_follows_the_textbook():
    columns = columns_of([[(10, 1.0), (20, 3.0), (30, 2.0)]])
    ranged = RangeValue(columns, np.zeros(1, np.bool_), np.array([40]), RANGE_MS)
    half = ScalarValue(np.array([0.5]))
    vector = over_range(frame_of("double_exponential_smoothing", Grid(40, 1, 1)), ranged, [half, half])
    assert vector.values.tolist() == [[3.5]]


@pytest.mark.parametrize("name", warm_up.kernel_modules())
def test_every_kernel_module_warms_up(name):
    assert importlib.import_module(name).warm_up() is None


def test_a_line_without_variance_is_no_exception():
    slope, _level = ranges.fitted_line(np.array([0, 0]), np.array([1.0, 2.0]), 0, 2, 0)
    assert math.isnan(slope)


@settings(deadline=None)
@given(rows=ROWS_WITH_GAPS, name=st.sampled_from(["max_over_time", "min_over_time"]))
def test_not_a_number_is_an_extreme_only_where_there_is_nothing_else(rows, name):
    ranged = RangeValue(columns_of(rows), np.zeros(len(rows), np.bool_), GRID.times_ms, RANGE_MS)
    vector = over_range(frame_of(name, GRID), ranged, [])
    named = {labels["i"]: values for labels, values in zip(vector.labels, vector.values.tolist(), strict=True)}
    for place, row in enumerate(rows):
        for step, end in enumerate(GRID.times_ms.tolist()):
            numbers = [value for _, value in inside(row, end)]
            real = [value for value in numbers if not math.isnan(value)]
            if real:
                assert named[str(place)][step] == (max if name.startswith("max") else min)(real)
            elif numbers:
                assert math.isnan(named[str(place)][step])
