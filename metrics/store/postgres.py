"""The default store: head blocks and group blocks in PostgreSQL, read in one snapshot."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection, transaction

from metrics.promql.types import Matcher, QueryError, SeriesColumns
from metrics.store import group_block, head_block, histogram_column, kernels
from metrics.store.block_cache import BlockCache
from metrics.store.catalogue import Catalogue, Found
from metrics.store.columns import Samples, no_samples
from metrics.store.protocol import Period, SelectLimits, TooManySamples
from metrics.store.raw import raw_cursor

Ints = npt.NDArray[np.int64]
CACHE_BYTES = 96 << 20
DEFAULT_LIMITS = SelectLimits()
FETCH = 500


@dataclass(frozen=True, slots=True)
class BlockRef:
    """Where a block is and how many samples it holds, without its data."""

    key: tuple[str, int, int]
    day: date | None
    samples: int


def day_of(timestamp_ms: int) -> date:
    """Return the UTC day a sample is filed under; the far ends of the range meet at the calendar's."""
    seconds = min(max(timestamp_ms // 1000, -62_135_596_800), 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).date()


def append_samples(cursor: psycopg.Cursor[Any], samples: Samples) -> None:
    """Write one head block."""
    cursor.execute(
        "INSERT INTO metrics_headblock (t_min, t_max, samples, data) VALUES (%s, %s, %s, %s)",
        [
            int(np.min(samples.timestamps_ms)),
            int(np.max(samples.timestamps_ms)),
            samples.values.size,
            head_block.encode(samples),
        ],
    )


@contextmanager
def snapshot(timeout_ms: int) -> Iterator[psycopg.Cursor[Any]]:
    """Yield a cursor in a read-only snapshot; inside an outer transaction that transaction is the frame."""
    outermost = not connection.in_atomic_block
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            if outermost:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(timeout_ms)])
            yield cursor
    except psycopg.errors.QueryCanceled as error:
        raise QueryError("the query took too long to read its samples", kind="timeout") from error


