"""Whether a histogram from outside makes sense."""

import math
from itertools import pairwise

from metrics.native_histograms.model import CUSTOM_SCHEMA, MAX_SCHEMA, MIN_SCHEMA, Histogram, Span

MAX_BUCKETS = 1_000
MAX_REACH = 1 << 31
MAX_EXACT = 2.0**53


class InvalidHistogram(ValueError):
    """A histogram that contradicts itself; the text says where."""


def validate(histogram: Histogram) -> None:
    """Raise InvalidHistogram for a histogram no sender may send.

    That the count is at least what the buckets hold is not asked: sums of floats may miss it by a rounding.
    """
    if histogram.is_custom:
        _check_custom(histogram)
    elif MIN_SCHEMA <= histogram.schema <= MAX_SCHEMA:
        _check_exponential(histogram)
    else:
        raise InvalidHistogram(
            f"histogram has an invalid schema, which must be between {MIN_SCHEMA} and {MAX_SCHEMA} for exponential "
            f"buckets, or {CUSTOM_SCHEMA} for custom buckets, got schema {histogram.schema}"
        )
    if histogram.count < 0:
        raise InvalidHistogram(f"histogram's observation count is negative: {histogram.count}")
    _check_counts("positive", histogram.positive)


def validate_sent(histogram: Histogram, *, whole: bool) -> None:
    """Raise InvalidHistogram for what no door takes, whichever protocol it came by; `whole`: its counts are integers.

    What the rest of the store would have to pay for is bounded here too: buckets, bounds, how far spans reach.
    """
    if len(histogram.positive) + len(histogram.negative) > MAX_BUCKETS or len(histogram.custom_values) > MAX_BUCKETS:
        raise InvalidHistogram(f"a histogram has more than {MAX_BUCKETS} buckets")
    spans = (*histogram.positive_spans, *histogram.negative_spans)
    if len(spans) > MAX_BUCKETS or sum(abs(span.offset) + span.length for span in spans) >= MAX_REACH:
        raise InvalidHistogram("the spans of a histogram reach too far")
    validate(histogram)
    if whole:
        _check_total(histogram)


def _check_total(made: Histogram) -> None:
    seen = sum(made.positive) + sum(made.negative) + made.zero_count
    # Observations of NaN are in the count and in no bucket.
    fits = seen <= made.count if math.isnan(made.sum) else seen == made.count
    # Beyond 2^53 neighbouring whole numbers are one float.
    if not fits and made.count < MAX_EXACT:
        raise InvalidHistogram(
            f"the buckets of a histogram hold {seen:.0f} observations, its count says {made.count:.0f}"
        )


def _check_exponential(histogram: Histogram) -> None:
    _check_spans("positive", histogram.positive_spans, len(histogram.positive))
    _check_spans("negative", histogram.negative_spans, len(histogram.negative))
    _check_counts("negative", histogram.negative)
    if histogram.zero_count < 0:
        raise InvalidHistogram(f"the zero bucket has a negative observation count: {histogram.zero_count}")
    if histogram.custom_values:
        raise InvalidHistogram("histogram with exponential schema must not have custom bounds")


def _check_custom(histogram: Histogram) -> None:
    bounds = histogram.custom_values
    if any(math.isnan(bound) for bound in bounds):
        raise InvalidHistogram("histogram custom bounds must not be NaN")
    for before, bound in pairwise(bounds):
        if bound <= before:
            raise InvalidHistogram(f"histogram custom bounds must be in strictly increasing order: {before}, {bound}")
    if bounds and bounds[-1] == math.inf:
        raise InvalidHistogram("histogram custom bounds must be finite, +Inf follows by itself")
    spans = histogram.positive_spans
    _check_spans("positive", spans, len(histogram.positive))
    reach = sum(span.offset + span.length for span in spans)
    if spans and spans[0].offset < 0:
        raise InvalidHistogram(f"span number 1 has the negative offset {spans[0].offset}")
    if reach > len(bounds) + 1:
        raise InvalidHistogram(f"{len(bounds)} custom bounds are too few for spans that reach to bucket {reach}")
    if histogram.zero_count or histogram.zero_threshold:
        raise InvalidHistogram("custom buckets: must have zero count and zero threshold of 0")
    if histogram.negative or histogram.negative_spans:
        raise InvalidHistogram("custom buckets: must not have negative buckets")


def _check_spans(side: str, spans: tuple[Span, ...], buckets: int) -> None:
    for number, span in enumerate(spans, start=1):
        if span.length < 0 or (number > 1 and span.offset < 0):
            raise InvalidHistogram(f"{side} side: span number {number} has the negative offset {span.offset}")
    needed = sum(span.length for span in spans)
    if needed != buckets:
        raise InvalidHistogram(f"{side} side: spans need {needed} buckets, have {buckets} buckets")


def _check_counts(side: str, counts: tuple[float, ...]) -> None:
    for number, count in enumerate(counts, start=1):
        if count < 0:
            raise InvalidHistogram(f"{side} side: bucket number {number} has the negative count {count}")
