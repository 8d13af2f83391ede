"""Resets between native histograms, sums of many, equality, and what is no histogram."""

import math
from dataclasses import replace

import pytest
from hypothesis import given

from metrics.native_histograms.equality import alike, equal, near
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, ResetHint, Span
from metrics.native_histograms.resets import as_stored, is_reset
from metrics.native_histograms.sums import Mean, Sum, collide
from metrics.native_histograms.validation import MAX_BUCKETS, MAX_REACH, InvalidHistogram, validate, validate_sent
from tests.metrics.native_histograms.builds import custom, custom_histograms, exponential, exponential_histograms

BEFORE = exponential(1, (1, 2, 3), zero_count=1, zero_threshold=0.001)


@pytest.mark.parametrize(
    ("current", "reset"),
    [
        (BEFORE, False),
        (replace(BEFORE, count=6.0), True),
        (replace(BEFORE, zero_count=0.0), True),
        (exponential(1, (2, 1, 4), zero_count=1, zero_threshold=0.001), True),
        (exponential(1, (2, 2), zero_count=9, zero_threshold=0.001), True),
        (exponential(1, (1, 2, 3, 4), zero_count=1, zero_threshold=0.001), False),
        (exponential(2, (9, 9, 9), zero_count=1, zero_threshold=0.001), True),
        (exponential(0, (1, 5), zero_count=1, zero_threshold=0.001), False),
        (exponential(0, (1, 4), zero_count=3, zero_threshold=0.001), True),
        (exponential(1, (1, 2, 3), zero_count=1, zero_threshold=0.0001), True),
        (exponential(1, (2, 3), 1, zero_count=2, zero_threshold=1.0), False),
        (exponential(1, (2, 3), 1, zero_count=9, zero_threshold=1.2), True),
        (custom((1,), (9, 9)), True),
        (replace(BEFORE, count=6.0, reset_hint=ResetHint.NO), False),
        (replace(BEFORE, reset_hint=ResetHint.YES), True),
        (replace(BEFORE, count=6.0, reset_hint=ResetHint.GAUGE), True),
    ],
)
def test_anything_that_became_smaller_is_a_reset_unless_a_hint_says_otherwise(current, reset):
    assert is_reset(current, BEFORE) is reset


def test_listed_bounds_that_differ_are_compared_at_those_both_have():
    before = custom((1, 2, 5), (1, 2, 3, 4))
    assert not is_reset(custom((1, 5, 9), (1, 5, 4, 0)), before)
    assert is_reset(custom((1, 5, 9), (1, 4, 9, 9)), before)
    assert is_reset(custom((1, 2, 5), (0, 9, 9, 9)), before)
    assert is_reset(exponential(0, (99,)), before)


@given(exponential_histograms())
def test_nothing_is_a_reset_against_itself(histogram):
    assert not is_reset(replace(histogram, reset_hint=ResetHint.UNKNOWN), histogram)


def test_a_store_knows_only_of_runs_without_resets():
    grown = exponential(1, (2, 2, 3), zero_count=1, zero_threshold=0.001)
    assert as_stored(grown, BEFORE).reset_hint == ResetHint.NO
    assert as_stored(grown, None).reset_hint == ResetHint.UNKNOWN
    assert as_stored(replace(grown, reset_hint=ResetHint.YES), BEFORE).reset_hint == ResetHint.UNKNOWN
    assert as_stored(BEFORE, grown).reset_hint == ResetHint.UNKNOWN
    gauge = replace(BEFORE, reset_hint=ResetHint.GAUGE)
    assert as_stored(gauge, grown) == gauge
    assert as_stored(grown, gauge).reset_hint == ResetHint.UNKNOWN
    assert as_stored(exponential(0, (9, 9)), BEFORE).reset_hint == ResetHint.UNKNOWN


def test_a_mean_that_would_overflow_goes_step_by_step():
    parts = [exponential(0, (1, 1), sum=one) for one in (1.5e308, 1.2e308, 0.9e308)]
    gathering = Mean(parts[0])
    for part in parts[1:]:
        gathering.add(part)
    result = gathering.result(compact=True)
    assert result.sum == pytest.approx(1.2e308)
    assert alike(replace(result, sum=0.0), exponential(0, (1, 1)), 1e-12)


def test_a_mean_of_two_is_half_the_sum():
    gathering = Mean(custom((1, 5), (1, 2, 3), sum=10))
    gathering.add(custom((5, 9), (1, 0, 2), sum=2))
    assert gathering.result(compact=True) == custom((5,), (2, 2.5), count=4.5, sum=6)
    assert gathering.bounds_differ


