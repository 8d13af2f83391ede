"""What a request is turned into: rows of series, and what of it was refused."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metrics.domain import Metadata, NewExemplar, SeriesBatch
from metrics.native_histograms.codec import encode
from metrics.native_histograms.model import Histogram
from metrics.wire.errors import TooLarge
from metrics.wire.otlp.naming import Strategy

Ints = npt.NDArray[np.int64]
NO_POINT = -1
MAX_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class Translation:
    """How messages become series; the strategies are those of Prometheus' configuration."""

    strategy: Strategy = Strategy.ESCAPED_WITH_SUFFIXES
    promoted: frozenset[str] = frozenset()
    scope_labels: bool = True
    low_ms: int = -(1 << 62)
    high_ms: int = 1 << 62


class BadPoint(ValueError):
    """A data point that is not taken; the rest is."""


@dataclass(slots=True)
class Rows:
    """Rows as they are found, one list a column; `sample_points` says of which data point a row is a part.

    `delta_starts_ms` has the rows that are deltas, and since when each counts.
    """

    labels: list[dict[str, str]] = field(default_factory=list)
    timestamps_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    histograms: dict[int, Histogram] = field(default_factory=dict)
    sample_points: list[int] = field(default_factory=list)
    delta_starts_ms: dict[int, int] = field(default_factory=dict)
    exemplars: list[NewExemplar] = field(default_factory=list)
    metadata: dict[str, Metadata] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    refused_points: dict[int, str] = field(default_factory=dict)
    points: int = 0

    def add(self, labels: dict[str, str], timestamp_ms: int, value: float, *, delta_from_ms: int | None = None) -> int:
        """Append a sample of the present data point; returns its row."""
        row = len(self.labels)
        if row >= MAX_ROWS:
            raise TooLarge(f"the request makes more than {MAX_ROWS} samples, send less at once")
        self.labels.append(labels)
        self.timestamps_ms.append(timestamp_ms)
        self.values.append(value)
        self.sample_points.append(self.points - 1)
        if delta_from_ms is not None:
            self.delta_starts_ms[row] = delta_from_ms
        return row

    def add_histogram(
        self, labels: dict[str, str], timestamp_ms: int, histogram: Histogram, *, delta_from_ms: int | None
    ) -> int:
        """Append a native histogram of the present data point; returns its row."""
        row = self.add(labels, timestamp_ms, histogram.count, delta_from_ms=delta_from_ms)
        self.histograms[row] = histogram
        return row

    def batch(self, dropped: Collection[int] = ()) -> SeriesBatch:
        """Return the columns the writer takes, without the samples of some rows."""
        kept = np.ones(len(self.labels), np.bool_)
        kept[list(dropped)] = False
        return SeriesBatch(
            self.labels,
            np.flatnonzero(kept),
            np.array(self.timestamps_ms, np.int64)[kept],
            np.array(self.values, np.float64)[kept],
            self._encoded(kept),
            self.exemplars,
            list(self.metadata.values()),
        )

    def _encoded(self, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_] | None:
        if not self.histograms:
            return None
        column = np.full(len(self.labels), None, np.object_)
        for row, histogram in self.histograms.items():
            column[row] = encode(histogram)
        return column[kept]