class PostgresStore:
    """Reads and writes blocks; one instance a process, safe for threads."""

    def __init__(self, limits: SelectLimits = DEFAULT_LIMITS, *, cache_bytes: int = CACHE_BYTES) -> None:
        """Start with an empty catalogue and cache."""
        self.catalogue = Catalogue()
        self.limits = limits
        self._cache = BlockCache(max_bytes=cache_bytes)

    def forget(self) -> None:
        """Drop all that was cached, as after a change of database."""
        self.catalogue.clear()
        self._cache.clear()
        histogram_column.forget_histograms()

    def append(self, samples: Samples, *, durable: bool) -> None:
        """Keep these samples; they are safe when the surrounding transaction has committed."""
        if not samples.values.size:
            return
        if durable:
            # One statement is its own transaction where there is none: one round trip instead of three.
            with raw_cursor() as cursor:
                append_samples(cursor, samples)
            return
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
            append_samples(cursor, samples)

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series with samples in the range, both ends included."""
        if t_max_ms - t_min_ms > self.limits.max_range_ms:
            days = self.limits.max_range_ms // 86_400_000
            raise QueryError(f"the query reaches over more than {days} days of raw samples", kind="execution")
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            found = self.catalogue.find(matchers)
            ids = np.concatenate([part.ids for part in found]) if found else np.empty(0, np.int64)
            samples = self._read(cursor, ids, t_min_ms, t_max_ms)
        return self._columns(found, ids, samples)

    def identified(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[tuple[int, dict[str, str]]]:
        """Return (series id, label set) of the series that match, for what is kept beside samples."""
        found = self.catalogue.find(matchers, self._groups(period))
        pairs: list[tuple[int, dict[str, str]]] = []
        for part in found:
            pairs.extend(zip(part.ids.tolist(), self.catalogue.labels_of(part), strict=True))
        return pairs

    def series(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[dict[str, str]]:
        """Return the label sets that match and may have samples in the period."""
        found = self.catalogue.find(matchers, self._groups(period))
        return [labels for part in found for labels in self.catalogue.labels_of(part)]

    def label_names(self, matchers: Sequence[Matcher], period: Period | None = None) -> list[str]:
        """Return the names of labels of matching series that may have samples in the period."""
        return self.catalogue.label_names(matchers, self._groups(period))

    def label_values(self, name: str, matchers: Sequence[Matcher], period: Period | None = None) -> list[str]:
        """Return the values one label has among matching series that may have samples in the period."""
        return self.catalogue.label_values(name, matchers, self._groups(period))

    def _groups(self, period: Period | None) -> Ints | None:
        """Refresh the catalogue and return the groups with a block that reaches into the period, None for all."""
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            if period is None:
                return None
            packed = np.array(_groups_between(cursor, period), np.int64)
            heads = self._blocks(cursor, _list_heads(cursor, period.start_ms, period.end_ms))
            parts = [np.unique(block.series_ids // group_block.SERIES_PER_GROUP) for block in heads]
            return np.unique(np.concatenate([packed, *parts]))

    def _read(self, cursor: psycopg.Cursor[Any], ids: Ints, t_min_ms: int, t_max_ms: int) -> Samples:
        """Return the samples of these series, numbered by their place in `ids`, oldest block first."""
        if not ids.size or t_min_ms > t_max_ms:
            return no_samples()
        heads = _list_heads(cursor, t_min_ms, t_max_ms)
        groups = _list_groups(cursor, ids, t_min_ms, t_max_ms)
        self._check_size(ids, groups)
        gathered = _Gathered(_numbering(ids), t_min_ms, t_max_ms)
        for block in self._blocks(cursor, groups + heads):
            if gathered.add(block) > self.limits.max_samples:
                raise TooManySamples(f"the query reads more than {self.limits.max_samples} samples")
        return gathered.samples()

    def _check_size(self, ids: Ints, groups: Sequence[BlockRef]) -> None:
        _, members = np.unique(ids // group_block.SERIES_PER_GROUP, return_counts=True)
        fullest = int(np.max(members))
        estimate = sum(ref.samples for ref in groups) * fullest // group_block.SERIES_PER_GROUP
        if estimate > self.limits.max_samples:
            raise TooManySamples(f"the query reads about {estimate} samples, at most {self.limits.max_samples}")

    def _blocks(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> Iterator[Samples]:
        for start in range(0, len(refs), FETCH):
            slice_ = refs[start : start + FETCH]
            cached = {ref.key: self._cache.get(ref.key) for ref in slice_}
            missing = [ref for ref in slice_ if cached[ref.key] is None]
            for key, fetched in _fetch(cursor, missing):
                cached[key] = fetched
                self._cache.put(key, fetched)
            for ref in slice_:
                block = cached[ref.key]
                if block is not None:
                    yield block

    def _columns(self, found: Sequence[Found], ids: Ints, samples: Samples) -> SeriesColumns:
        offsets, ordered = group_block.arrange(samples, ids.size)
        labels = [labels for part in found for labels in self.catalogue.labels_of(part)]
        filled = np.flatnonzero(np.diff(offsets))
        if filled.size != ids.size:
            labels = [labels[index] for index in filled.tolist()]
            offsets = np.concatenate([offsets[filled], offsets[-1:]])
        histograms = histogram_column.histograms_of(ordered.histograms)
        return SeriesColumns(labels, offsets, ordered.timestamps_ms, ordered.values, histograms)


def _numbering(ids: Ints) -> Ints:
    numbers = np.full(int(np.max(ids)) + 1, -1, np.int64)
    numbers[ids] = np.arange(ids.size)
    return numbers


class _Gathered:
    """The wanted samples of one block after another, in columns that double when they are full."""

    def __init__(self, numbers: Ints, t_min_ms: int, t_max_ms: int) -> None:
        self._wanted = (numbers, t_min_ms, t_max_ms)
        self._columns = no_samples()
        self._size = 0
        # (first place, column) of each block that had histograms among what was wanted.
        self._histograms: list[tuple[int, npt.NDArray[np.object_]]] = []

    def add(self, block: Samples) -> int:
        """Take what is wanted of a block; returns the number of samples so far."""
        room = self._columns.values.size
        if room < self._size + block.values.size:
            self._grow(max(2 * room, self._size + block.values.size))
        out, first = self._columns, self._size
        # Histograms follow the numbers of their rows, which travel in the place of the values.
        values = block.values if block.histograms is None else np.arange(block.values.size, dtype=np.float64)
        self._size = kernels.narrow(
            block.series_ids, block.timestamps_ms, values, *self._wanted,
            first, out.series_ids, out.timestamps_ms, out.values,
        )  # fmt: skip
        if block.histograms is not None and self._size > first:
            rows = out.values[first : self._size].astype(np.int64)
            out.values[first : self._size] = block.values[rows]
            self._histograms.append((first, block.histograms[rows]))
        return self._size

    def samples(self) -> Samples:
        taken = self._columns.take(slice(0, self._size))
        if not self._histograms:
            return taken
        column = histogram_column.no_histograms(self._size)
        for first, part in self._histograms:
            column[first : first + part.size] = part
        return dataclasses.replace(taken, histograms=column)

    def _grow(self, room: int) -> None:
        old = self._columns.take(slice(0, self._size))
        self._columns = Samples(np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64))
        for new, part in zip(
            (self._columns.series_ids, self._columns.timestamps_ms, self._columns.values),
            (old.series_ids, old.timestamps_ms, old.values),
            strict=True,
        ):
            new[: self._size] = part


def _list_heads(cursor: psycopg.Cursor[Any], t_min_ms: int, t_max_ms: int) -> list[BlockRef]:
    cursor.execute(
        "SELECT id, samples FROM metrics_headblock WHERE t_max >= %s AND t_min <= %s ORDER BY id", [t_min_ms, t_max_ms]
    )
    return [BlockRef(("head", row[0], 0), None, row[1]) for row in cursor]


def _list_groups(cursor: psycopg.Cursor[Any], ids: Ints, t_min_ms: int, t_max_ms: int) -> list[BlockRef]:
    groups = np.unique(ids // group_block.SERIES_PER_GROUP).tolist()
    cursor.execute(
        "SELECT day, id, group_no, samples FROM metrics_groupblock WHERE group_no = ANY(%s) AND day BETWEEN %s AND %s"
        " AND t_max >= %s AND t_min <= %s ORDER BY id",
        [groups, day_of(t_min_ms), day_of(t_max_ms), t_min_ms, t_max_ms],
    )
    return [BlockRef(("group", row[1], row[2]), row[0], row[3]) for row in cursor]


def _groups_between(cursor: psycopg.Cursor[Any], period: Period) -> list[int]:
    cursor.execute(
        "SELECT DISTINCT group_no FROM metrics_groupblock WHERE day BETWEEN %s AND %s AND t_max >= %s AND t_min <= %s",
        [day_of(period.start_ms), day_of(period.end_ms), period.start_ms, period.end_ms],
    )
    return [row[0] for row in cursor]


def _fetch(cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> Iterator[tuple[tuple[str, int, int], Samples]]:
    heads = [ref.key[1] for ref in refs if ref.day is None]
    if heads:
        cursor.execute("SELECT id, data FROM metrics_headblock WHERE id = ANY(%s)", [heads])
        for block_id, data in cursor:
            yield ("head", block_id, 0), head_block.decode(data)
    groups = [ref for ref in refs if ref.day is not None]
    if groups:
        cursor.execute(
            "SELECT id, group_no, data FROM metrics_groupblock WHERE day = ANY(%s) AND id = ANY(%s)",
            [sorted({ref.day for ref in groups if ref.day}), [ref.key[1] for ref in groups]],
        )
        for block_id, group_no, data in cursor:
            yield ("group", block_id, group_no), group_block.decode(data, group_no=group_no)


STORE = PostgresStore()
