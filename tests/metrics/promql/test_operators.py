import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.promql.labels import merged
from metrics.promql.operands import VectorValue
from metrics.promql.types import Limits, QueryError
from tests.metrics.promql.script import at, over

TWO = {"a i=1": [1], "a i=2": [4], "b i=1": [10], "b i=2": [20], "info i=1 v=x": [1], "info i=2 v=y": [1]}
COUNTS_BY_GROUP = 'count_values by (g) ("v", m)'
GROUPED = {"m g=x i=1": [1], "m g=x i=2": [3], "m g=y i=3": [8], "m g=y i=4": [math.nan]}


def test_arithmetic_pairs_equal_labels_and_drops_the_name():
    assert at(TWO, "b - a") == {"i=1": 9, "i=2": 16}
    assert at(TWO, "-a") == {"i=1": -1, "i=2": -4}
    assert at(TWO, "a % 3") == {"i=1": 1, "i=2": 1}
    assert at(TWO, "2 ^ a") == {"i=1": 2, "i=2": 16}


def test_comparisons_filter_or_say_yes_and_no():
    assert at(TWO, "a > 1") == {"a i=2": 4}
    assert at(TWO, "1 < a") == {"a i=2": 4}
    assert at(TWO, "a > bool 1") == {"i=1": 0, "i=2": 1}
    assert at(TWO, "b > a") == {"b i=1": 10, "b i=2": 20}
    assert at({}, "3 > bool 2") == {"": 1}


def test_group_left_brings_labels_along():
    assert at(TWO, "a * on(i) group_left(v) info") == {"i=1 v=x": 1, "i=2 v=y": 4}
    assert at(TWO, "info * on(i) group_right(v) a") == {"i=1 v=x": 1, "i=2 v=y": 4}
    assert at(TWO, "a * ignoring(v) info") == {"i=1": 1, "i=2": 4}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sum(m) * on() group_left() m", "many-to-many"),
        ("m + on(g) group_left() m", "many-to-many"),
        ("m + on(g) sum by (g) (m)", "must be explicit"),
        ("-{__name__=~'a|b'}", "same labelset"),
    ],
)
def test_ambiguous_matches_are_errors(query, message):
    with pytest.raises(QueryError, match=message):
        at({**GROUPED, **TWO}, query)


def test_set_operators():
    assert at(TWO, "a and b > 15") == {"a i=2": 4}
    assert at(TWO, "a and on(i) (b > 15)") == {"a i=2": 4}
    assert at(TWO, "a unless on(i) (b > 15)") == {"a i=1": 1}
    assert at(TWO, "(a > 1) or a") == {"a i=2": 4, "a i=1": 1}
    assert over({"a": [1, "stale"], "b": [2, 2]}, "a or b", 0, 1) == {"a": [1, None], "b": [None, 2]}


@pytest.mark.parametrize(
    ("op", "x", "y"),
    [
        ("sum", 4, math.nan), ("avg", 2, math.nan), ("min", 1, 8), ("max", 3, 8), ("count", 2, 2), ("group", 1, 1),
        ("stdvar", 1, math.nan), ("stddev", 1, math.nan),
    ],
)  # fmt: skip
def test_aggregations(op, x, y):
    assert at(GROUPED, f"{op} by (g) (m)") == {"g=x": x, "g=y": pytest.approx(y, nan_ok=True)}
    assert at(GROUPED, f"{op} without (i) (m)") == {"g=x": x, "g=y": pytest.approx(y, nan_ok=True)}


def test_sums_keep_what_rounding_would_lose():
    assert at({"m i=1": [1e100], "m i=2": [1], "m i=3": [-1e100]}, "sum(m)") == {"": 1}
    assert at({"m i=1": [1.7e308], "m i=2": [1.7e308]}, "avg(m)") == {"": pytest.approx(1.7e308)}


def test_topk_orders_and_limits():
    assert list(at(GROUPED, "topk(3, m)").items()) == [("m g=y i=3", 8), ("m g=x i=2", 3), ("m g=x i=1", 1)]
    assert list(at(GROUPED, "bottomk by (g) (1, m)").values()) == [1, 8]
    assert len(at(GROUPED, "limitk(2, m)")) == 2
    assert at(GROUPED, "topk(0, m)") == {}
    for k in ("NaN", "1e30"):
        with pytest.raises(QueryError):
            at(GROUPED, f"topk({k}, m)")


