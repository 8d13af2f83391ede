"""Histograms and numbers in the notation that labels and messages of Prometheus use."""

import math
from decimal import Decimal

from metrics.native_histograms.buckets import Bucket, negative_buckets, positive_buckets, zero_bucket
from metrics.native_histograms.model import Histogram

# Exponents from which on (or down to which) a number is written without its power of ten.
PLAIN_EXPONENTS = range(-4, 6)


def general(value: float) -> str:
    """Write a number with the fewest digits that read back the same; large and small ones with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    number = Decimal(repr(value)).normalize()
    if not number or number.adjusted() in PLAIN_EXPONENTS:
        return format(number, "f")
    sign, digits, _ = number.as_tuple()
    exponent = number.adjusted()
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    mantissa = f"{'-' if sign else ''}{first}{'.' if rest else ''}{rest}"
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _described(bucket: Bucket) -> str:
    opening, closing = "[" if bucket.lower_inclusive else "(", "]" if bucket.upper_inclusive else ")"
    return f"{opening}{general(bucket.lower)},{general(bucket.upper)}{closing}:{general(bucket.count)}"


def described(histogram: Histogram) -> str:
    """Write a histogram as `{count:…, sum:…, [low,high]:count, …}` without its empty buckets."""
    buckets = [*negative_buckets(histogram)][::-1]
    if not histogram.is_custom:
        buckets.append(zero_bucket(histogram))
    buckets.extend(positive_buckets(histogram))
    filled = [_described(bucket) for bucket in buckets if bucket.count != 0]
    return "{" + ", ".join([f"count:{general(histogram.count)}", f"sum:{general(histogram.sum)}", *filled]) + "}"
