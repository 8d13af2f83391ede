"""What a store of samples must be able to do; PostgreSQL is the default one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from metrics.promql.types import Matcher, QueryError, SeriesColumns
from metrics.store.columns import Samples


@dataclass(frozen=True, slots=True)
class SelectLimits:
    """Bounds that are checked before samples are fetched."""

    max_samples: int = 50_000_000
    max_range_ms: int = 30 * 86_400_000
    # Steps or windows beyond this are answered from roll-ups.
    raw_range_ms: int = 30 * 86_400_000
    timeout_ms: int = 15_000


class TooManySamples(QueryError):
    """A selector that would read more than one query may."""


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, both ends included."""

    start_ms: int
    end_ms: int


class SampleStore(Protocol):
    """Append, select, labels: nothing else is needed to replace the default store."""

    def append(self, samples: Samples, *, durable: bool) -> None:
        """Keep these samples; they are safe when the surrounding transaction has committed."""
        ...

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series with samples in the range, both ends included."""
        ...

    def series(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[dict[str, str]]:
        """Return the label sets that match and may have samples in the period."""
        ...

    def label_names(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[str]:
        """Return the names of labels of matching series that may have samples in the period."""
        ...

    def label_values(self, name: str, matchers: Sequence[Matcher], period: Period | None = None) -> list[str]:
        """Return the values one label has among matching series that may have samples in the period."""
        ...
