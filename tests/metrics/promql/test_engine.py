import math

import pytest

from metrics.promql.types import Limits, Matcher, QueryError
from tests.metrics.promql.script import answer, at, over

CPU = {"cpu host=a mode=idle": [0, 10, 20, 30, 40, 50], "cpu host=b mode=idle": [0, 20, 40, 60, 80, 100]}


def test_a_selector_returns_the_newest_sample_within_the_look_back():
    assert at(CPU, "cpu", 5) == {"cpu host=a mode=idle": 50, "cpu host=b mode=idle": 100}
    assert at({"up": [1]}, "up", 4.9) == {"up": 1}
    assert at({"up": [1]}, "up", 5) == {}


def test_a_stale_marker_ends_a_series_at_once():
    assert over({"up": [1, "stale", None, 1]}, "up", 0, 3) == {"up": [1, None, None, 1]}
    assert at({"up": [1, "stale", None, 1]}, "count_over_time(up[5m])", 3) == {"": 2}


def test_windows_are_open_on_the_left():
    assert at({"up": [1, 1, 1, 1]}, "count_over_time(up[2m])", 3) == {"": 2}


def test_offset_and_at_move_the_instant():
    assert at(CPU, 'cpu{host="a"} offset 2m', 5) == {"cpu host=a mode=idle": 30}
    assert over(CPU, 'cpu{host="a"} @ 60', 2, 4) == {"cpu host=a mode=idle": [10, 10, 10]}
    assert over(CPU, 'cpu{host="a"} @ end()', 2, 4) == {"cpu host=a mode=idle": [40, 40, 40]}
    assert at(CPU, "cpu @ -60", 2) == {}


def test_rate_extrapolates_and_survives_a_reset():
    assert at(CPU, 'rate(cpu{host="a"}[5m])', 5) == {"host=a mode=idle": pytest.approx(10 / 60)}
    assert at({"c": [0, 10, 20, 5, 15]}, "increase(c[4m])", 4) == {"": pytest.approx(100 / 3)}


def test_irate_takes_the_last_two_samples_and_delta_may_fall():
    assert at({"c": [0, 1, 61]}, "irate(c[5m])", 2) == {"": 1}
    assert at({"c": [0, 100, 30]}, "irate(c[5m])", 2) == {"": 0.5}
    assert at({"g": [10, 8, 6]}, "idelta(g[5m])", 2) == {"": -2}
    assert at({"g": [10, 8, 6]}, "delta(g[2m])", 2) == {"": -4}


def test_regressions_follow_a_line():
    assert at(CPU, 'deriv(cpu{host="a"}[5m])', 5) == {"host=a mode=idle": pytest.approx(10 / 60)}
    assert at(CPU, 'predict_linear(cpu{host="a"}[5m], 60)', 5) == {"host=a mode=idle": pytest.approx(60)}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("sum", 12), ("avg", 3), ("min", 1), ("max", 6), ("count", 4), ("last", 2), ("first", 3), ("present", 1),
        ("stdvar", 3.5), ("stddev", math.sqrt(3.5)), ("mad", 1.0), ("ts_of_max", 120), ("ts_of_min", 60),
        ("ts_of_last", 180), ("ts_of_first", 0),
    ],
)  # fmt: skip
def test_functions_over_time(function, expected):
    assert list(at({"x": [3, 1, 6, 2]}, f"{function}_over_time(x[5m])", 3).values()) == [pytest.approx(expected)]


def test_changes_and_resets_count():
    assert at({"x": [1, 1, 2, 1]}, "changes(x[5m])", 3) == {"": 2}
    assert at({"x": [1, 1, 2, 1]}, "resets(x[5m])", 3) == {"": 1}


