"""A histogram that can be added to: its buckets by index."""

import math
from dataclasses import dataclass, field

from metrics.native_histograms.bounds import coarser_index, exponential_bound
from metrics.native_histograms.layout import negative_of, positive_of, side_of
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, ResetHint

Counts = dict[int, float]


def compensated(term: float, total: float, lost: float) -> tuple[float, float]:
    """Add with Neumaier's compensation; the error is forgotten once the sum is infinite."""
    together = total + term
    if math.isinf(together):
        return together, 0.0
    if abs(total) >= abs(term):
        return together, lost + ((total - together) + term)
    return together, lost + ((term - together) + total)


@dataclass(slots=True)
class Tally:
    """The parts of a histogram, open to change."""

    schema: int
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Counts = field(default_factory=dict)
    negative: Counts = field(default_factory=dict)
    custom_values: tuple[float, ...] = ()
    reset_hint: ResetHint = ResetHint.UNKNOWN

    @property
    def is_custom(self) -> bool:
        """Tell whether the bounds of the buckets are listed."""
        return self.schema == CUSTOM_SCHEMA

    def copy(self) -> "Tally":
        """Return the same counts in an object of their own."""
        return Tally(
            self.schema, self.count, self.sum, self.zero_threshold, self.zero_count,
            dict(self.positive), dict(self.negative), self.custom_values, self.reset_hint,
        )  # fmt: skip

    def scale(self, factor: float) -> None:
        """Multiply every count and the sum; the hint stays."""
        self.count *= factor
        self.sum *= factor
        self.zero_count *= factor
        self.positive = {index: count * factor for index, count in self.positive.items()}
        self.negative = {index: count * factor for index, count in self.negative.items()}

    def share(self, parts: float) -> None:
        """Divide every count and the sum by a number that is not zero; the hint stays."""
        self.count /= parts
        self.sum /= parts
        self.zero_count /= parts
        self.positive = {index: count / parts for index, count in self.positive.items()}
        self.negative = {index: count / parts for index, count in self.negative.items()}


def tally_of(histogram: Histogram) -> Tally:
    """Open a histogram."""
    return Tally(
        histogram.schema, histogram.count, histogram.sum, histogram.zero_threshold, histogram.zero_count,
        positive_of(histogram), negative_of(histogram), histogram.custom_values, histogram.reset_hint,
    )  # fmt: skip


def histogram_of(tally: Tally, *, compact: bool = True) -> Histogram:
    """Close a tally; `compact` leaves out empty buckets."""
    positive_spans, positive = side_of(tally.positive, compact=compact)
    negative_spans, negative = side_of(tally.negative, compact=compact)
    return Histogram(
        tally.schema, tally.count, tally.sum, tally.zero_threshold, tally.zero_count,
        positive_spans, positive, negative_spans, negative, tally.custom_values, tally.reset_hint,
    )  # fmt: skip


def coarser_side(buckets: Counts, schema: int, target: int) -> Counts:
    """Put buckets together so that they are those of a coarser schema."""
    if schema == target:
        return buckets
    merged: Counts = {}
    for index in sorted(buckets):
        place = coarser_index(index, schema, target)
        merged[place] = merged[place] + buckets[index] if place in merged else buckets[index]
    return merged


def coarser_side_compensated(buckets: Counts, lost: Counts, schema: int, target: int) -> tuple[Counts, Counts]:
    """Put buckets together with compensation; `lost` holds what their sums lost so far."""
    merged: Counts = {}
    missing: Counts = {}
    for index in sorted(buckets):
        place = coarser_index(index, schema, target)
        if place not in merged:
            merged[place], missing[place] = buckets[index], lost.get(index, 0.0)
            continue
        merged[place], missing[place] = compensated(buckets[index], merged[place], missing[place])
        merged[place], missing[place] = compensated(lost.get(index, 0.0), merged[place], missing[place])
    return merged, missing


def reduce_resolution(tally: Tally, target: int) -> None:
    """Make the schema coarser in place; a schema as coarse already stays."""
    if tally.is_custom or target >= tally.schema:
        return
    tally.positive = coarser_side(tally.positive, tally.schema, target)
    tally.negative = coarser_side(tally.negative, tally.schema, target)
    tally.schema = target


def beyond(buckets: Counts, schema: int, threshold: float) -> Counts:
    """Leave out the buckets next to zero that end within the threshold."""
    if not threshold or schema == CUSTOM_SCHEMA:
        return buckets
    return {index: count for index, count in buckets.items() if exponential_bound(index, schema) > threshold}
