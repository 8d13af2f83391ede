"""The one writer of group blocks: takes blocks, writes those that replace them, deletes exactly what it took.

Each step is one transaction, so a process that dies at any moment has done a step whole or not at all. A block that
replaces others takes the id of the latest of them: of samples of one time the one that came last keeps winning.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import numpy as np
import psycopg
from django.db import connection, transaction

from metrics.store import group_block, head_block
from metrics.store.columns import Samples, concatenate, distinct
from metrics.store.listing import day_of
from metrics.store.partitions import partitions_ensure
from metrics.store.raw import raw_cursor
from metrics.store.unsent import heads_forget

ADVISORY_LOCK = 7_241_001
MAX_HEADS = 4_000
MAX_SAMPLES = 4_000_000
DAY_MS = 86_400_000
WINDOW_MS = 2 * 3_600_000
# A window is packed once live samples can no longer fall into it, give or take what the doors let through late.
GRACE_MS = 70 * 60_000
# So many minute blocks of an open window are joined before it closes, or a query of the last hours opens hundreds.
MANY_MINUTES = 16
# Of an open window the newest stay as they are: how much came in lately is read from them.
SETTLED_MS = 5 * 60_000
# What a row costs beside its data is a hundredth of this: smaller windows wait for the others of their day.
SMALL_BYTES = 20_000
# A day that is larger stays in its windows.
MAX_DAY_SAMPLES = 2_000_000
ALL_TIMES = (-(1 << 63), (1 << 63) - 1)
PACKED, RECENT = "metrics_groupblock", "metrics_recentblock"


@dataclasses.dataclass(frozen=True, slots=True)
class Compacted:
    """What one pass did."""

    head_blocks: int = 0
    group_blocks: int = 0
    samples: int = 0


@contextmanager
def compactor_lock() -> Iterator[bool]:
    """Hold the compactor's lock for the length of the block; false when another process has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK])
        held = bool(cursor.fetchone()[0])
    try:
        yield held
    finally:
        if held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])


