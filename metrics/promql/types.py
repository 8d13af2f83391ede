"""What goes into the PromQL engine and what comes out of it."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

Labels = Mapping[str, str]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# Each element is a metrics.native_histograms.model.Histogram or None.
Histograms = npt.NDArray[np.object_]
ErrorKind = Literal["bad_data", "execution", "timeout", "unsupported"]
ResultType = Literal["scalar", "vector", "matrix", "string"]

STALE_NAN_BITS = 0x7FF0000000000002
STALE_NAN: float = float(np.array([STALE_NAN_BITS], dtype=np.uint64).view(np.float64)[0])


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label condition of a selector; regular expressions are RE2 and fully anchored."""

    name: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


Remembered = TypeVar("Remembered")
MOST_REMEMBERED = 16


class LabelSets(list[dict[str, str]]):
    """Label sets a source hands out again and again; nobody changes them, so what is worked out of them stays true."""

    __slots__ = ("_known",)

    def __init__(self, labels: Iterable[dict[str, str]] = ()) -> None:
        """Start with nothing worked out."""
        super().__init__(labels)
        self._known: dict[Hashable, object] = {}

    def remembered(self, key: Hashable, work: Callable[[], Remembered]) -> Remembered:
        """Return what `work` makes of the labels, from the last time where it was asked under this key before."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            found = self._known[key] = work()
        return found  # type: ignore[return-value]


def remembered(labels: list[dict[str, str]], key: Hashable, work: Callable[[], Remembered]) -> Remembered:
    """Return what `work` makes of some labels, remembered where they are a source's."""
    return labels.remembered(key, work) if isinstance(labels, LabelSets) else work()


@dataclass(slots=True)
class SeriesColumns:
    """Ragged columns: series i owns rows offsets[i]:offsets[i+1], sorted by time, times unique.

    `histograms` is None where every sample is a number; else it runs beside `values`, whose number at a histogram is
    its count. A stale marker is a number always. `starts_ms`, where not None, tells since when each sample's counter
    counts, 0 where that is not known.
    """

    labels: list[dict[str, str]]
    offsets: Ints
    timestamps_ms: Ints
    values: Floats
    histograms: Histograms | None = None
    starts_ms: Ints | None = None


class SharedTimes(SeriesColumns):
    """Numbers of series that all have samples at the same times; `timestamps_ms` is made when somebody asks for it.

    A source that knows that there is no stale marker among them says so.
    """

    __slots__ = ("_tiled", "may_be_stale", "shared_ms")

    def __init__(
        self, labels: list[dict[str, str]], shared_ms: Ints, values: Floats, *, may_be_stale: bool = True
    ) -> None:
        """Take one row of times, and the values series after series."""
        self.shared_ms, self.may_be_stale = shared_ms, may_be_stale
        self._tiled: Ints | None = None
        offsets = np.arange(len(labels) + 1, dtype=np.int64) * shared_ms.size
        self.labels, self.offsets, self.values = labels, offsets, values
        self.histograms, self.starts_ms = None, None

    @property
    def timestamps_ms(self) -> Ints:  # type: ignore[override]
        """Return the times of all samples, series after series."""
        if self._tiled is None:
            self._tiled = np.tile(self.shared_ms, len(self.labels))
        return self._tiled

    def plain(self) -> SeriesColumns:
        """Return the same samples, each with its time."""
        return SeriesColumns(self.labels, self.offsets, self.timestamps_ms, self.values)


Worked = TypeVar("Worked")


class SeriesSource(Protocol):
    """Where samples come from; the engine knows nothing else about storage."""

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series; both bounds are inclusive and stale markers are included."""
        ...


@runtime_checkable
class PartedSource(SeriesSource, Protocol):
    """A source that hands its series out in parts, which need not all be in memory at once."""

    def each(
        self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int, work: Callable[[SeriesColumns], Worked]
    ) -> list[Worked]:
        """Call `work` with some of the matching series after the other, perhaps on several threads; in order."""
        ...


@dataclass(slots=True)
class QueryResult:
    """A query's answer: row i of the grid belongs to labels[i], column j to timestamps_ms[j].

    An instant query of a range vector has type "matrix" and its samples in `range_vector`;
    a string has type "string" and its text in `string_value`. `histograms`, where not None, has the shape of `values`:
    a present cell with a histogram is that histogram and no number.
    """

    type: ResultType
    labels: list[dict[str, str]]
    timestamps_ms: Ints
    values: Floats
    present: Bools
    warnings: list[str] = field(default_factory=list)
    string_value: str | None = None
    range_vector: SeriesColumns | None = None
    histograms: Histograms | None = None
    infos: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one query; passing one is an execution error, never a truncated answer."""

    max_samples: int = 50_000_000
    max_steps: int = 11_000
    max_series: int = 200_000
    max_depth: int = 50


class QueryError(ValueError):
    """A query that cannot be answered; `position` is the offset of the mistake where it is known."""

    def __init__(self, message: str, kind: ErrorKind = "execution", position: int | None = None) -> None:
        """Keep the kind, which decides the status a door answers with."""
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.position = position
