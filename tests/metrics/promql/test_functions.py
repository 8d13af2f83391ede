import math

import pytest

from metrics.promql.types import QueryError
from tests.metrics.promql.script import at

HISTOGRAM = {"h le=0.1": [10], "h le=0.5": [30], "h le=1": [40], "h le=+Inf": [40], "h le=odd": [1]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("abs(x)", 2.5), ("ceil(x)", -2), ("floor(x)", -3), ("sgn(x)", -1), ("round(x)", -2), ("round(x, 2)", -2),
        ("clamp(x, 0, 1)", 0), ("clamp_min(x, -1)", -1), ("clamp_max(x, -3)", -3), ("exp(x * 0)", 1),
        ("sqrt(x + 6.5)", 2), ("ln(x + 3.5)", 0), ("log2(x + 10.5)", 3), ("log10(x + 102.5)", 2),
        ("deg(x * 0 + pi())", 180), ("rad(x * 0 + 180)", math.pi), ("cos(x * 0)", 1), ("year(x * 0)", 1970),
        ("month(x * 0 + 951782400)", 2), ("day_of_month(x * 0 + 951782400)", 29), ("hour(x * 0 + 7200)", 2),
        ("days_in_month(x * 0 + 951782400)", 29), ("day_of_week(x * 0)", 4), ("day_of_year(x * 0 + 951782400)", 60),
        ("minute(x * 0 + 90)", 1), ("timestamp(x)", 0), ("timestamp(x + 0)", 60), ("scalar(x)", -2.5),
        ("vector(3)", 3), ("scalar(nothing)", math.nan), ("scalar({__name__=~'x|y'})", math.nan), ("minute()", 1),
    ],
)  # fmt: skip
def test_functions_of_one_value(query, expected):
    assert list(at({"x": [-2.5], "y": [1]}, query, 1).values()) == [pytest.approx(expected, nan_ok=True)]


def test_clamp_with_crossed_bounds_is_empty():
    assert at({"x": [1]}, "clamp(x, 2, 1)") == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("clamp_min(x, 3)", math.nan), ("clamp_min(x, Inf)", math.inf), ("clamp_max(x, 3)", math.nan),
        ("clamp_max(x, -Inf)", -math.inf), ("clamp_min(y, NaN)", math.nan), ("clamp_max(y, NaN)", math.nan),
        ("clamp_min(y / 0, NaN)", math.inf), ("clamp_max(-y / 0, NaN)", -math.inf), ("clamp(x, 0, 1)", math.nan),
        ("1 / clamp_min(y * 0, -0)", math.inf), ("1 / clamp_max(y * 0, -0)", -math.inf),
    ],
)  # fmt: skip
def test_bounds_treat_what_is_no_number_as_prometheus_does(query, expected):
    assert list(at({"x": [math.nan], "y": [1]}, query).values()) == [pytest.approx(expected, nan_ok=True)]


def test_labels_are_replaced_and_joined():
    series = {"x a=one-1 b=two": [1]}
    assert at(series, 'label_replace(x, "c", "$2:${1}$$", "a", "(.*)-(.*)")') == {"x a=one-1 b=two c=1:one$": 1}
    assert at(series, 'label_replace(x, "c", "$1", "a", "nope(.*)")') == {"x a=one-1 b=two": 1}
    assert at(series, 'label_replace(x, "a", "", "a", ".*")') == {"x b=two": 1}
    assert at(series, 'label_join(x, "c", "/", "b", "a")') == {"x a=one-1 b=two c=two/one-1": 1}
    for query in (
        'label_join(x, "", "/", "b")',
        'label_replace(x, "~c", "", "a", "")',
        'label_replace(x,"c","","a","(")',
    ):
        with pytest.raises(QueryError):
            at(series, query)


@pytest.mark.parametrize(
    "query",
    ['label_join(x, "", "/", "b")', 'label_replace(x, "~c", "", "a", "")', 'label_replace(x, "c", "", "a", "(")'],
)
def test_bad_names_and_patterns_are_refused(query):
    with pytest.raises(QueryError):
        at({"x": [1]}, query)


def test_sorting_orders_an_instant_vector():
    series = {"x i=10": [2], "x i=9": [math.nan], "x i=1": [3]}
    assert list(at(series, "sort(x)")) == ["x i=10", "x i=1", "x i=9"]
    assert list(at(series, "sort_desc(x)")) == ["x i=1", "x i=10", "x i=9"]
    assert list(at(series, 'sort_by_label(x, "i")')) == ["x i=1", "x i=9", "x i=10"]
    assert list(at(series, 'sort_by_label_desc(x, "i")')) == ["x i=10", "x i=9", "x i=1"]


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0.5, 0.3), (0.25, 0.1), (1, 1), (0.125, 0.05), (-1, -math.inf), (2, math.inf), ("NaN", math.nan)],
)
def test_histogram_quantile_interpolates(q, expected):
    assert at(HISTOGRAM, f"histogram_quantile({q}, h)") == {"": pytest.approx(expected, nan_ok=True)}


def test_histograms_without_a_top_or_counts_have_no_quantile():
    assert math.isnan(at({"h le=1": [3]}, "histogram_quantile(0.5, h)")[""])
    assert math.isnan(at({"h le=1": [0], "h le=+Inf": [0]}, "histogram_quantile(0.5, h)")[""])
    assert at({"h": [3]}, "histogram_quantile(0.5, h)") == {}


def test_a_falling_bucket_is_made_level():
    assert at({"h le=1": [4], "h le=2": [3], "h le=+Inf": [8]}, "histogram_quantile(0.25, h)") == {"": 0.5}


def test_equal_bounds_are_added_up():
    series = {"h le=1": [2], "h le=1.0": [2], "h le=+Inf": [8]}
    assert at(series, "histogram_quantile(0.25, h)") == {"": 0.5}


@pytest.mark.parametrize(("low", "high", "share"), [(0, 0.1, 0.25), (0.1, 0.3, 0.25), (0, 9, 1), (1, 0, 0)])
def test_histogram_fraction(low, high, share):
    assert at(HISTOGRAM, f"histogram_fraction({low}, {high}, h)") == {"": pytest.approx(share)}


def test_a_bound_python_alone_can_read_is_no_bucket():
    assert at({"h le=1": [2], "h le=2_0": [3], "h le=+Inf": [4]}, "histogram_quantile(0.75, h)") == {"": 1}
