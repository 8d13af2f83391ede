"""The default store: head blocks and group blocks in PostgreSQL, read in one snapshot."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import InterfaceError, OperationalError, connection, transaction

from metrics.promql.types import Matcher, QueryError, SeriesColumns
from metrics.store import group_block, head_block, histogram_column
from metrics.store.assembly import Assembly, HeldBlock
from metrics.store.block_cache import BlockCache
from metrics.store.catalogue import Catalogue, Found
from metrics.store.columns import Samples
from metrics.store.group_block import OpenBlock
from metrics.store.listing import BlockRef, list_blocks, new_series_came
from metrics.store.protocol import Period, SelectLimits, TooManySamples
from metrics.store.raw import raw_cursor

Ints = npt.NDArray[np.int64]
CACHE_BYTES = 96 << 20
DEFAULT_LIMITS = SelectLimits()
FETCH = 500
PACKED, RECENT = "metrics_groupblock", "metrics_recentblock"
BlockKey = tuple[str, int, int, int]
# (group number, its first place among the wanted ids, the place after its last).
Span = tuple[int, int, int]


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
        self._cache: BlockCache[OpenBlock] = BlockCache(max_bytes=cache_bytes)
        self._head_cache: BlockCache[Samples] = BlockCache(max_bytes=cache_bytes // 3)

    def forget(self) -> None:
        """Drop all that was cached, as after a change of database."""
        self.catalogue.clear()
        self._cache.clear()
        self._head_cache.clear()
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
        reading = self._selected(matchers, t_min_ms, t_max_ms)
        return self._columns(reading.found, reading.assembly)

    def _selected(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> "_Reading":
        """Read outside a transaction while that is enough, else in a snapshot of its own.

        One statement tells what there is to read; blocks never change, so those in the cache need no more, and of the
        others only one that was compacted away meanwhile calls for a snapshot, as do series not heard of yet.
        """
        reading = _Reading(matchers, t_min_ms, t_max_ms)
        if self.catalogue.horizon:
            try:
                with raw_cursor() as cursor:
                    if self._read(cursor, reading) and not reading.has_new_series:
                        return reading
            except (OperationalError, InterfaceError):
                # A connection that broke while it lay idle: the snapshot opens another one.
                if connection.in_atomic_block:
                    raise
                connection.close()
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            self._read(cursor, reading)
        return reading

    def refresh(self) -> None:
        """Learn the series that were committed since the last time."""
        if self.catalogue.horizon:
            with raw_cursor() as cursor:
                if not new_series_came(cursor, self.catalogue.horizon):
                    return
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)

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
        if period is None:
            self.refresh()
            return None
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            listing = list_blocks(cursor, self.catalogue.horizon, None, period.start_ms, period.end_ms)
            packed = np.array([ref.key[2] for ref in listing.groups], np.int64)
            heads = self._heads(cursor, listing.heads)
            parts = [np.unique(block.series_ids // group_block.SERIES_PER_GROUP) for block in heads]
            return np.unique(np.concatenate([packed, *parts]))

    def _read(self, cursor: psycopg.Cursor[Any], reading: "_Reading") -> bool:
        """Read the samples of matching series; False where a block was gone."""
        # The horizon first: what another thread learns in between is new to this reading.
        horizon = self.catalogue.horizon
        reading.found = self.catalogue.find(reading.matchers)
        ids = np.concatenate([part.ids for part in reading.found] or [np.empty(0, np.int64)])
        reading.assembly, reading.has_new_series = None, False
        if not ids.size or reading.t_min_ms > reading.t_max_ms:
            reading.has_new_series = new_series_came(cursor, horizon)
            return True
        numbers = np.unique(ids // group_block.SERIES_PER_GROUP).tolist()
        listing = list_blocks(cursor, horizon, numbers, reading.t_min_ms, reading.t_max_ms)
        reading.has_new_series = listing.has_new_series
        self._check_size(ids, listing.groups)
        assembly = Assembly(np.sort(ids), reading.t_min_ms, reading.t_max_ms, self.limits.max_samples, self._deadline())
        reading.assembly = assembly
        heads = self._heads(cursor, listing.heads)
        assembly.take_heads(heads)
        return len(heads) == len(listing.heads) and self._assemble(cursor, assembly, listing.groups)

    def _deadline(self) -> Callable[[], bool]:
        ends_at_seconds = time.monotonic() + self.limits.timeout_ms / 1000
        return lambda: time.monotonic() > ends_at_seconds

    def _assemble(self, cursor: psycopg.Cursor[Any], assembly: Assembly, refs: Sequence[BlockRef]) -> bool:
        """Read the blocks of group after group into the columns; False where one was gone."""
        of_group: dict[int, list[BlockRef]] = {}
        for ref in refs:
            of_group.setdefault(ref.key[2], []).append(ref)
        numbers, begins = np.unique(assembly.ids // group_block.SERIES_PER_GROUP, return_index=True)
        ends = [*begins[1:].tolist(), assembly.ids.size]
        spans = list(zip(numbers.tolist(), begins.tolist(), ends, strict=True))
        for portion in _portions(spans, of_group):
            wanted = [ref for group, _, _ in portion for ref in of_group.get(group, ())]
            held = self._opened(cursor, wanted)
            if len(held) != len(wanted):
                return False
            for group, begin, end in portion:
                blocks = [HeldBlock(ref.key[1], held[ref.key]) for ref in of_group.get(group, ())]
                assembly.take_group(begin, end, blocks)
        return True

    def _check_size(self, ids: Ints, groups: Sequence[BlockRef]) -> None:
        _, members = np.unique(ids // group_block.SERIES_PER_GROUP, return_counts=True)
        fullest = int(np.max(members))
        estimate = sum(ref.samples for ref in groups) * fullest // group_block.SERIES_PER_GROUP
        if estimate > self.limits.max_samples:
            raise TooManySamples(f"the query reads about {estimate} samples, at most {self.limits.max_samples}")

    def _heads(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> list[Samples]:
        """Return the head blocks that are still there, in the order asked for."""
        held = {ref.key: self._head_cache.get(ref.key) for ref in refs}
        missing = [ref.key[1] for ref in refs if held[ref.key] is None]
        for start in range(0, len(missing), FETCH):
            cursor.execute(
                "SELECT id, samples, data FROM metrics_headblock WHERE id = ANY(%s)", [missing[start : start + FETCH]]
            )
            for block_id, samples, data in cursor:
                key = ("head", block_id, 0, samples)
                held[key] = decoded = head_block.decode(data)
                self._head_cache.put(key, decoded)
        return [block for ref in refs if (block := held[ref.key]) is not None]

    def _opened(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> dict[BlockKey, OpenBlock]:
        """Return those of the blocks that are still there."""
        held = {ref.key: block for ref in refs if (block := self._cache.get(ref.key)) is not None}
        missing = [ref for ref in refs if ref.key not in held]
        wanted = {ref.key for ref in missing}
        for key, data in _fetch(cursor, missing):
            if key in wanted:
                held[key] = group_block.opened(data)
                self._cache.put(key, held[key])
        return held

    def _columns(self, found: Sequence[Found], assembly: Assembly | None) -> SeriesColumns:
        if assembly is None:
            return SeriesColumns([], np.zeros(1, np.int64), np.empty(0, np.int64), np.empty(0))
        ids = np.concatenate([part.ids for part in found])
        counts = np.concatenate(assembly.counts)
        order = np.argsort(ids, kind="stable")
        labels = [labels for part in found for labels in self.catalogue.labels_of(part)]
        filled = np.flatnonzero(counts)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[filled])])
        size = assembly.size
        return SeriesColumns(
            [labels[row] for row in order[filled].tolist()],
            offsets,
            assembly.times[:size],
            assembly.values[:size],
            histogram_column.histograms_of(assembly.histograms()),
        )


@dataclass(slots=True)
class _Reading:
    """What one selection asks for and what was found."""

    matchers: Sequence[Matcher]
    t_min_ms: int
    t_max_ms: int
    found: list[Found] = field(default_factory=list)
    # None where there is nothing to read.
    assembly: Assembly | None = None
    has_new_series: bool = False


def _portions(spans: Sequence[Span], of_group: dict[int, list[BlockRef]]) -> Iterator[list[Span]]:
    """Cut the groups into portions of about as many blocks as are fetched at once."""
    portion: list[Span] = []
    blocks = 0
    for span in spans:
        portion.append(span)
        blocks += len(of_group.get(span[0], ()))
        if blocks >= FETCH:
            yield portion
            portion, blocks = [], 0
    if portion:
        yield portion


def _fetch(cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> Iterator[tuple[BlockKey, bytes]]:
    for table in (RECENT, PACKED):
        here = [ref for ref in refs if ref.is_recent == (table == RECENT)]
        if here:
            cursor.execute(
                f"SELECT id, group_no, samples, data FROM {table} WHERE day = ANY(%s) AND id = ANY(%s)",  # noqa: S608
                [sorted({ref.day for ref in here if ref.day}), [ref.key[1] for ref in here]],
            )
            for block_id, group_no, samples, data in cursor:
                yield ("group", block_id, group_no, samples), data


STORE = PostgresStore()