def test_quantile_over_time_and_smoothing():
    assert at({"x": [1, 2, 3, 4]}, "quantile_over_time(0.5, x[5m])", 3) == {"": 2.5}
    assert at({"x": [1, 2, 3, 4]}, "quantile_over_time(2, x[5m])", 3) == {"": math.inf}
    assert at({"x": [1, 2, 3, 4]}, "double_exponential_smoothing(x[5m], 0.5, 0.5)", 3) == {"": 4}
    with pytest.raises(QueryError, match="smoothing factor"):
        at({"x": [1, 2]}, "double_exponential_smoothing(x[5m], 1, 0.5)", 1)


def test_subqueries_run_on_their_own_grid():
    assert at(CPU, 'max_over_time(rate(cpu{host="a"}[2m])[3m:1m])', 5) == {"host=a mode=idle": pytest.approx(1 / 6)}
    assert at({"x": [1, 2, 3, 4, 5]}, "sum_over_time(x[3m:])", 4) == {"": 12}


def test_absent_is_named_after_the_equalities():
    assert at({}, 'absent(up{job="a",host=~"b.*"})') == {"job=a": 1}
    assert at({"up job=a": [1]}, 'absent(up{job="a"})') == {}
    assert at({}, 'absent_over_time(up{job="a"}[5m])') == {"job=a": 1}
    assert over({"up": [1]}, "absent(up)", 4, 6) == {"": [None, 1, 1]}


def test_an_instant_query_of_a_window_returns_its_samples():
    result = answer({"x": [1, 2, 3]}, "x[2m]", 2, 2)
    assert result.type == "matrix"
    assert result.range_vector is not None
    assert result.range_vector.values.tolist() == [2, 3]
    assert result.range_vector.timestamps_ms.tolist() == [60_000, 120_000]
    with pytest.raises(QueryError, match="range query"):
        answer({"x": [1, 2, 3]}, "x[2m]", 1, 2)


def test_scalars_strings_and_the_query_context():
    assert answer({}, '"text"', 0, 0).string_value == "text"
    assert over({}, "time()", 0, 2) == {"": [0, 60, 120]}
    assert over({}, "end() - start() + step() + range()", 1, 3) == {"": [300, 300, 300]}
    assert at({}, "-2 ^ 2") == {"": -4}
    assert at({}, "1_000 + 0x_1F") == {"": 1031}


def test_the_enforced_matchers_reach_every_selector():
    enforced = [Matcher("host", "=", "a")]
    assert at(CPU, "cpu + cpu", 1, enforced_matchers=enforced) == {"host=a mode=idle": 20}


def test_alternatives_are_joined_without_doubles():
    assert at(CPU, 'count(cpu{host="a" or mode="idle"})', 1) == {"": 2}


@pytest.mark.parametrize(
    ("limits", "query"),
    [
        (Limits(max_samples=3), "cpu"), (Limits(max_series=1), "cpu"), (Limits(max_depth=2), "abs(abs(abs(cpu)))"),
        (Limits(max_steps=2), "cpu"),
    ],
)  # fmt: skip
def test_limits_end_a_query(limits, query):
    with pytest.raises(QueryError):
        answer(CPU, query, 0, 5, limits=limits)


def test_a_passed_deadline_ends_a_query():
    with pytest.raises(QueryError) as problem:
        at(CPU, "cpu", deadline=lambda: True)
    assert problem.value.kind == "timeout"


def test_a_start_that_was_not_given_is_zero():
    assert set(at(CPU, "start_timestamp(cpu)", 1).values()) == {0.0}
    assert at(CPU, "start_timestamp(abs(cpu))", 1) == {}


@pytest.mark.parametrize(("start", "end", "step"), [(1, 0, 1), (0, 1, 0)])
def test_an_impossible_grid_is_refused(start, end, step):
    with pytest.raises(QueryError):
        answer(CPU, "cpu", start, end, step)


def test_a_range_answer_is_sorted_by_labels():
    result = answer({"x i=2": [1], "x i=1": [1]}, "x", 0, 1)
    assert [labels["i"] for labels in result.labels] == ["1", "2"]