@contextmanager
def step() -> Iterator[psycopg.Cursor[Any]]:
    """Open the transaction of one step; what a crash undoes is simply done again, so nobody waits for the disk."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        yield cursor


def _head_ids(cursor: psycopg.Cursor[Any]) -> list[int]:
    cursor.execute("SELECT id, samples FROM metrics_headblock ORDER BY id LIMIT %s", [MAX_HEADS])
    rows = cursor.fetchall()
    running = np.cumsum([row[1] for row in rows]) if rows else np.empty(0)
    # At least one block is taken, however large it is.
    return [row[0] for row, total in zip(rows, running, strict=True) if total <= MAX_SAMPLES or row is rows[0]]


def _read_heads(cursor: psycopg.Cursor[Any], ids: Sequence[int]) -> Samples:
    cursor.execute("SELECT data FROM metrics_headblock WHERE id = ANY(%s) ORDER BY id", [list(ids)])
    return concatenate([head_block.decode(data) for (data,) in cursor])


def compact_once() -> Compacted:
    """Move one portion of head blocks into minute blocks, in one transaction; the caller holds the lock."""
    with raw_cursor() as cursor:
        ids = _head_ids(cursor)
        if not ids:
            return Compacted()
        samples = _read_heads(cursor, ids)
    with step() as cursor:
        rows = _minute_rows(cursor, samples)
        _write(cursor, RECENT, rows)
        gone = heads_forget(cursor, ids)
        if gone != len(ids):
            raise RuntimeError(f"{len(ids)} head blocks were packed but {gone} were there to delete")
        _touch_series(cursor, samples)
    return Compacted(len(ids), len(rows), samples.values.size)


def _metrics_of_groups(cursor: psycopg.Cursor[Any], samples: Samples) -> dict[int, int]:
    groups = distinct(samples.series_ids // group_block.SERIES_PER_GROUP).tolist()
    cursor.execute(
        "SELECT g, (SELECT metric_id FROM metrics_series WHERE id >= g * %s AND id < (g + 1) * %s LIMIT 1)"
        " FROM unnest(%s::bigint[]) AS g",
        [group_block.SERIES_PER_GROUP, group_block.SERIES_PER_GROUP, groups],
    )
    return {group: metric or 0 for group, metric in cursor}


@dataclasses.dataclass(frozen=True, slots=True)
class BlockRow:
    """One row of either table of blocks."""

    day: date
    id: int
    metric_id: int
    group_no: int
    level: int
    t_min: int
    t_max: int
    samples: int
    data: bytes


COLUMNS = ", ".join(field.name for field in dataclasses.fields(BlockRow))


def _minute_rows(cursor: psycopg.Cursor[Any], samples: Samples) -> list[BlockRow]:
    """Return a block for each group and window: none spans two, so that windows are packed one by one."""
    metrics = _metrics_of_groups(cursor, samples)
    parts = [
        (group_no, part)
        for group_no, all_times in group_block.split_groups(samples)
        for part in _split_windows(all_times)
    ]
    cursor.execute("SELECT nextval('metrics_groupblock_id') FROM generate_series(1, %s)", [len(parts)])
    ids = [row[0] for row in cursor]
    return [
        _row(block_id, metrics.get(group_no, 0), group_no, group_block.LEVEL_MINUTES, part)
        for block_id, (group_no, part) in zip(ids, parts, strict=True)
    ]


def _split_windows(samples: Samples) -> list[Samples]:
    first, last = int(np.min(samples.timestamps_ms)), int(np.max(samples.timestamps_ms))
    if first // WINDOW_MS == last // WINDOW_MS:
        return [samples]
    windows = samples.timestamps_ms // WINDOW_MS
    found = np.unique(windows).tolist()
    return [samples.take(windows == window) for window in found]


def _row(block_id: int, metric_id: int, group_no: int, level: int, samples: Samples) -> BlockRow:
    block, count = group_block.encode(samples, level=level)
    low, high = int(np.min(samples.timestamps_ms)), int(np.max(samples.timestamps_ms))
    return BlockRow(day_of(low), block_id, metric_id, group_no, level, low, high, count, block)


def _write(cursor: psycopg.Cursor[Any], table: str, rows: Sequence[BlockRow]) -> None:
    with cursor.copy(f"COPY {table} ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["date", "int8", "int8", "int8", "int2", "int8", "int8", "int4", "bytea"])
        for row in rows:
            copy.write_row(
                (row.day, row.id, row.metric_id, row.group_no, row.level, row.t_min, row.t_max, row.samples, row.data)
            )


def _touch_series(cursor: psycopg.Cursor[Any], samples: Samples) -> None:
    ids = distinct(samples.series_ids).tolist()
    # Once an hour is enough for the cardinality limit and spares the table.
    cursor.execute(
        "UPDATE metrics_series SET last_seen_at = console_now()"
        " WHERE id = ANY(%s) AND last_seen_at < console_now() - interval '1 hour'",
        [ids],
    )


def pack_windows(*, now_ms: int, limit: int = 200) -> int:
    """Join the blocks of a group within a closed window into one; returns how many windows were packed.

    However old a window is: backfill makes minute blocks in days that were packed long ago. Of an open window the
    minute blocks are joined once there are many.
    """
    closed_before = (now_ms - GRACE_MS) // WINDOW_MS * WINDOW_MS
    settled_before = now_ms - SETTLED_MS
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT day, group_no, t_min / %s AS hours, max(t_max) < %s FROM metrics_recentblock"
            " WHERE level = %s AND t_max < %s"
            " GROUP BY day, group_no, hours HAVING max(t_max) < %s OR count(*) >= %s LIMIT %s",
            [WINDOW_MS, closed_before, group_block.LEVEL_MINUTES, settled_before, closed_before, MANY_MINUTES, limit],
        )
        windows = cursor.fetchall()
    partitions_ensure({day for day, _, _, is_closed in windows if is_closed})
    for day, group_no, hours, is_closed in windows:
        with step() as cursor:
            end = (hours + 1) * WINDOW_MS if is_closed else settled_before
            _pack_window(cursor, day, group_no, (hours * WINDOW_MS, end - 1), is_closed=is_closed)
    return len(windows)


def _pack_window(
    cursor: psycopg.Cursor[Any], day: date, group_no: int, span: tuple[int, int], *, is_closed: bool
) -> None:
    recent = _locked(cursor, RECENT, day, group_no, span)
    if not is_closed:
        recent = [block for block in recent if block.level == group_block.LEVEL_MINUTES]
    packed = _locked(cursor, PACKED, day, group_no, span) if is_closed else []
    row = _joined([*recent, *packed], group_block.LEVEL_HOURS)
    _delete(cursor, RECENT, recent)
    _delete(cursor, PACKED, packed)
    stays = is_closed and len(row.data) >= SMALL_BYTES
    _write(cursor, PACKED if stays else RECENT, [row])


def _locked(cursor: psycopg.Cursor[Any], table: str, day: date, group_no: int, span: tuple[int, int]) -> list[BlockRow]:
    cursor.execute(
        f"SELECT {COLUMNS} FROM {table} WHERE day = %s AND group_no = %s"  # noqa: S608
        " AND t_min >= %s AND t_max <= %s FOR UPDATE",
        [day, group_no, *span],
    )
    return [BlockRow(*row) for row in cursor]


def _joined(blocks: Sequence[BlockRow], level: int) -> BlockRow:
    ordered = sorted(blocks, key=lambda block: block.id)
    latest = ordered[-1]
    parts = [group_block.decode(block.data, group_no=block.group_no) for block in ordered]
    return _row(latest.id, latest.metric_id, latest.group_no, level, concatenate(parts))


def _delete(cursor: psycopg.Cursor[Any], table: str, blocks: Sequence[BlockRow]) -> None:
    if not blocks:
        return
    cursor.execute(
        f"DELETE FROM {table} WHERE day = %s AND id = ANY(%s)",  # noqa: S608
        [blocks[0].day, [block.id for block in blocks]],
    )
    if cursor.rowcount != len(blocks):
        raise RuntimeError(f"{len(blocks)} blocks were packed but {cursor.rowcount} were there to delete")


def pack_days(*, now_ms: int, limit: int = 200) -> int:
    """Join the small windows of a group whose day is over into one block of the day; returns how many were made."""
    today = day_of((now_ms - GRACE_MS) // DAY_MS * DAY_MS)
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT day, group_no FROM metrics_recentblock WHERE day < %s"
            " GROUP BY day, group_no HAVING min(level) > %s LIMIT %s",
            [today, group_block.LEVEL_MINUTES, limit],
        )
        days = cursor.fetchall()
    partitions_ensure({day for day, _ in days})
    for day, group_no in days:
        with step() as cursor:
            _pack_day(cursor, day, group_no)
    return len(days)


def _pack_day(cursor: psycopg.Cursor[Any], day: date, group_no: int) -> None:
    recent = _locked(cursor, RECENT, day, group_no, ALL_TIMES)
    cursor.execute(
        "SELECT coalesce(sum(samples), 0) FROM metrics_groupblock WHERE day = %s AND group_no = %s", [day, group_no]
    )
    row = cursor.fetchone()
    total = sum(block.samples for block in recent) + (int(row[0]) if row else 0)
    if total > MAX_DAY_SAMPLES:
        _delete(cursor, RECENT, recent)
        _write(cursor, PACKED, recent)
        return
    packed = _locked(cursor, PACKED, day, group_no, ALL_TIMES)
    _delete(cursor, RECENT, recent)
    _delete(cursor, PACKED, packed)
    _write(cursor, PACKED, [_joined([*recent, *packed], group_block.LEVEL_DAY)])
