"""A histogram as bytes, the form in which blocks keep it (`docs/formats/native-histogram.md`)."""

import struct
from itertools import chain

from metrics.native_histograms.model import Histogram, ResetHint, Span

VERSION = 1
FIXED = struct.Struct("<BbBxddddHHHHH")


class CorruptHistogram(ValueError):
    """Bytes that are not a histogram."""


def encode(histogram: Histogram) -> bytes:
    """Return the bytes of a histogram."""
    sides = (histogram.positive_spans, histogram.negative_spans)
    numbers = (*histogram.positive, *histogram.negative, *histogram.custom_values)
    runs = tuple(chain.from_iterable((span.offset, span.length) for side in sides for span in side))
    return b"".join(
        (
            FIXED.pack(
                VERSION, histogram.schema, histogram.reset_hint,
                histogram.count, histogram.sum, histogram.zero_threshold, histogram.zero_count,
                len(sides[0]), len(sides[1]),
                len(histogram.positive), len(histogram.negative), len(histogram.custom_values),
            ),
            struct.pack(f"<{len(runs)}i", *runs),
            struct.pack(f"<{len(numbers)}d", *numbers),
        )
    )  # fmt: skip


def decode(data: bytes) -> Histogram:
    """Return the histogram of these bytes; raises CorruptHistogram."""
    try:
        version, schema, hint, count, total, threshold, zeros, *sizes = FIXED.unpack_from(data)
        spans_left, spans_right, left, right, custom = sizes
        runs = struct.unpack_from(f"<{2 * (spans_left + spans_right)}i", data, FIXED.size)
        numbers = struct.unpack_from(f"<{left + right + custom}d", data, FIXED.size + 4 * len(runs))
        reset = ResetHint(hint)
    except (struct.error, ValueError) as error:
        raise CorruptHistogram(f"not a histogram: {error}") from None
    if version != VERSION or len(data) != FIXED.size + 4 * len(runs) + 8 * len(numbers):
        raise CorruptHistogram("a histogram of another version or length")
    spans = tuple(Span(runs[place], runs[place + 1]) for place in range(0, len(runs), 2))
    return Histogram(
        schema, count, total, threshold, zeros,
        spans[:spans_left], numbers[:left], spans[spans_left:], numbers[left : left + right],
        numbers[left + right :], reset,
    )  # fmt: skip
