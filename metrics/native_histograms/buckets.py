"""The buckets of a histogram with their bounds, in the order of the number line."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from metrics.native_histograms.bounds import upper_bound
from metrics.native_histograms.layout import indices_of
from metrics.native_histograms.model import Histogram


@dataclass(slots=True)
class Bucket:
    """Observations between two bounds; the flags say whether a bound itself belongs to the bucket."""

    lower: float
    upper: float
    lower_inclusive: bool
    upper_inclusive: bool
    count: float


def positive_buckets(histogram: Histogram) -> Iterator[Bucket]:
    """Yield the positive buckets (of a histogram with listed bounds: all), rising."""
    schema, bounds, custom = histogram.schema, histogram.custom_values, histogram.is_custom
    for index, count in zip(indices_of(histogram.positive_spans), histogram.positive, strict=True):
        lower, upper = upper_bound(index - 1, schema, bounds), upper_bound(index, schema, bounds)
        yield Bucket(lower, upper, custom and index == 0, custom or upper > 0, count)


def negative_buckets(histogram: Histogram) -> Iterator[Bucket]:
    """Yield the negative buckets, falling away from zero."""
    schema = histogram.schema
    for index, count in zip(indices_of(histogram.negative_spans), histogram.negative, strict=True):
        lower, upper = -upper_bound(index, schema, ()), -upper_bound(index - 1, schema, ())
        yield Bucket(lower, upper, lower < 0, upper > 0, count)


def zero_bucket(histogram: Histogram) -> Bucket:
    """Return the bucket around zero."""
    width = histogram.zero_threshold
    return Bucket(-width, width, True, True, histogram.zero_count)


def _outside_zero(bucket: Bucket, width: float) -> Bucket:
    if 0 < bucket.lower < width:
        return replace(bucket, lower=width)
    if 0 > bucket.upper > -width:
        return replace(bucket, upper=-width)
    return bucket


def all_buckets(histogram: Histogram) -> list[Bucket]:
    """Return all buckets, rising; one that reaches into the bucket around zero begins where that ends."""
    width = histogram.zero_threshold
    buckets = [_outside_zero(bucket, width) for bucket in negative_buckets(histogram)][::-1]
    if histogram.zero_count > 0 and not histogram.is_custom:
        buckets.append(zero_bucket(histogram))
    buckets.extend(_outside_zero(bucket, width) for bucket in positive_buckets(histogram))
    return buckets
