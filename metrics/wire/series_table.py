"""The per-process table from the raw bytes of a label set to a series id."""

import secrets
import threading
from collections import OrderedDict
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


@dataclass(frozen=True, slots=True)
class Recent:
    """An earlier request: its bytes, where the labels of each series lie in them, and the ids these have."""

    data: npt.NDArray[np.uint8]
    label_start: Ints
    label_end: Ints
    ids: Ints

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        return self.data.nbytes + 3 * self.ids.nbytes


MOST_KEY_BYTES = 512
# The key of a request is found within so many bytes: tag and length come before it, its last label may reach out.
KEY_WITHIN_BYTES = MOST_KEY_BYTES + 256


def request_key(raw: bytes) -> bytes:
    """Return the labels of the first series (remote write 1) or the first symbols (2): they are as they were last time.

    The first bytes alone would not do: a sender's requests of one metric begin alike and differ in the instance.
    """
    start, tag = 0, 0x22
    if raw[:1] == b"\x0a":
        start, tag = 2, 0x0A
        while start < 6 and raw[start - 1 : start] >= b"\x80":
            start += 1
    end = start
    last = min(start + MOST_KEY_BYTES, len(raw) - 1)
    while end < last and raw[end] == tag and raw[end + 1] < 128:
        end += 2 + raw[end + 1]
    return raw[start:end]


NOTHING_RECENT = Recent(np.frombuffer(b"\0", np.uint8), *(np.empty(0, np.int64) for _ in range(3)))


class RecentRequests:
    """Requests of senders that send the same series in the same order again, found by what they begin with."""

    def __init__(self, *, max_bytes: int = 24 << 20) -> None:
        """Start empty."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._found: OrderedDict[bytes, Recent] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, raw: bytes) -> Recent:
        """Return the request that began as this one does."""
        return self._found.get(request_key(raw), NOTHING_RECENT)

    def remember(self, raw: bytes, label_start: Ints, label_end: Ints, ids: Ints) -> None:
        """Keep a request in which every series was known."""
        if not ids.size or bool((ids < 0).any()):
            return
        recent = Recent(np.frombuffer(raw, np.uint8), label_start, label_end, ids.copy())
        key = request_key(raw)
        with self._lock:
            self._drop(key)
            self._found[key] = recent
            self._bytes += recent.nbytes
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._found)))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
            self._bytes = 0

    def _drop(self, key: bytes) -> None:
        old = self._found.pop(key, None)
        if old is not None:
            self._bytes -= old.nbytes


class SeriesTable:
    """Open-addressed hash table that readers use without a lock.

    An entry counts only when both halves of its key and its id are there, so a reader that races a writer at worst
    misses it and takes the slow path. A full table starts again from nothing.
    """

    def __init__(self, *, capacity: int = 1 << 12, max_series: int = 2_000_000) -> None:
        """Start empty, under a key of its own."""
        self.key = (np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64)))
        self.columns = _columns(capacity)
        self.count = 0
        self.recent = RecentRequests()
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

    def discard(self, ids: Ints) -> None:
        """Forget the keys of these ids; a key that lay behind one of them may have to be added again."""
        with self._lock:
            columns = self.columns
            columns.ids[np.isin(columns.ids, ids)] = -1
            self.recent.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self.columns = _columns(self._smallest)
            self.count = 0
            self.recent.clear()

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
