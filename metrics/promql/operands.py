"""What flows between the nodes of a plan: scalars, vectors and windows over a grid of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from metrics.promql.nodes import Smoothing
from metrics.promql.types import Bools, Floats, Histograms, Ints, Limits, QueryError, SeriesColumns


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants of an evaluation: `count` steps from `start_ms` on, `step_ms` apart."""

    start_ms: int
    step_ms: int
    count: int

    @property
    def end_ms(self) -> int:
        """Return the last instant."""
        return self.start_ms + (self.count - 1) * self.step_ms

    @property
    def times_ms(self) -> Ints:
        """Return all instants."""
        return self.start_ms + np.arange(self.count, dtype=np.int64) * self.step_ms

    @property
    def is_instant(self) -> bool:
        """Tell whether there is one instant only, whose order of series is then kept."""
        return self.count == 1


@dataclass(slots=True)
class ScalarValue:
    """One number a step."""

    values: Floats


@dataclass(slots=True)
class TextValue:
    """A string, the same at each step."""

    text: str


@dataclass(slots=True)
class VectorValue:
    """Series over the grid; a row flagged in `drops_name` loses its metric name at the very end.

    `histograms` is None where every cell is a number; a present cell with a histogram is that histogram and no number.
    """

    labels: list[dict[str, str]]
    values: Floats
    present: Bools
    drops_name: Bools
    histograms: Histograms | None = None

    def with_values(self, values: Floats, *, drops_name: bool) -> "VectorValue":
        """Return the same series with other values, all of them numbers."""
        drops = np.ones(len(self.labels), dtype=np.bool_) if drops_name else self.drops_name
        return VectorValue(self.labels, values, self.present, drops)

    def answered(self) -> "VectorValue":
        """Return the series that have a value at some step."""
        some = self.present.any(axis=1)
        return self if bool(some.all()) else self.rows(np.flatnonzero(some))

    def rows(self, chosen: Ints) -> "VectorValue":
        """Return some of the series, in the order given."""
        labels = [self.labels[row] for row in chosen.tolist()]
        histograms = None if self.histograms is None else self.histograms[chosen]
        return VectorValue(labels, self.values[chosen], self.present[chosen], self.drops_name[chosen], histograms)


@dataclass(slots=True)
class RangeValue:
    """Samples without stale markers, and for each step the window (ends_ms - range_ms, ends_ms].

    Where `smoothing` is not empty there are samples outside the windows too, as far as `lookback_ms` away.
    """

    columns: SeriesColumns
    drops_name: Bools
    ends_ms: Ints
    range_ms: int
    smoothing: Smoothing = ""
    lookback_ms: int = 0


Operand: TypeAlias = ScalarValue | TextValue | VectorValue | RangeValue


def empty_vector(steps: int) -> VectorValue:
    """Return a vector without series."""
    return VectorValue([], np.empty((0, steps)), np.empty((0, steps), np.bool_), np.empty(0, np.bool_))


def vector_of(labels: list[dict[str, str]], values: Floats, present: Bools) -> VectorValue:
    """Return a vector whose rows keep their names."""
    return VectorValue(labels, values, present, np.zeros(len(labels), dtype=np.bool_))


def stacked(vectors: Sequence[VectorValue], steps: int) -> VectorValue:
    """Put vectors of different series below each other."""
    if len(vectors) < 2:
        return vectors[0] if vectors else empty_vector(steps)
    histograms = None
    if any(vector.histograms is not None for vector in vectors):
        nothing = [np.full(vector.values.shape, None, np.object_) for vector in vectors]
        histograms = np.concatenate(
            [none if one.histograms is None else one.histograms for one, none in zip(vectors, nothing, strict=True)]
        )
    return VectorValue(
        [labels for vector in vectors for labels in vector.labels],
        np.concatenate([vector.values for vector in vectors]),
        np.concatenate([vector.present for vector in vectors]),
        np.concatenate([vector.drops_name for vector in vectors]),
        histograms,
    )


def refuse_too_many(series: int, steps: int, limits: Limits) -> None:
    """Hold a result to the limits on series and samples."""
    if series > limits.max_series:
        raise QueryError(f"the query touches {series} series, the limit is {limits.max_series}")
    if series * steps > limits.max_samples:
        raise QueryError("query processing would load too many samples into memory in query execution")