def test_a_sum_of_one_is_that_one_with_its_empty_buckets():
    alone = exponential(0, (1, 0, 2))
    assert Sum(alone).result(compact=False) == alone
    assert Sum(alone).result(compact=True).positive == (1.0, 2.0)
    assert Mean(alone).result(compact=False) == alone


def test_hints_of_many_collide_when_some_say_reset_and_others_none():
    gathering = Sum(exponential(0, (1,), reset_hint=ResetHint.YES))
    gathering.add(exponential(0, (1,), reset_hint=ResetHint.UNKNOWN))
    assert not collide(gathering.hints)
    gathering.add(exponential(0, (1,), reset_hint=ResetHint.NO))
    assert collide(gathering.hints)


def test_equality_is_of_bits_and_buckets_but_not_of_hints():
    one = exponential(0, (1, 2), sum=math.nan, zero_count=0.0)
    assert equal(one, replace(one, reset_hint=ResetHint.GAUGE))
    assert not equal(one, replace(one, zero_count=-0.0))
    assert not equal(one, exponential(0, (1, 2, 0), sum=math.nan))
    assert alike(one, exponential(0, (1, 2 + 1e-9, 0), sum=math.nan), 1e-6)
    assert not alike(one, replace(one, reset_hint=ResetHint.GAUGE), 1e-6, with_hint=True)


def test_numbers_are_near_by_their_size():
    assert near(1.0, 1.0000001, 1e-6)
    assert not near(1.0, 1.01, 1e-6)
    assert not near(0.0, 1e-9, 1e-6)
    assert near(math.inf, math.inf, 1e-6)


BROKEN = [
    (Histogram(9, 0.0, 0.0), "invalid schema"),
    (exponential(0, (1,), count=-1), "count is negative"),
    (exponential(0, (-1,), count=1), "bucket number 1"),
    (exponential(0, (), negative=(-1,), count=1), "negative side: bucket number 1"),
    (replace(exponential(0, (1,)), zero_count=-1.0), "zero bucket"),
    (replace(exponential(0, (1,)), custom_values=(1.0,)), "must not have custom bounds"),
    (replace(exponential(0, (1,)), positive_spans=(Span(0, 2),)), "spans need 2 buckets, have 1"),
    (Histogram(0, 2.0, 0.0, positive_spans=(Span(0, 1), Span(-1, 1)), positive=(1.0, 1.0)), "span number 2"),
    (custom((2, 1), (1, 1)), "strictly increasing"),
    (custom((1, math.nan), (1, 1)), "NaN"),
    (custom((1, math.inf), (1, 1)), "finite"),
    (custom((1,), (1, 1, 1)), "too few"),
    (custom((1,), (1,), -1), "negative offset"),
    (custom((1,), (1,), zero_count=1.0), "zero count"),
    (custom((1,), (1,), negative=(1,)), "negative buckets"),
]


@pytest.mark.parametrize(("histogram", "text"), BROKEN)
def test_what_is_no_histogram_is_refused_with_a_reason(histogram, text):
    with pytest.raises(InvalidHistogram, match=text):
        validate(histogram)


MANY = (1.0,) * (MAX_BUCKETS + 1)
UNSENDABLE = [
    (exponential(0, MANY), "more than 1000 buckets"),
    (Histogram(0, 1.0, 0.0, positive_spans=(Span(MAX_REACH, 1),), positive=(1.0,)), "reach too far"),
    (replace(exponential(0, (1, 2)), count=4.0), "hold 3 observations, its count says 4"),
    *BROKEN,
]


@pytest.mark.parametrize(("histogram", "text"), UNSENDABLE)
def test_what_no_door_takes_is_refused_with_a_reason(histogram, text):
    with pytest.raises(InvalidHistogram, match=text):
        validate_sent(histogram, whole=True)


def test_counts_that_are_no_whole_numbers_may_miss_their_total():
    validate_sent(replace(exponential(0, (1, 2)), count=4.0), whole=False)
    validate_sent(replace(exponential(0, (1, 2)), count=4.0, sum=math.nan), whole=True)
    assert MAX_BUCKETS < MAX_REACH


@given(exponential_histograms())
def test_exponential_histograms_are_valid(histogram):
    validate(histogram)
    assert histogram.schema != CUSTOM_SCHEMA


@given(custom_histograms())
def test_histograms_with_listed_bounds_are_valid(histogram):
    validate(histogram)
    assert histogram.schema == CUSTOM_SCHEMA
