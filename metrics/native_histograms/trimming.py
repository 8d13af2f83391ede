"""Cutting the observations above or below a value off a histogram."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from metrics.native_histograms.buckets import Bucket, negative_buckets, positive_buckets, zero_bucket
from metrics.native_histograms.layout import compacted
from metrics.native_histograms.model import Histogram
from metrics.native_histograms.numbers import divided, root_of
from metrics.native_histograms.reading import share_below


@dataclass(slots=True)
class Kept:
    """What is left: observations, their estimated sum, and whether anything was cut."""

    count: float = 0.0
    sum: float = 0.0
    cut: bool = False
    filled: bool = False

    def take(self, count: float, middle: float, whole: float) -> float:
        """Keep some observations of a bucket that had `whole`."""
        self.count += count
        self.sum += middle * count
        self.cut = self.cut or count != whole
        return count


def trimmed(histogram: Histogram, limit: float, *, above: bool) -> Histogram:
    """Return the histogram without its observations above a limit (`above`) or below it."""
    kept, negatives = Kept(), Kept()
    custom = histogram.is_custom
    positive = _side(positive_buckets(histogram), limit, kept, above=above, positive=True, custom=custom)
    negative = _side(negative_buckets(histogram), limit, negatives, above=above, positive=False, custom=custom)
    zeros = histogram.zero_count
    if zeros > 0:
        bucket = _one_sided(zero_bucket(histogram), has_negative=negatives.filled, has_positive=kept.filled)
        zeros = kept.take(*_cut_zero(bucket, limit, above=above), zeros)
    if not (kept.cut or negatives.cut):
        return histogram
    return compacted(
        replace(
            histogram, count=kept.count + negatives.count, sum=kept.sum + negatives.sum,
            zero_count=zeros, positive=positive, negative=negative,
        )
    )  # fmt: skip


def _side(
    buckets: Iterable[Bucket], limit: float, kept: Kept, *, above: bool, positive: bool, custom: bool
) -> tuple[float, ...]:
    counts: list[float] = []
    for bucket in buckets:
        if bucket.count == 0:
            counts.append(0.0)
            continue
        kept.filled = True
        inside = bucket.upper <= limit if above else bucket.lower >= limit
        touched = bucket.lower < limit if above else bucket.upper > limit
        if inside:
            middle = _middle(bucket.lower, bucket.upper, positive=positive, linear=custom)
            counts.append(kept.take(bucket.count, middle, bucket.count))
        elif touched:
            counts.append(kept.take(*_cut(bucket, limit, above=above, positive=positive, custom=custom), bucket.count))
        else:
            counts.append(kept.take(0.0, 0.0, bucket.count))
    return tuple(counts)


def _one_sided(bucket: Bucket, *, has_negative: bool, has_positive: bool) -> Bucket:
    if has_negative and not has_positive:
        return replace(bucket, upper=0.0)
    if has_positive and not has_negative:
        return replace(bucket, lower=0.0)
    return bucket


def _cut_zero(bucket: Bucket, limit: float, *, above: bool) -> tuple[float, float]:
    """Return how many observations of the bucket around zero are left, and their middle."""
    lower, upper = bucket.lower, bucket.upper
    if limit <= lower:
        return (0.0, 0.0) if above else (bucket.count, (lower + upper) / 2)
    if limit >= upper:
        return (bucket.count, (lower + upper) / 2) if above else (0.0, 0.0)
    part = limit - lower if above else upper - limit
    middle = (lower + limit) / 2 if above else (limit + upper) / 2
    return bucket.count * divided(part, upper - lower), middle


def _cut(bucket: Bucket, limit: float, *, above: bool, positive: bool, custom: bool) -> tuple[float, float]:
    """Return how many observations are left of a bucket that the limit cuts, and their middle."""
    if bucket.lower == -math.inf:
        return _cut_without_start(bucket, limit, above=above)
    if bucket.upper == math.inf:
        # Nothing is known of how far such observations reach: they are all above whatever limit, or all kept.
        return (0.0, bucket.lower) if above or limit < bucket.lower else (bucket.count, limit)
    below = bucket.count * share_below(bucket, limit, linear=custom)
    if above:
        return below, _middle(bucket.lower, limit, positive=positive, linear=custom)
    return bucket.count - below, _middle(limit, bucket.upper, positive=positive, linear=custom)


def _cut_without_start(bucket: Bucket, limit: float, *, above: bool) -> tuple[float, float]:
    """Cut a lowest bucket; one that ends above zero is taken to begin at zero."""
    end = bucket.upper
    if above:
        if limit >= end:
            return bucket.count, 0.0
        if limit > 0 and end > 0 and end != math.inf:
            return bucket.count * limit / end, limit / 2
        return (bucket.count, limit) if end <= 0 else (0.0, 0.0)
    if limit == -math.inf:
        return bucket.count, 0.0
    if limit >= 0 and limit < end != math.inf:
        return bucket.count * (1 - limit / end), (limit + end) / 2
    return 0.0, 0.0


def _middle(lower: float, upper: float, *, positive: bool, linear: bool) -> float:
    """Return the value that stands for the observations between two bounds."""
    if math.isinf(lower):
        if math.isinf(upper):
            return 0.0
        return upper / 2 if upper > 0 else upper
    if math.isinf(upper):
        return lower
    if linear:
        return (lower + upper) / 2
    middle = root_of(abs(lower * upper))
    return middle if positive else -middle
