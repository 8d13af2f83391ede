"""Counts of classic histograms that fall: the compiled notes against a plain reading."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics.promql.histograms.kernels import histogram_falls, nearly_equal
from tests.metrics.promql.script import Series, answer

COUNTS = st.one_of(st.integers(0, 4).map(float), st.floats(), st.just(1.0 + 1e-13))


def plain(bounds: list[float], columns: list[list[float]]) -> list[float]:
    """Return the lowest and the highest bound at which counts fell, and by how much at most."""
    first, last, largest = math.inf, -math.inf, 0.0
    for counts in columns:
        before = counts[0]
        for bound, count in zip(bounds[1:], counts[1:], strict=True):
            if count == before or nearly_equal(before, count):
                continue
            if count < before:
                first, last, largest = min(first, bound), max(last, bound), max(largest, before - count)
            else:
                before = count
    return [first, last, largest]


@given(st.lists(st.lists(COUNTS, min_size=5, max_size=5), min_size=1, max_size=4), st.lists(st.booleans(), min_size=4))
def test_what_fell_is_what_a_plain_reading_finds(columns: list[list[float]], chosen: list[bool]) -> None:
    bounds = [0.5, 1.0, 2.0, 4.0, math.inf]
    values = np.array(columns, float).T.copy()
    forced = np.array([chosen[: len(columns)]], np.bool_)
    falls = np.array([[math.inf, -math.inf, 0.0]])
    with np.errstate(all="ignore"):
        histogram_falls(
            values, np.ones(values.shape, np.bool_), np.array([0, 5]), np.arange(5), np.array(bounds), forced, falls
        )
        wanted = plain(bounds, [column for column, here in zip(columns, chosen, strict=False) if here])
    assert falls[0].tolist() == wanted


def test_each_metric_is_told_of_once_with_all_its_histograms() -> None:
    series: Series = {
        f"h_bucket host={host} le={bound}": [count, count]
        for host, counts in (("a", (5, 3, 6)), ("b", (9, 9, 2)))
        for bound, count in zip(("1", "2", "+Inf"), counts, strict=True)
    }
    infos = answer(series, "histogram_quantile(0.5, h_bucket)", 0, 1).infos
    assert len(infos) == 1
    assert 'for metric name "h_bucket"' in infos[0]
    assert "from buckets 2 to +Inf, with a max diff of 7, over 4 samples from 1970-01-01T00:00:00Z" in infos[0]
