"""Classic histograms: series with an `le` label that together are one histogram."""

from dataclasses import dataclass

import numpy as np

from metrics.promql.histograms import kernels
from metrics.promql.labels import NAME, Signature, numbered, without
from metrics.promql.numbers import bound_of
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Floats, Ints

BOUND = "le"


@dataclass(slots=True)
class Histograms:
    """Histogram g is the series members[starts[g]:starts[g + 1]], whose upper bounds rise.

    `unread` are the names of series without a readable bound, and what their label says.
    """

    labels: list[dict[str, str]]
    starts: Ints
    members: Ints
    bounds: Floats
    unread: list[tuple[str, str]]

    @property
    def group(self) -> Ints:
        """Return to which histogram each member belongs."""
        return np.repeat(np.arange(len(self.labels)), np.diff(self.starts))

    def seen(self, present: Bools) -> Bools:
        """Tell at which steps a histogram has a bucket."""
        found = np.zeros((len(self.labels), present.shape[1]), dtype=np.bool_)
        np.logical_or.at(found, self.group, present[self.members])
        return found


def histograms_of(vector: VectorValue) -> Histograms:
    """Sort series into histograms by the labels other than `le`; a series without a readable bound is left out."""
    read = [(row, bound_of(labels.get(BOUND, ""))) for row, labels in enumerate(vector.labels)]
    rows = [row for row, bound in read if bound is not None]
    left_out = [vector.labels[row] for row, bound in read if bound is None and bool(vector.present[row].any())]
    bounds = np.array([bound for _, bound in read if bound is not None], dtype=np.float64)
    names = [without(vector.labels[row], (BOUND,)) for row in rows]
    numbers: dict[Signature, int] = {}
    group = numbered((frozenset(labels.items()) for labels in names), numbers)
    order = np.lexsort((bounds, group))
    first = np.unique(group, return_index=True)[1].tolist()
    starts = np.concatenate(([0], np.cumsum(np.bincount(group, minlength=len(numbers))))).astype(np.int64)
    return Histograms(
        [names[place] for place in first],
        starts,
        np.array(rows, dtype=np.int64)[order],
        bounds[order],
        [(labels.get(NAME, ""), labels.get(BOUND, "")) for labels in left_out],
    )


def quantiles(held: Histograms, q: Floats, vector: VectorValue) -> tuple[VectorValue, Bools]:
    """Return the quantile q of each histogram, step by step, and where its counts had to be made to rise."""
    out, seen = _room(held, vector)
    forced = np.zeros_like(seen)
    kernels.histogram_quantiles(
        q, vector.values, vector.present, held.starts, held.members, held.bounds, out, seen, forced
    )
    return _answers(held, out, seen), forced


def fractions(held: Histograms, lower: Floats, upper: Floats, vector: VectorValue) -> VectorValue:
    """Return the share of each histogram's observations between two values, step by step."""
    out, seen = _room(held, vector)
    limits = np.stack((lower, upper))
    kernels.histogram_fractions(
        limits, vector.values, vector.present, held.starts, held.members, held.bounds, out, seen
    )
    return _answers(held, out, seen)


def _answers(held: Histograms, out: Floats, seen: Bools) -> VectorValue:
    return VectorValue(held.labels, out, seen, np.ones(len(held.labels), dtype=np.bool_))


def _room(held: Histograms, vector: VectorValue) -> tuple[Floats, Bools]:
    shape = (len(held.labels), vector.values.shape[1])
    return np.zeros(shape), np.zeros(shape, dtype=np.bool_)
