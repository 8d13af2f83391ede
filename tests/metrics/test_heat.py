"""Heat maps: buckets by time, from classic buckets and native histograms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.maths.heat import LEVELS, MOST_CELLS, MOST_ROWS, HeatMap, HeatRow, heat_of
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, Span
from metrics.promql.types import QueryResult


def classic(buckets: dict[str, list[float]]) -> QueryResult:
    values = np.array(list(buckets.values()), float).reshape(len(buckets), -1)
    return QueryResult(
        "matrix", [{"le": bound} for bound in buckets], np.arange(values.shape[1]) * 60_000, values, ~np.isnan(values)
    )


def native(*rows: list[Histogram | None]) -> QueryResult:
    cells = np.array(rows, np.object_)
    present = np.not_equal(cells, None).astype(np.bool_)
    labels = [{"row": str(place)} for place in range(len(rows))]
    return QueryResult(
        "matrix", labels, np.arange(cells.shape[1]) * 60_000, np.zeros(cells.shape), present, histograms=cells
    )


def exponential(schema: int, first: int, *counts: float) -> Histogram:
    return Histogram(schema, sum(counts), 1.0, positive_spans=(Span(first, len(counts)),), positive=counts)


def drawn(heat: HeatMap | None) -> list[tuple[float, float, list[float]]]:
    assert heat is not None
    return [(row.low, row.high, row.counts) for row in heat.rows]


def test_each_classic_bucket_has_its_own_share_of_what_the_counts_include() -> None:
    result = classic({"2": [3, 6], "1": [1, 2], "+Inf": [3, 7]})
    assert drawn(heat_of(result)) == [(0.0, 1.0, [1, 2]), (1.0, 2.0, [2, 4]), (2.0, math.inf, [0, 1])]


def test_buckets_of_several_series_are_added_and_bounds_that_are_no_numbers_left_out() -> None:
    result = classic({"1": [1], "nonsense": [50], "+Inf": [2]})
    result.labels[1] = {"le": "1"}
    assert drawn(heat_of(result)) == [(0.0, 1.0, [51])]
    result.labels[1] = {"le": "nonsense"}
    assert drawn(heat_of(result)) == [(0.0, 1.0, [1]), (1.0, math.inf, [1])]


def test_a_bucket_with_less_than_the_one_below_it_holds_nothing() -> None:
    assert drawn(heat_of(classic({"1": [5], "2": [3], "+Inf": [6]}))) == [
        (0.0, 1.0, [5]), (1.0, 2.0, [0]), (2.0, math.inf, [3]),
    ]  # fmt: skip


def test_negative_bounds_reach_down_without_end() -> None:
    assert drawn(heat_of(classic({"-1": [2], "+Inf": [2]}))) == [(-math.inf, -1.0, [2])]


def test_an_answer_without_buckets_has_no_heat_map_and_one_with_empty_ones_no_rows() -> None:
    plain = classic({"1": [1]})
    plain.labels[0] = {"host": "a"}
    assert heat_of(plain) is None
    assert drawn(heat_of(classic({"1": [0], "+Inf": [0]}))) == []
    assert drawn(heat_of(classic({"nonsense": [3]}))) == []


def test_native_histograms_fall_into_the_bounds_of_the_coarsest() -> None:
    # Schema 0 ends its buckets at 1, 2, 4; schema 1 halves each of them.
    coarse, fine = exponential(0, 1, 5), exponential(1, 1, 1, 1, 1)
    assert drawn(heat_of(native([coarse, None], [None, fine]))) == [
        (1.0, 2.0, [5, 2]), (2.0, pytest.approx(2 * math.sqrt(2)), [0, 1]),
    ]  # fmt: skip


def test_zero_negative_and_listed_buckets_are_shown() -> None:
    around = Histogram(
        0, 6, 0, 0.5, 1, positive_spans=(Span(0, 1),), positive=(2,), negative_spans=(Span(0, 1),), negative=(3,)
    )
    assert drawn(heat_of(native([around]))) == [(-1.0, -0.5, [3]), (-0.5, 0.5, [1]), (0.5, 1.0, [2])]
    listed = Histogram(CUSTOM_SCHEMA, 3, 0, positive_spans=(Span(0, 2),), positive=(1, 2), custom_values=(5.0,))
    assert drawn(heat_of(native([listed]))) == [(-math.inf, 5.0, [1]), (5.0, math.inf, [2])]


def test_more_rows_than_a_reader_can_tell_apart_are_joined_and_nothing_is_lost() -> None:
    heat = heat_of(native([exponential(3, -60, *([1.0] * 121))]))
    assert heat is not None
    assert (heat.joined, len(heat.rows) <= MOST_ROWS) == (4, True)
    assert sum(row.counts[0] for row in heat.rows) == 121
    assert all(one.high == other.low for one, other in zip(heat.rows, heat.rows[1:], strict=False))


def test_more_histograms_than_can_be_drawn_are_left_out_and_counted() -> None:
    heat = heat_of(native([exponential(0, 0, 1)] * (MOST_CELLS + 7)))
    assert heat is not None
    assert heat.left_out == 7
    assert sum(heat.rows[0].counts) == MOST_CELLS


def test_levels_rise_with_the_root_and_only_nothing_is_cold() -> None:
    heat = HeatMap([0, 1, 2, 3], [HeatRow(0, 1, [0, 1, 25, 100])], native=False)
    assert heat.levels() == [[0, 1, 4, LEVELS]]
    assert HeatMap([0], [HeatRow(0, 1, [0])], native=False).levels() == [[0]]


def test_counts_beyond_all_numbers_can_be_drawn() -> None:
    endless = heat_of(native([exponential(0, 0, math.inf, 1)], [exponential(0, 0, 1e308, 1e308)]))
    assert endless is not None
    assert endless.levels() == [[LEVELS], [6]]
    overflowing = classic({"1": [1e308], "2": [1e308], "+Inf": [1e308]})
    overflowing.labels = [{"le": "1"}] * 3
    assert heat_of(overflowing) is not None
    assert heat_of(overflowing).levels() == [[LEVELS]]  # type: ignore[union-attr]


@given(
    st.dictionaries(
        st.floats(allow_nan=False).map(str),
        st.lists(st.floats(), min_size=3, max_size=3),
        min_size=1,
        max_size=60,
    )
)
def test_any_buckets_make_a_map_that_can_be_drawn(buckets: dict[str, list[float]]) -> None:
    heat = heat_of(classic(buckets))
    assert heat is not None
    assert all(0 <= level <= LEVELS for row in heat.levels() for level in row)
    assert len(heat.rows) <= MOST_ROWS
