"""What native histograms say about their observations."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metrics.native_histograms.buckets import all_buckets
from metrics.native_histograms.model import Histogram, Span
from metrics.native_histograms.reading import NanNote, deviation, fraction, mean, quantile, variance
from metrics.native_histograms.text import described, general
from metrics.native_histograms.trimming import trimmed
from tests.metrics.native_histograms.builds import custom, exponential, exponential_histograms

POSITIVE = exponential(0, (2, 3, 0, 1, 4), zero_count=2, zero_threshold=0.001, sum=18.4)
NEGATIVE = exponential(0, negative=(2, 3, 0, 1, 4), zero_count=2, zero_threshold=0.001, sum=-18.4)
BOTH = exponential(0, (2, 4), negative=(2, 4), zero_count=4, zero_threshold=0.5)
LISTED = custom((1, 5), (2, 5, 3), sum=20)


@pytest.mark.parametrize(
    ("histogram", "q", "expected"),
    [
        (POSITIVE, 0, 0.0),
        (POSITIVE, 1, 16.0),
        (POSITIVE, 0.5, 2 ** (2 / 3)),
        (POSITIVE, 1 / 12, 0.0005),
        (NEGATIVE, 0.5, -(2 ** (2 / 3))),
        (NEGATIVE, 0, -16.0),
        (NEGATIVE, 1, 0.0),
        (BOTH, 0.5, 0.0),
        (BOTH, 0.75, 1.0),
        (LISTED, 0.5, 3.4),
        (LISTED, 0.1, 0.5),
        (LISTED, 0.99, 5.0),
        (custom((-5, 5), (2, 2)), 0.25, -5.0),
        (POSITIVE, -1, -math.inf),
        (POSITIVE, 1.1, math.inf),
    ],
)
def test_a_quantile_is_interpolated_within_its_bucket(histogram, q, expected):
    value, note = quantile(q, histogram)
    assert value == pytest.approx(expected)
    assert note is NanNote.NONE


def test_an_empty_histogram_has_no_quantile_and_no_fraction():
    empty = exponential(0)
    assert math.isnan(quantile(0.5, empty)[0])
    assert math.isnan(quantile(math.nan, POSITIVE)[0])
    assert math.isnan(fraction(0, 1, empty)[0])
    assert math.isnan(mean(empty))


def test_observations_of_nan_count_as_the_highest_and_are_told_of():
    skewed = exponential(0, (2, 5), count=10, sum=math.nan)
    assert quantile(0.1, skewed) == (pytest.approx(2**-0.5), NanNote.SKEWED)
    value, note = quantile(0.9, skewed)
    assert math.isnan(value)
    assert note is NanNote.UNKNOWN
    assert fraction(-math.inf, math.inf, skewed) == (pytest.approx(0.7), True)
    # Infinities of both signs make a sum of NaN too, but nothing is missing from the buckets then.
    assert quantile(0.5, exponential(0, (2, 2), sum=math.nan))[1] is NanNote.NONE


@pytest.mark.parametrize(
    ("histogram", "lower", "upper", "expected"),
    [
        (POSITIVE, -math.inf, math.inf, 1.0),
        (POSITIVE, -math.inf, 1, 4 / 12),
        (POSITIVE, 2, 8, 1 / 12),
        (POSITIVE, math.sqrt(2), 2, 1.5 / 12),
        (POSITIVE, 0, 0.0005, 1 / 12),
        (NEGATIVE, -2, -1, 3 / 12),
        (BOTH, -0.25, 0.25, 2 / 16),
        (LISTED, 0, 3, 0.45),
        (LISTED, 3, 100, 0.25),
        (POSITIVE, 2, 1, 0.0),
        (custom((-5, 5), (2, 2)), -math.inf, -7, 0.5),
    ],
)
def test_a_fraction_is_interpolated_at_both_ends(histogram, lower, upper, expected):
    assert fraction(lower, upper, histogram) == (pytest.approx(expected), False)


@given(exponential_histograms(), st.floats(0.01, 0.99))
def test_the_fraction_below_a_quantile_is_the_quantile(histogram, q):
    # Infinitely many quantiles share a value where a bucket has no width.
    assume(histogram.count > 0 and histogram.zero_threshold > 0)
    value, _ = quantile(q, histogram)
    assume(all(value != edge for bucket in all_buckets(histogram) for edge in (bucket.lower, bucket.upper)))
    assert fraction(-math.inf, value, histogram)[0] == pytest.approx(q, rel=1e-6)


def test_mean_and_spread_take_the_middle_of_each_bucket():
    assert mean(POSITIVE) == pytest.approx(18.4 / 12)
    one = exponential(0, (4,), 1, sum=4 * math.sqrt(2))
    assert (variance(one), deviation(one)) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-6))
    two = custom((0, 2, 4), (0, 1, 1), sum=4)
    assert (variance(two), deviation(two)) == (1.0, 1.0)
    assert variance(exponential(0, (), zero_count=2, zero_threshold=1, sum=2)) == 1.0


def test_a_histogram_is_described_with_its_filled_buckets():
    assert described(BOTH) == ("{count:16, sum:0, [-2,-1):4, [-1,-0.5):2, [-0.5,0.5]:4, (0.5,1]:2, (1,2]:4}")
    assert described(LISTED) == "{count:10, sum:20, [-Inf,1]:2, (1,5]:5, (5,+Inf]:3}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1"), (0.1, "0.1"), (100000.0, "100000"), (1e6, "1e+06"), (1234567.0, "1.234567e+06"),
        (0.0001, "0.0001"), (0.00001, "1e-05"), (1e100, "1e+100"), (-2.5, "-2.5"), (math.inf, "+Inf"),
        (-math.inf, "-Inf"), (math.nan, "NaN"),
    ],
)  # fmt: skip
def test_a_number_is_written_as_labels_have_it(value, text):
    assert general(value) == text


@pytest.mark.parametrize(
    ("histogram", "limit", "above", "count", "total"),
    [
        (exponential(0, (4, 4), sum=8), 1, True, 4, 4 * math.sqrt(0.5)),
        (exponential(0, (4, 4), sum=8), 1, False, 4, 4 * math.sqrt(2)),
        (exponential(0, (4, 4), sum=8), math.sqrt(2), True, 6, 4 * math.sqrt(0.5) + 2 * 2**0.25),
        (exponential(0, (4, 4), sum=8), 100, True, 8, 8),
        (exponential(0, (4, 4), sum=8), 0, True, 0, 0),
        (exponential(0, (), negative=(4,), negative_offset=1, sum=-6), -1, True, 4, -6),
        (exponential(0, (), negative=(4,), negative_offset=1, sum=-6), -1, False, 0, 0),
        (exponential(0, (), zero_count=4, zero_threshold=1, sum=0), 0.5, True, 3, -0.75),
        (exponential(0, (1,), 1, zero_count=4, zero_threshold=1, sum=0), 0.5, True, 2, 0.5),
        (exponential(0, (1,), 1, zero_count=4, zero_threshold=1, sum=0), 0.5, False, 3, 1.5 + math.sqrt(2)),
        (LISTED, 3, True, 4.5, 2 * 0.5 + 2.5 * 2),
        (LISTED, 3, False, 5.5, 2.5 * 4 + 3 * 5),
        (LISTED, 7, True, 7, 2 * 0.5 + 5 * 3),
        (LISTED, 7, False, 3, 21),
        (LISTED, 0.5, True, 1, 0.25),
        (LISTED, 0.5, False, 9, 1 * 0.75 + 5 * 3 + 3 * 5),
        (custom((-1,), (4, 0), sum=-8), -5, True, 4, -8),
        (custom((-1,), (4, 0), sum=-8), -5, False, 0, 0),
        (LISTED, -math.inf, False, 10, 20),
    ],
)
def test_trimming_keeps_what_is_on_one_side(histogram, limit, above, count, total):
    rest = trimmed(histogram, limit, above=above)
    assert (rest.count, rest.sum) == (pytest.approx(count), pytest.approx(total))


@given(exponential_histograms(), st.floats(-1e6, 1e6))
def test_both_sides_of_a_trim_are_the_whole(histogram, limit):
    below, above = trimmed(histogram, limit, above=True), trimmed(histogram, limit, above=False)
    assert below.count + above.count == pytest.approx(histogram.count)


def test_the_last_finite_bucket_ends_at_the_largest_number():
    top = Histogram(0, 2.0, 0.0, positive_spans=(Span(1024, 2),), positive=(1.0, 1.0))
    assert [bucket.upper for bucket in all_buckets(top)] == [1.7976931348623157e308, math.inf]
    coarse = Histogram(-4, 2.0, 0.0, positive_spans=(Span(64, 2),), positive=(1.0, 1.0))
    assert [bucket.upper for bucket in all_buckets(coarse)] == [1.7976931348623157e308, math.inf]
