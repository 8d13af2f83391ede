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
    timeout_ms: int = 15_000


class TooManySamples(QueryError):
    """A selector that would read more than one query may."""


class SampleStore(Protocol):
    """Append, select, labels: nothing else is needed to replace the default store."""

    def append(self, samples: Samples, *, durable: bool) -> None:
        """Keep these samples; they are safe when the surrounding transaction has committed."""
        ...

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series with samples in the range, both ends included."""
        ...

    def series(self, matchers: Sequence[Matcher]) -> list[dict[str, str]]:
        """Return the label sets that match."""
        ...

    def label_names(self, matchers: Sequence[Matcher]) -> list[str]:
        """Return the names of labels of matching series."""
        ...

    def label_values(self, name: str, matchers: Sequence[Matcher]) -> list[str]:
        """Return the values one label has among matching series."""
        ...
