"""Selections of which only counts and sums are asked: their histograms need no buckets."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.resets import is_reset
from metrics.promql.native.cells import filled
from metrics.promql.nodes import Binary, Call, Node, Subquery
from metrics.promql.types import Histograms, SeriesColumns

COUNTS = frozenset({"histogram_count", "histogram_sum", "histogram_avg"})
WHOLES = frozenset({"histogram_quantile", "histogram_quantiles", "histogram_fraction"})


@dataclass(frozen=True, slots=True)
class Need:
    """What the nodes above a selection ask of it: counts, or something that takes buckets."""

    counts: bool = False
    buckets: bool = False

    def of(self, columns: SeriesColumns) -> SeriesColumns:
        """Return of a selection what is needed."""
        return without_buckets(columns) if self.counts and not self.buckets else columns

    def below(self, node: Node) -> "Need":
        """Return what is asked for below a node."""
        match node:
            case Call(name=name) if name in COUNTS:
                return Need(counts=True, buckets=self.buckets)
            case Call(name=name) if name in WHOLES:
                return Need(counts=self.counts, buckets=True)
            case Subquery() | Binary(op="</") | Binary(op=">/"):
                return Need(counts=self.counts, buckets=True)
            case _:
                return self


NEEDS_ALL = Need()


def without_buckets(columns: SeriesColumns) -> SeriesColumns:
    """Return the samples with histograms that are count and sum; what buckets tell of resets is in their hints.

    The first histogram of a series keeps its hint, because what was before it is not known.
    """
    if columns.histograms is None:
        return columns
    out: Histograms = np.full(columns.histograms.shape, None, dtype=np.object_)
    offsets = columns.offsets.tolist()
    held = filled(columns.histograms)
    for begin, end in itertools.pairwise(offsets):
        places = (begin + np.flatnonzero(held[begin:end])).tolist()
        for place, histogram in zip(places, _bare(columns.histograms[places].tolist()), strict=True):
            out[place] = histogram
    return replace(columns, histograms=out)


def _bare(histograms: list[Histogram]) -> Iterator[Histogram]:
    before: Histogram | None = None
    for histogram in histograms:
        hint = histogram.reset_hint
        if hint == ResetHint.UNKNOWN and before is not None:
            hint = ResetHint.YES if is_reset(histogram, before) else ResetHint.NO
        before = histogram
        yield Histogram(histogram.schema, histogram.count, histogram.sum, reset_hint=hint)
