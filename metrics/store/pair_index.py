"""Which series have a label's value, over all metrics: for matchers without a metric's name.

Made when it is first asked for a label, and not anew for each series that comes: what came since is looked at too,
until that is so much that it is made again.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]


class Columns(Protocol):
    """The series of one metric."""

    def codes_from(self, label: str, first: int) -> Codes | None:
        """Return the codes of a label from a row on, None where no series has it."""
        ...


class PairIndex:
    """The rows of every value of one label, by metric."""

    def __init__(self, label: str, metrics: Iterable[Columns], journal_at: int) -> None:
        """Sort all rows there are by their value; what came later begins at a place of the journal."""
        self.label = label
        self.journal_at = journal_at
        found = [(one, codes) for one in metrics if (codes := one.codes_from(label, 0)) is not None]
        self._owners: list[Columns] = [one for one, _ in found]
        sizes = [codes.size for _, codes in found]
        self._starts = np.cumsum([0, *sizes], dtype=np.int64)
        codes = np.concatenate([np.empty(0, np.int32), *(codes for _, codes in found)])
        self.size = codes.size
        # Stable: the rows of one value stay in the order of metrics.
        self._order = np.argsort(codes, kind="stable").astype(np.int32 if codes.size < 1 << 31 else np.int64)
        self._bounds = np.concatenate([[0], np.cumsum(np.bincount(codes))]) if codes.size else np.zeros(1, np.int64)

    def count(self, code: int) -> int:
        """Return how many rows have a value."""
        return int(self._bounds[code + 1] - self._bounds[code]) if code + 1 < self._bounds.size else 0

    def rows(self, code: int) -> Iterator[tuple[Columns, Ints]]:
        """Yield the metrics that have a value, each with its rows in ascending order."""
        if not self.count(code):
            return
        places = self._order[self._bounds[code] : self._bounds[code + 1]].astype(np.int64)
        owners = np.searchsorted(self._starts, places, side="right") - 1
        rows = places - self._starts[owners]
        cuts = [0, *(np.flatnonzero(np.diff(owners)) + 1).tolist(), places.size]
        firsts = owners[cuts[:-1]].tolist()
        for owner, begin, end in zip(firsts, cuts[:-1], cuts[1:], strict=True):
            yield self._owners[owner], rows[begin:end]


def later_rows(
    label: str, code: int, journal: Sequence[tuple[Columns, int, int]], begin: int
) -> Iterator[tuple[Columns, Ints]]:
    """Yield what came after a place of the journal, whose entries are a metric, its first new row and their number."""
    for columns, first, count in journal[begin:]:
        codes = columns.codes_from(label, first)
        if codes is not None:
            rows = np.flatnonzero(codes[:count] == code)
            if rows.size:
                yield columns, rows + first
