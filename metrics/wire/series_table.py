"""The per-process table from the raw bytes of a label set to a series id."""

import secrets
import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.wire import kernels

Unsigned = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableColumns:
    """One generation of the table; replaced as a whole when it grows."""

    low: Unsigned
    high: Unsigned
    ids: Ints


def _columns(capacity: int) -> TableColumns:
    return TableColumns(
        np.zeros(capacity, np.uint64), np.zeros(capacity, np.uint64), np.full(capacity, -1, dtype=np.int64)
    )


class SeriesTable:
    """Open-addressed hash table that readers use without a lock.

    An entry counts only when both halves of its key and its id are there, so a reader that races a writer at worst
    misses it and takes the slow path. Entries are never removed; a full table starts again from nothing.
    """

    def __init__(self, *, capacity: int = 1 << 12, max_series: int = 2_000_000) -> None:
        """Start empty, under a key of its own."""
        self.key = (np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64)))
        self.columns = _columns(capacity)
        self.count = 0
        self._smallest = capacity
        self._max_series = max_series
        self._lock = threading.Lock()

    def add(self, low: Unsigned, high: Unsigned, ids: Ints) -> None:
        """Remember the ids of these keys."""
        with self._lock:
            self._make_room(ids.size)
            columns = self.columns
            kernels.insert(low, high, ids, columns.low, columns.high, columns.ids)
            self.count += ids.size

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.columns = _columns(self._smallest)
            self.count = 0

    def _make_room(self, more: int) -> None:
        if self.count + more > self._max_series:
            self.columns, self.count = _columns(self._smallest), 0
        old = self.columns
        capacity = old.ids.size
        while capacity < 2 * (self.count + more):
            capacity *= 2
        if capacity == old.ids.size:
            return
        grown = _columns(capacity)
        kept = old.ids >= 0
        kernels.insert(old.low[kept], old.high[kept], old.ids[kept], grown.low, grown.high, grown.ids)
        self.columns = grown
