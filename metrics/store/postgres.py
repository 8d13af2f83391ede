"""The default store: head blocks and group blocks in PostgreSQL, read in one snapshot."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections, transaction

from metrics.promql.types import Matcher, QueryError, SeriesColumns, SharedTimes
from metrics.store import group_block, head_block, histogram_column, rolled
from metrics.store.assembly import Assembly, HeldBlock
from metrics.store.block_cache import BlockCache
from metrics.store.catalogue import Catalogue
from metrics.store.columns import Samples
from metrics.store.deadline import ends_at_seconds, reading, waiting_for_ever
from metrics.store.fence import FENCE
from metrics.store.group_block import SERIES_PER_GROUP, OpenBlock
from metrics.store.head_insert import head_insert
from metrics.store.listing import BlockKey, BlockRef, list_blocks, new_series_came, series_changed
from metrics.store.protocol import Period, SelectLimits, TooManySamples
from metrics.store.raw import raw_cursor
from metrics.store.selected import SelectedPart, Selections
from metrics.store.sharing import shared_columns

Ints = npt.NDArray[np.int64]
CACHE_BYTES = 256 << 20
# The more comes in, the sooner a head block is packed, within seconds at last; a minute block within half an hour.
HEAD_IDLE_SECONDS, BLOCK_IDLE_SECONDS = 30.0, 600.0
DEFAULT_LIMITS = SelectLimits()
FETCH = 500
RECHECK_SECONDS = 600.0
# Reading a million series takes some seconds, which is nobody's query to pay for and must not begin again with each.
LOADING_MS = 600_000
# Parts whose blocks may wait for a thread.
AHEAD = 8
Result = TypeVar("Result")
PACKED, RECENT = "metrics_groupblock", "metrics_recentblock"


@contextmanager
def snapshot(timeout_ms: int) -> Iterator[psycopg.Cursor[Any]]:
    """Yield a cursor in a read-only snapshot; inside an outer transaction that transaction is the frame.

    Raises QueryError where the time is over: outside the transaction, which is rolled back by then.
    """
    outermost = not connection.in_atomic_block
    with reading(timeout_ms) as cursor, transaction.atomic():
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        left_ms = max(1, int((ends_at_seconds(timeout_ms) - time.monotonic()) * 1000))
        # The watch is enough, unless it is this process that hangs.
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(left_ms)])
        yield cursor


class PostgresStore:
    """Reads and writes blocks; one instance a process, safe for threads."""

    def __init__(self, limits: SelectLimits = DEFAULT_LIMITS, *, cache_bytes: int = CACHE_BYTES) -> None:
        """Start with an empty catalogue and cache."""
        self.catalogue = Catalogue()
        self.limits = limits
        self._cache: BlockCache[OpenBlock] = BlockCache(max_bytes=cache_bytes, idle_seconds=BLOCK_IDLE_SECONDS)
        self._head_cache: BlockCache[Samples] = BlockCache(max_bytes=cache_bytes // 3, idle_seconds=HEAD_IDLE_SECONDS)
        self._selections = Selections()
        # When it was asked, and the answer: before it there are roll-ups only.
        self._raw_begins = float("-inf"), 0
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def forget(self) -> None:
        """Drop all that was cached, as after a change of database."""
        self.catalogue.clear()
        self._cache.clear()
        self._head_cache.clear()
        self._selections.forget()
        self._raw_begins = float("-inf"), 0
        histogram_column.forget_histograms()
        FENCE.forget()

    def append(self, samples: Samples, *, durable: bool) -> None:
        """Keep these samples; they are safe when the surrounding transaction has committed."""
        if not samples.values.size:
            return
        if durable:
            # One statement is its own transaction where there is none: one round trip instead of three.
            mine = connections[DEFAULT_DB_ALIAS]
            mine.ensure_connection()
            with mine.wrap_database_errors:
                _insert(samples)
            return
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
            _insert(samples)

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series with samples in the range, both ends included."""
        return joined(self.each(matchers, t_min_ms, t_max_ms, _plain))

    def each(
        self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int, work: Callable[[SeriesColumns], Result]
    ) -> list[Result]:
        """Call `work` with the samples of some hundred series after the other, on several threads; in order.

        Reads outside a transaction while that is enough, else in a snapshot of its own: one statement tells what there
        is to read; blocks never change, so those in the cache need no more, and of the others only one that was
        compacted away meanwhile calls for a snapshot, as do series not heard of yet. What was worked on till then is
        worked on again. A matcher of `__rollup__` asks for a column of the five-minute roll-ups, which reach further.
        """
        column, matchers = rolled.asked_column(matchers)
        if column is not None:
            return [work(self._select_rolled(column, matchers, t_min_ms, t_max_ms))]
        if t_max_ms - t_min_ms > self.limits.max_range_ms:
            days = self.limits.max_range_ms // 86_400_000
            raise QueryError(f"the query reaches over more than {days} days of raw samples", kind="execution")
        asked = _Asked(matchers, t_min_ms, t_max_ms)
        if self.catalogue.horizon:
            try:
                with reading(self.limits.timeout_ms) as cursor:
                    results = self._worked(cursor, asked, work)
                if results is not None:
                    return results
            except (OperationalError, InterfaceError):
                # A connection that broke while it lay idle: the snapshot opens another one.
                if connection.in_atomic_block:
                    raise
                connection.close()
        else:
            self._load()
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            return self._worked(cursor, asked, work, in_snapshot=True) or []

    def is_too_far(self, t_min_ms: int, t_max_ms: int) -> bool:
        """Tell whether a range is longer than raw samples are read, or begins before the oldest that are kept."""
        if t_max_ms - t_min_ms > self.limits.raw_range_ms:
            return True
        checked_at_seconds, begin_ms = self._raw_begins
        if time.monotonic() - checked_at_seconds > RECHECK_SECONDS:
            begin_ms = rolled.raw_begins_ms()
            self._raw_begins = time.monotonic(), begin_ms
        return t_min_ms < begin_ms

    def _select_rolled(self, column: str, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        if not self.catalogue.horizon:
            self._load()
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            found = self.catalogue.find(matchers)
            if not found or t_min_ms > t_max_ms:
                return joined([])
            ids = np.concatenate([part.ids for part in found])
            order = np.argsort(ids, kind="stable")
            labels = [labels for part in found for labels in self.catalogue.labels_of(part)]
            whole = Assembly(ids[order], t_min_ms, t_max_ms, self.limits.max_samples, self._deadline())
            read = rolled.read_column(cursor, self, whole, column)
        return _columns(read, [labels[row] for row in order.tolist()])

    def _load(self) -> None:
        with waiting_for_ever(), snapshot(LOADING_MS) as cursor:
            self.catalogue.refresh(cursor)

    def refresh(self) -> None:
        """Learn the series that were committed since the last time."""
        if not self.catalogue.horizon:
            self._load()
            return
        with reading(self.limits.timeout_ms) as cursor:
            if not series_changed(cursor, self.catalogue.horizon):
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
        if not self.catalogue.horizon:
            self._load()
        with reading(self.limits.timeout_ms) as cursor:
            found = None if series_changed(cursor, self.catalogue.horizon) else self._groups_within(cursor, period)
        if found is not None:
            return found
        with snapshot(self.limits.timeout_ms) as cursor:
            self.catalogue.refresh(cursor)
            return self._groups_within(cursor, period)

    def _groups_within(self, cursor: psycopg.Cursor[Any], period: Period) -> Ints | None:
        """Return the groups with a block that reaches into the period, None where one is packed meanwhile."""
        listing = list_blocks(cursor, self.catalogue.horizon, None, period.start_ms, period.end_ms)
        heads = self.heads(cursor, listing.heads)
        if len(heads) != len(listing.heads):
            return None
        packed = np.array([ref.key[2] for ref in listing.groups], np.int64)
        return np.unique(np.concatenate([packed, *(block.series_ids // SERIES_PER_GROUP for block in heads)]))

    def _worked(
        self,
        cursor: psycopg.Cursor[Any],
        asked: "_Asked",
        work: Callable[[SeriesColumns], Result],
        *,
        in_snapshot: bool = False,
    ) -> list[Result] | None:
        """Read and work; None where that took more than can be read outside a snapshot."""
        # The horizon first: what another thread learns in between is new to this reading.
        horizon = self.catalogue.horizon
        selected = self._selections.of(self.catalogue, asked.matchers)
        if not selected.parts or asked.t_min_ms > asked.t_max_ms:
            return None if not in_snapshot and new_series_came(cursor, horizon) else []
        listing = list_blocks(cursor, horizon, selected.groups, asked.t_min_ms, asked.t_max_ms)
        if listing.has_new_series and not in_snapshot:
            return None
        self._check_size(selected.fullest, listing.groups)
        whole = Assembly(selected.ids, asked.t_min_ms, asked.t_max_ms, self.limits.max_samples, self._deadline())
        heads = self.heads(cursor, listing.heads)
        if len(heads) != len(listing.heads):
            return None
        whole.take_heads(heads)
        return self._spread(cursor, whole, selected.parts, listing.groups, work)

    def _deadline(self) -> Callable[[], bool]:
        ends_at = ends_at_seconds(self.limits.timeout_ms)
        return lambda: time.monotonic() > ends_at

    def _spread(
        self,
        cursor: psycopg.Cursor[Any],
        whole: Assembly,
        parts: Sequence[SelectedPart],
        refs: Sequence[BlockRef],
        work: Callable[[SeriesColumns], Result],
    ) -> list[Result] | None:
        """Read the blocks of some groups after the other, and work on those read before; None where one was gone."""
        of_group: dict[int, list[BlockRef]] = {}
        for ref in refs:
            of_group.setdefault(ref.key[2], []).append(ref)
        sizes: list[int] = []

        def worked(wanted: SelectedPart, held: dict[BlockKey, OpenBlock]) -> Result:
            blocks = {
                group: [HeldBlock(ref.key[1], held[ref.key]) for ref in of_group.get(group, ())]
                for group, _, _ in wanted.spans
            }
            columns = part_columns(whole.part(wanted.begin, wanted.end), wanted, blocks)
            sizes.append(columns.values.size)
            if sum(sizes) > self.limits.max_samples:
                raise TooManySamples(f"the query reads more than {self.limits.max_samples} samples")
            return work(columns)

        futures: list[Future[Result]] = []
        try:
            for number, part in enumerate(parts):
                wanted = [ref for group, _, _ in part.spans for ref in of_group.get(group, ())]
                held = self.opened(cursor, wanted)
                if len(held) != len(wanted):
                    return None
                if len(parts) == 1:
                    return [worked(part, held)]
                # The caller's context goes along: numpy keeps in it which errors are silent.
                futures.append(self._threads().submit(copy_context().run, worked, part, held))
                if number >= AHEAD:
                    futures[number - AHEAD].result()
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def _threads(self) -> ThreadPoolExecutor:
        # A process that was forked from this one has none of its threads.
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="query")
        return self._pool[1]

    def _check_size(self, fullest: int, groups: Sequence[BlockRef]) -> None:
        estimate = sum(ref.samples for ref in groups) * fullest // SERIES_PER_GROUP
        if estimate > self.limits.max_samples:
            raise TooManySamples(f"the query reads about {estimate} samples, at most {self.limits.max_samples}")

    def heads(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> list[Samples]:
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

    def opened(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> dict[BlockKey, OpenBlock]:
        """Return those of the blocks that are still there."""
        held = {ref.key: block for ref in refs if (block := self._cache.get(ref.key)) is not None}
        missing = [ref for ref in refs if ref.key not in held]
        wanted = {ref.key for ref in missing}
        for key, data in _fetch(cursor, missing):
            if key in wanted:
                held[key] = group_block.opened(data)
                self._cache.put(key, held[key])
        return held


def _insert(samples: Samples) -> None:
    """Write a head block under ids that may be written to."""
    while True:
        marks = FENCE.marks
        settled = FENCE.settled(samples, marks)
        if not settled.values.size or head_insert(connection.connection, settled, marks.epoch):
            return
        FENCE.learn()


def part_columns(part: Assembly, wanted: SelectedPart, blocks: dict[int, list[HeldBlock]]) -> SeriesColumns:
    """Return the samples of some series from the blocks of their groups."""
    groups = [(low - wanted.begin, high - wanted.begin, blocks[group]) for group, low, high in wanted.spans]
    shared = shared_columns(part, groups, wanted.labels)
    if shared is not None:
        return shared
    for low, high, held in groups:
        part.take_group(low, high, held)
    return _columns(part, wanted.labels)


def _columns(assembly: Assembly, labels: list[dict[str, str]]) -> SeriesColumns:
    counts = np.concatenate(assembly.counts)
    filled = np.flatnonzero(counts)
    if filled.size != counts.size:
        labels = [labels[row] for row in filled.tolist()]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[filled])])
    size = assembly.size
    histograms = histogram_column.histograms_of(assembly.histograms())
    return SeriesColumns(labels, offsets, assembly.times[:size], assembly.values[:size], histograms)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one selection asks for."""

    matchers: Sequence[Matcher]
    t_min_ms: int
    t_max_ms: int


def _plain(columns: SeriesColumns) -> SeriesColumns:
    return columns.plain() if isinstance(columns, SharedTimes) else columns


def joined(parts: Sequence[SeriesColumns]) -> SeriesColumns:
    """Put the columns of different series below each other."""
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(part.values.size for part in parts)], dtype=np.int64)
    offsets = [part.offsets[:-1] + shift for part, shift in zip(parts, shifts.tolist(), strict=False)]
    return SeriesColumns(
        [labels for part in parts for labels in part.labels],
        np.concatenate([*offsets, shifts[-1:]]),
        np.concatenate([*(part.timestamps_ms for part in parts), np.empty(0, np.int64)]),
        np.concatenate([*(part.values for part in parts), np.empty(0)]),
        histogram_column.joined([(part.histograms, part.values.size) for part in parts]),
    )


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