def test_quantile_and_count_values():
    assert at(GROUPED, 'quantile(0.5, m{g="x"})') == {"": 2}
    assert at(GROUPED, "quantile(-1, m)") == {"": -math.inf}
    assert at({"m i=1": [1.5], "m i=2": [1.5], "m i=3": [2]}, 'count_values("v", m)') == {"v=1.5": 2, "v=2": 1}
    assert at({}, 'count_values("v", m)') == {}


def test_a_comparison_does_not_bring_back_a_dropped_name():
    assert at(TWO, "abs(b) > a") == {"i=1": 10, "i=2": 20}
    assert at(TWO, "abs(a) < on(i) group_right() b") == {"b i=1": 1, "b i=2": 4}
    assert at(TWO, "a < on(i) group_right() abs(b)") == {"i=1": 1, "i=2": 4}


def test_a_match_that_a_comparison_filters_out_is_ambiguous_all_the_same():
    many = {"m g=x i=1": [1], "m g=x i=2": [9], "limit g=x": [5]}
    for query in ("m > on(g) limit", "m > on(g) limit * 9", "m > bool on(g) limit", "m + on(g) limit"):
        with pytest.raises(QueryError, match="must be explicit"):
            at(many, query)
    assert at(many, "limit < on(g) m{i='2'}") == {"g=x": 5}
    assert at(many, "m{i='3'} > on(g) limit") == {}
    with pytest.raises(QueryError, match="unique matches"):
        at({**many, "limit g=x": [5]}, "m > on(g) group_left(i) limit")


def test_count_values_tells_numbers_apart_as_they_are_written():
    zeros = {"m i=1": [0.0], "m i=2": [-0.0], "m i=3": [math.nan], "m i=4": [-math.nan], "m i=5": [-math.inf]}
    assert at(zeros, 'count_values("v", m)') == {"v=0": 1, "v=-0": 1, "v=NaN": 2, "v=-Inf": 1}


def test_count_values_groups_before_it_counts():
    assert at(GROUPED, 'count_values by (g) ("i", m)') == {"g=x i=1": 1, "g=x i=3": 1, "g=y i=8": 1, "g=y i=NaN": 1}
    assert at(GROUPED, 'count_values without (i) ("v", m)') == {
        "g=x v=1": 1, "g=x v=3": 1, "g=y v=8": 1, "g=y v=NaN": 1,
    }  # fmt: skip
    assert at(GROUPED, 'count_values without (i) ("i", m)') == {"g=x": 2, "g=y": 2}
    with pytest.raises(QueryError, match="too many samples"):
        at(GROUPED, 'count_values("v", m)', limits=Limits(max_samples=3, max_series=9))


@given(rows=st.lists(st.lists(st.sampled_from([None, 0.0, 1.5, -1.5, -2.0]), min_size=3, max_size=3), max_size=8))
@settings(max_examples=60, deadline=None)
def test_count_values_equals_its_reference(rows):
    found = over({f"m g={place % 2} i={place}": row for place, row in enumerate(rows)}, COUNTS_BY_GROUP, 0, 2)
    wanted = {}
    for place, row in enumerate(rows):
        value = None
        for step, point in enumerate(row):
            value = value if point is None else point
            if value is not None:
                key = f"g={place % 2} v={value:g}"
                counts = wanted.setdefault(key, [None] * 3)
                counts[step] = (counts[step] or 0) + 1
    assert found == wanted


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.lists(st.booleans(), min_size=3, max_size=3)), max_size=8))
@settings(max_examples=100, deadline=None)
def test_equal_labels_are_joined_where_they_do_not_overlap(rows):
    present = np.array([here for _, here in rows], np.bool_).reshape(-1, 3)
    values = np.arange(present.size, dtype=float).reshape(-1, 3)
    labels = [{"i": str(number)} for number, _ in rows]
    vector = VectorValue(labels, values, present, np.zeros(len(rows), np.bool_))
    wanted = {}
    cells = [(rows[row][0], step, values[row, step]) for row, step in zip(*np.nonzero(present), strict=True)]
    for number, step, value in cells:
        wanted[number, step] = value
    if len(wanted) < len(cells):
        with pytest.raises(QueryError, match="same labelset"):
            merged(vector)
        return
    joined = merged(vector)
    assert len(joined.labels) == len({number for number, _ in rows})
    assert {
        (int(joined.labels[row]["i"]), step): joined.values[row, step]
        for row, step in zip(*np.nonzero(joined.present), strict=True)
    } == wanted
