"""What a histogram says about its observations: quantiles, fractions, mean and spread."""

import math
from dataclasses import replace
from enum import Enum, auto

from metrics.native_histograms.buckets import Bucket, all_buckets
from metrics.native_histograms.model import Histogram
from metrics.native_histograms.numbers import divided, exp2_of, log2_of, root_of
from metrics.native_histograms.tally import compensated

NO_BUCKET = Bucket(0.0, 0.0, False, False, 0.0)
HALF = 0.5


class NanNote(Enum):
    """What observations of NaN, which are counted but are in no bucket, did to an answer."""

    NONE = auto()
    SKEWED = auto()
    UNKNOWN = auto()


def mean(histogram: Histogram) -> float:
    """Return the mean of the observations."""
    return divided(histogram.sum, histogram.count)


def variance(histogram: Histogram) -> float:
    """Estimate the variance, taking the middle of a bucket for each of its observations."""
    average = mean(histogram)
    total, lost = 0.0, 0.0
    for bucket in all_buckets(histogram):
        if bucket.count == 0:
            continue
        distance = _middle(bucket, custom=histogram.is_custom) - average
        total, lost = compensated(bucket.count * distance * distance, total, lost)
    return divided(total + lost, histogram.count)


def deviation(histogram: Histogram) -> float:
    """Estimate the standard deviation."""
    return root_of(variance(histogram))


def _middle(bucket: Bucket, *, custom: bool) -> float:
    if custom:
        return (bucket.upper + bucket.lower) / 2.0
    if bucket.lower <= 0 <= bucket.upper:
        return 0.0
    middle = root_of(bucket.upper * bucket.lower)
    return -middle if bucket.upper < 0 else middle


def share_below(bucket: Bucket, value: float, *, linear: bool) -> float:
    """Return which part of a bucket lies below a value within it."""
    if linear:
        return divided(value - bucket.lower, bucket.upper - bucket.lower)
    lower, upper, at = (log2_of(abs(number)) for number in (bucket.lower, bucket.upper, value))
    if value > 0:
        return divided(at - lower, upper - lower)
    return 1.0 - divided(at - upper, lower - upper)


def _narrowed(bucket: Bucket, histogram: Histogram) -> Bucket:
    """Cut the bucket around zero in half where all other observations are on one side."""
    if not histogram.negative and histogram.positive:
        return replace(bucket, lower=0.0)
    if not histogram.positive and histogram.negative:
        return replace(bucket, upper=0.0)
    return bucket


def _reaching(buckets: list[Bucket], rank: float) -> tuple[Bucket, float, int]:
    """Return the bucket in which the counts reach a rank, the count up to its end, and its place."""
    count, bucket = 0.0, NO_BUCKET
    for place, bucket in enumerate(buckets):
        if bucket.count != 0:
            count += bucket.count
            if count >= rank:
                return bucket, count, place
    return bucket, count, len(buckets)


def quantile(q: float, histogram: Histogram) -> tuple[float, NanNote]:
    """Return the quantile q, interpolated within its bucket as the schema asks for."""
    if q < 0:
        return -math.inf, NanNote.NONE
    if q > 1:
        return math.inf, NanNote.NONE
    if histogram.count == 0 or math.isnan(q):
        return math.nan, NanNote.NONE
    has_nan = math.isnan(histogram.sum)
    # From the nearer end less is added up, but observations of NaN count as the highest: then from below always.
    forwards = has_nan or q < HALF
    buckets = all_buckets(histogram) if forwards else all_buckets(histogram)[::-1]
    rank = (q if forwards else 1 - q) * histogram.count
    bucket, count, place = _reaching(buckets, rank)
    if histogram.is_custom:
        edge = _custom_edge(bucket)
        if edge is not None:
            return edge, NanNote.NONE
        bucket = replace(bucket, lower=0.0) if bucket.lower == -math.inf else bucket
    elif bucket.lower < 0 < bucket.upper:
        bucket = _narrowed(bucket, histogram)
    count = min(count, histogram.count)
    if count < rank:
        return (math.nan, NanNote.UNKNOWN) if has_nan else (bucket.upper, NanNote.NONE)
    within = rank - (count - bucket.count) if forwards else count - rank
    counted = count + sum(rest.count for rest in buckets[place + 1 :])
    note = NanNote.SKEWED if has_nan and counted < histogram.count else NanNote.NONE
    return _interpolated(bucket, divided(within, bucket.count), custom=histogram.is_custom), note


def _custom_edge(bucket: Bucket) -> float | None:
    """Return the one bound of a bucket without end; None where there is something to interpolate."""
    if bucket.lower == -math.inf:
        return bucket.upper if bucket.upper <= 0 else None
    return bucket.lower if bucket.upper == math.inf else None


def _interpolated(bucket: Bucket, part: float, *, custom: bool) -> float:
    if custom or bucket.lower <= 0 <= bucket.upper:
        return bucket.lower + (bucket.upper - bucket.lower) * part
    lower, upper = log2_of(abs(bucket.lower)), log2_of(abs(bucket.upper))
    if bucket.lower > 0:
        return exp2_of(lower + (upper - lower) * part)
    return -exp2_of(upper + (lower - upper) * (1 - part))


def _rank_of(value: float, bucket: Bucket, below: float, *, linear: bool) -> float | None:
    """Return how many observations are below a value; None where the bucket lies below it as a whole."""
    if bucket.lower >= value:
        return below
    if bucket.upper <= value:
        return None
    if linear and bucket.lower == -math.inf:
        return bucket.count
    return below + bucket.count * share_below(bucket, value, linear=linear)


def fraction(lower: float, upper: float, histogram: Histogram) -> tuple[float, bool]:
    """Return the share of observations between two values, and whether some are NaN and so in no share."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, False
    if lower >= upper:
        return 0.0, False
    below = 0.0
    ranks: dict[float, float] = {}
    buckets = all_buckets(histogram)
    for bucket in buckets:
        around_zero = bucket.lower <= 0 <= bucket.upper
        shape = _narrowed(bucket, histogram) if around_zero else bucket
        for value in (lower, upper):
            if value not in ranks:
                rank = _rank_of(value, shape, below, linear=histogram.is_custom or around_zero)
                if rank is not None:
                    ranks[value] = rank
        below += bucket.count
    has_nan = math.isnan(histogram.sum)
    counted = sum(bucket.count for bucket in buckets) if has_nan else histogram.count
    low, high = (min(ranks.get(value, counted), counted) for value in (lower, upper))
    return divided(high - low, histogram.count), has_nan and counted < histogram.count
