"""Sums, differences and multiples of native histograms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.native_histograms.arithmetic import (
    IncompatibleSchemas,
    accumulate,
    add_to,
    added,
    divided_by,
    losses_of,
    multiplied,
    subtracted,
)
from metrics.native_histograms.buckets import all_buckets
from metrics.native_histograms.equality import alike
from metrics.native_histograms.layout import compacted, indices_of, positive_of, spans_of
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, ResetHint, Span
from metrics.native_histograms.tally import histogram_of, reduce_resolution, tally_of
from tests.metrics.native_histograms.builds import custom, custom_histograms, exponential, exponential_histograms

pairs = st.one_of(
    st.tuples(exponential_histograms(), exponential_histograms()), st.tuples(custom_histograms(), custom_histograms())
)


def counted(histogram):
    return sum(histogram.positive) + sum(histogram.negative) + histogram.zero_count


def test_a_sum_has_the_buckets_of_both():
    total, remarks = added(exponential(1, (1, 2), 3, sum=4), exponential(1, (5, 6), 4, sum=10, zero_count=1))
    assert total == exponential(1, (1, 7, 6), 3, sum=14, zero_count=1)
    assert (remarks.hints_collide, remarks.bounds_differ) == (False, False)


def test_a_sum_has_the_coarser_resolution():
    total, _ = added(exponential(0, (3,), 1), exponential(1, (1, 2, 4), 1))
    assert total == exponential(0, (6, 4), 1)


def test_the_bucket_around_zero_grows_to_the_wider_one_and_swallows_what_is_inside():
    narrow = exponential(0, (1, 2, 4), -2, zero_threshold=0.001, zero_count=1)
    total, _ = added(narrow, exponential(0, (8,), 1, zero_threshold=0.25, zero_count=16))
    assert total == exponential(0, (2, 4, 8), -1, zero_threshold=0.25, zero_count=18)


def test_a_threshold_within_a_filled_bucket_moves_to_its_end():
    one = exponential(0, (4, 1), 0, zero_threshold=0.001)
    total, _ = added(one, exponential(0, (1,), 2, zero_threshold=0.6, zero_count=2))
    assert total == exponential(0, (1, 1), 1, zero_threshold=1.0, zero_count=6)


def test_a_threshold_that_moves_on_the_negative_side_reads_the_positive_side_anew():
    one = exponential(0, (4,), 1, negative=(8,), negative_offset=1, zero_threshold=0.001)
    total, _ = added(one, exponential(0, (), zero_threshold=1.5, zero_count=2))
    assert total == exponential(0, (), zero_threshold=2.0, zero_count=14)


def test_listed_bounds_that_differ_meet_at_those_both_have():
    total, remarks = added(custom((1, 2, 5), (1, 2, 4, 8)), custom((2, 5, 10), (1, 1, 1, 1)))
    assert total == custom((2, 5), (4, 5, 10))
    assert remarks.bounds_differ


def test_listed_bounds_with_nothing_in_common_leave_one_bucket():
    total, _ = subtracted(custom((1,), (1, 2)), custom((3,), (1, 1)))
    assert total == custom((), (1,), count=1)


def test_exponential_and_listed_bounds_do_not_add():
    with pytest.raises(IncompatibleSchemas):
        added(exponential(0, (1,)), custom((1,), (1, 1)))
    with pytest.raises(IncompatibleSchemas):
        accumulate(tally_of(custom((1,), (1,))), losses_of(tally_of(custom((1,), (1,)))), tally_of(exponential(0)))


@pytest.mark.parametrize(
    ("one", "other", "result", "collide"),
    [
        (ResetHint.NO, ResetHint.NO, ResetHint.NO, False),
        (ResetHint.NO, ResetHint.UNKNOWN, ResetHint.UNKNOWN, False),
        (ResetHint.UNKNOWN, ResetHint.YES, ResetHint.UNKNOWN, False),
        (ResetHint.YES, ResetHint.NO, ResetHint.UNKNOWN, True),
        (ResetHint.YES, ResetHint.GAUGE, ResetHint.GAUGE, False),
        (ResetHint.GAUGE, ResetHint.UNKNOWN, ResetHint.GAUGE, False),
    ],
)
def test_the_hint_of_a_sum_follows_from_both(one, other, result, collide):
    total, remarks = added(exponential(0, (1,), reset_hint=one), exponential(0, (1,), reset_hint=other))
    assert (total.reset_hint, remarks.hints_collide) == (result, collide)


def test_a_negative_multiple_is_a_gauge():
    histogram = exponential(0, (1, 2), sum=3, zero_count=1, negative=(4,))
    assert multiplied(histogram, -2) == exponential(
        0, (-2, -4), sum=-6, zero_count=-2, negative=(-8,), reset_hint=ResetHint.GAUGE
    )
    assert divided_by(histogram, 2) == exponential(0, (0.5, 1), sum=1.5, zero_count=0.5, negative=(2,))
    assert divided_by(histogram, -1).reset_hint == ResetHint.GAUGE


def test_a_division_by_zero_leaves_no_buckets():
    parts = divided_by(exponential(0, (1, 2), sum=-3, zero_count=0, reset_hint=ResetHint.NO), 0.0)
    assert (parts.count, parts.sum, parts.positive, parts.positive_spans) == (math.inf, -math.inf, (), ())
    assert math.isnan(parts.zero_count)
    assert parts.reset_hint == ResetHint.NO


def test_compensation_keeps_what_a_plain_sum_loses():
    parts = [exponential(0, (one,), sum=one) for one in (1e100, 1.0, -1e100)]
    total = tally_of(parts[0])
    lost = losses_of(total)
    for part in parts[1:]:
        accumulate(total, lost, tally_of(part))
    add_to(total, lost)
    assert histogram_of(total) == exponential(0, (1,), sum=1)


@given(pairs)
def test_a_sum_loses_no_observation(pair):
    total, _ = added(*pair)
    assert total.count == pair[0].count + pair[1].count
    assert counted(total) == counted(pair[0]) + counted(pair[1])


@given(pairs)
def test_a_sum_does_not_depend_on_the_order(pair):
    assert alike(added(*pair)[0], added(*pair[::-1])[0], 1e-12, with_hint=True)


@given(st.one_of(st.tuples(*[custom_histograms()] * 3)))
def test_sums_of_listed_bounds_are_associative(three):
    one, two, last = three
    assert alike(added(added(one, two)[0], last)[0], added(one, added(two, last)[0])[0], 1e-12)


@given(exponential_histograms(), st.integers(0, 500))
def test_subtracting_takes_adding_back(histogram, more):
    other = exponential(histogram.schema, (more,), 70, zero_threshold=histogram.zero_threshold, sum=3)
    back, _ = subtracted(added(histogram, other)[0], other)
    assert alike(histogram, back, 1e-12)


@given(pairs)
def test_compensated_sums_are_the_plain_ones_of_whole_numbers(pair):
    total = tally_of(pair[0])
    lost = losses_of(total)
    accumulate(total, lost, tally_of(pair[1]))
    add_to(total, lost)
    assert alike(histogram_of(total), added(*pair)[0], 1e-12)


@given(exponential_histograms(), st.integers(-4, 8))
def test_a_coarser_resolution_keeps_every_count_and_every_bound(histogram, target):
    tally = tally_of(histogram)
    reduce_resolution(tally, target)
    coarse = histogram_of(tally)
    assert coarse.schema == min(histogram.schema, target)
    assert (sum(coarse.positive), sum(coarse.negative)) == (sum(histogram.positive), sum(histogram.negative))
    for bucket in all_buckets(compacted(histogram)):
        assert any(one.lower <= bucket.lower and bucket.upper <= one.upper for one in all_buckets(coarse))


@given(st.sets(st.integers(-100, 100)))
def test_spans_stand_for_the_indices_they_were_made_of(indices):
    ordered = tuple(sorted(indices))
    spans = spans_of(ordered)
    assert indices_of(spans) == ordered
    assert all(span.offset > 0 for span in spans[1:])


def test_compaction_drops_empty_buckets_and_joins_spans():
    spread = Histogram(
        0, 6.0, 1.0, positive_spans=(Span(-1, 2), Span(0, 3), Span(2, 0), Span(1, 1)),
        positive=(0.0, 1.0, 2.0, 0.0, 3.0, 0.0),
    )  # fmt: skip
    compact = compacted(spread)
    assert compact.positive_spans == (Span(0, 2), Span(1, 1))
    assert positive_of(compact) == {0: 1.0, 1: 2.0, 3: 3.0}
    assert compacted(compact) is compact
    assert compacted(Histogram(CUSTOM_SCHEMA, 0.0, 0.0, positive_spans=(Span(0, 1),), positive=(0.0,))).positive == ()
