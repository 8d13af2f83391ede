"""When two histograms are the same, bit by bit or nearly."""

import math
import struct
import sys
from collections.abc import Sequence

from metrics.native_histograms.layout import compacted, indices_of
from metrics.native_histograms.model import Histogram

STALE = struct.pack("<Q", 0x7FF0000000000002)


def _same_bits(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and struct.pack(f"<{len(one)}d", *one) == struct.pack(f"<{len(other)}d", *other)


def equal(one: Histogram, other: Histogram) -> bool:
    """Tell whether all counts are the same bits in the same buckets; what the hint says does not matter."""
    return (
        one.schema == other.schema
        and one.custom_values == other.custom_values
        and one.zero_threshold == other.zero_threshold
        and _same_bits((one.count, one.sum, one.zero_count), (other.count, other.sum, other.zero_count))
        and indices_of(one.positive_spans) == indices_of(other.positive_spans)
        and indices_of(one.negative_spans) == indices_of(other.negative_spans)
        and _same_bits((*one.positive, *one.negative), (*other.positive, *other.negative))
    )


def near(one: float, other: float, tolerance: float) -> bool:
    """Tell whether two numbers differ by rounding alone; NaN is near NaN, a stale marker only near its like."""
    stale = [struct.pack("<d", number) == STALE for number in (one, other)]
    if any(stale):
        return all(stale)
    if math.isnan(one) and math.isnan(other):
        return True
    if one == other:
        return True
    total, apart = abs(one) + abs(other), abs(one - other)
    if one == 0 or other == 0 or total < sys.float_info.min:
        return apart < tolerance * sys.float_info.min
    return apart / min(total, sys.float_info.max) < tolerance


def alike(expected: Histogram, actual: Histogram, tolerance: float, *, with_hint: bool = False) -> bool:
    """Tell whether two histograms, without their empty buckets, differ by rounding alone."""
    one, other = compacted(expected), compacted(actual)
    numbers = zip(
        (one.count, one.sum, one.zero_count, *one.positive, *one.negative),
        (other.count, other.sum, other.zero_count, *other.positive, *other.negative),
        strict=False,
    )
    return (
        one.schema == other.schema
        and one.custom_values == other.custom_values
        and one.zero_threshold == other.zero_threshold
        and indices_of(one.positive_spans) == indices_of(other.positive_spans)
        and indices_of(one.negative_spans) == indices_of(other.negative_spans)
        and all(near(left, right, tolerance) for left, right in numbers)
        and (not with_hint or expected.reset_hint == actual.reset_hint)
    )
