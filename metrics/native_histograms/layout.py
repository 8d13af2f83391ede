"""Spans and the buckets they stand for."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from metrics.native_histograms.model import Histogram, Span

Side = tuple[tuple[Span, ...], tuple[float, ...]]


@lru_cache(maxsize=4096)
def indices_of(spans: tuple[Span, ...]) -> tuple[int, ...]:
    """Return the index of each bucket of the spans."""
    indices: list[int] = []
    place = 0
    for span in spans:
        place += span.offset
        indices.extend(range(place, place + span.length))
        place += span.length
    return tuple(indices)


@lru_cache(maxsize=4096)
def spans_of(indices: tuple[int, ...]) -> tuple[Span, ...]:
    """Return the fewest spans over rising indices."""
    spans: list[Span] = []
    begin = end = 0
    for index in indices:
        if spans and index == end:
            spans[-1] = Span(spans[-1].offset, index + 1 - begin)
        else:
            spans.append(Span(index - end, 1))
            begin = index
        end = index + 1
    return tuple(spans)


def side_of(buckets: dict[int, float], *, compact: bool) -> Side:
    """Return spans and counts of buckets by index; `compact` leaves out the empty ones."""
    kept = sorted(item for item in buckets.items() if not compact or item[1] != 0)
    return spans_of(tuple(index for index, _ in kept)), tuple(count for _, count in kept)


def positive_of(histogram: Histogram) -> dict[int, float]:
    """Return the positive buckets by index."""
    return dict(zip(indices_of(histogram.positive_spans), histogram.positive, strict=True))


def negative_of(histogram: Histogram) -> dict[int, float]:
    """Return the negative buckets by index."""
    return dict(zip(indices_of(histogram.negative_spans), histogram.negative, strict=True))


def _is_compact(spans: Iterable[Span], counts: tuple[float, ...]) -> bool:
    first = True
    for span in spans:
        if span.length == 0 or (span.offset <= 0 and not first):
            return False
        first = False
    return 0 not in counts


def compacted(histogram: Histogram) -> Histogram:
    """Return the histogram without empty buckets and with the fewest spans."""
    if _is_compact(histogram.positive_spans, histogram.positive) and _is_compact(
        histogram.negative_spans, histogram.negative
    ):
        return histogram
    positive_spans, positive = side_of(positive_of(histogram), compact=True)
    negative_spans, negative = side_of(negative_of(histogram), compact=True)
    return replace(
        histogram,
        positive_spans=positive_spans, positive=positive, negative_spans=negative_spans, negative=negative,
    )  # fmt: skip
