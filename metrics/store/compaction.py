"""The one writer of group blocks: takes head blocks, writes group blocks, deletes exactly what it took."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from django.db import connection, transaction

from metrics.store import group_block, head_block
from metrics.store.columns import Samples, concatenate
from metrics.store.partitions import partitions_ensure
from metrics.store.postgres import day_of
from metrics.store.raw import raw_cursor

ADVISORY_LOCK = 7_241_001
MAX_HEADS = 4_000
MAX_SAMPLES = 4_000_000
DAY_MS = 86_400_000
WINDOW_MS = 2 * 3_600_000
# A window is packed once live samples can no longer fall into it.
WINDOW_GRACE_MS = 2 * 3_600_000


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
    """Move one portion of head blocks into group blocks, in one transaction; the caller holds the lock."""
    with raw_cursor() as cursor:
        ids = _head_ids(cursor)
        if not ids:
            return Compacted()
        samples = _read_heads(cursor, ids)
    days = np.unique(samples.timestamps_ms // DAY_MS).tolist()
    partitions_ensure({day_of(day * DAY_MS) for day in days})
    with transaction.atomic(), raw_cursor() as cursor:
        rows = _encode(samples, _metrics_of_groups(cursor, samples))
        _write(cursor, rows)
        cursor.execute("DELETE FROM metrics_headblock WHERE id = ANY(%s)", [ids])
        if cursor.rowcount != len(ids):
            raise RuntimeError(f"{len(ids)} head blocks were packed but {cursor.rowcount} were there to delete")
        _touch_series(cursor, samples)
    return Compacted(len(ids), len(rows), samples.values.size)


def _metrics_of_groups(cursor: psycopg.Cursor[Any], samples: Samples) -> dict[int, int]:
    groups = np.unique(samples.series_ids // group_block.SERIES_PER_GROUP).tolist()
    cursor.execute(
        "SELECT g, (SELECT metric_id FROM metrics_series WHERE id >= g * %s AND id < (g + 1) * %s LIMIT 1)"
        " FROM unnest(%s::bigint[]) AS g",
        [group_block.SERIES_PER_GROUP, group_block.SERIES_PER_GROUP, groups],
    )
    return {group: metric or 0 for group, metric in cursor}


BlockRow = tuple[Any, ...]


def _encode(samples: Samples, metrics: dict[int, int]) -> list[BlockRow]:
    rows = []
    for group_no, part in group_block.split_groups(samples):
        for day, daily in _split_days(part):
            rows.append(_row(day, metrics.get(group_no, 0), group_no, group_block.LEVEL_MINUTES, daily))
    return rows


def _split_days(samples: Samples) -> list[tuple[int, Samples]]:
    days = samples.timestamps_ms // DAY_MS
    found = np.unique(days).tolist()
    if len(found) == 1:
        return [(found[0], samples)]
    return [(day, samples.take(days == day)) for day in found]


def _row(day: int, metric_id: int, group_no: int, level: int, samples: Samples) -> BlockRow:
    block, count = group_block.encode(samples)
    low, high = int(np.min(samples.timestamps_ms)), int(np.max(samples.timestamps_ms))
    return (day_of(day * DAY_MS), metric_id, group_no, level, low, high, count, block)


def _write(cursor: psycopg.Cursor[Any], rows: Sequence[BlockRow]) -> None:
    columns = "day, metric_id, group_no, level, t_min, t_max, samples, data"
    with cursor.copy(f"COPY metrics_groupblock ({columns}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["date", "int8", "int8", "int2", "int8", "int8", "int4", "bytea"])
        for row in rows:
            copy.write_row(row)


def _touch_series(cursor: psycopg.Cursor[Any], samples: Samples) -> None:
    ids = np.unique(samples.series_ids).tolist()
    # Once an hour is enough for the cardinality limit and spares the table.
    cursor.execute(
        "UPDATE metrics_series SET last_seen_at = console_now()"
        " WHERE id = ANY(%s) AND last_seen_at < console_now() - interval '1 hour'",
        [ids],
    )


def pack_windows(*, now_ms: int, limit: int = 200) -> int:
    """Join the minute blocks of closed two-hour windows into one block a group; returns how many were made.

    However old a window is: backfill makes minute blocks in days that were packed long ago.
    """
    closed_before = (now_ms - WINDOW_GRACE_MS) // WINDOW_MS * WINDOW_MS
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT day, group_no, t_min / %s AS hours FROM metrics_groupblock WHERE level = %s AND t_max < %s"
            " AND t_min / %s = t_max / %s GROUP BY day, group_no, hours LIMIT %s",
            [WINDOW_MS, group_block.LEVEL_MINUTES, closed_before, WINDOW_MS, WINDOW_MS, limit],
        )
        windows = cursor.fetchall()
    for day, group_no, hours in windows:
        _pack_window(day, group_no, hours)
    return len(windows)


def _pack_window(day: Any, group_no: int, hours: int) -> None:
    low, high = hours * WINDOW_MS, (hours + 1) * WINDOW_MS - 1
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(
            "SELECT id, metric_id, data FROM metrics_groupblock WHERE day = %s AND group_no = %s"
            " AND t_min >= %s AND t_max <= %s ORDER BY id FOR UPDATE",
            [day, group_no, low, high],
        )
        blocks = cursor.fetchall()
        samples = concatenate([group_block.decode(data, group_no=group_no) for _, _, data in blocks])
        row = _row(low // DAY_MS, blocks[0][1], group_no, group_block.LEVEL_HOURS, samples)
        _write(cursor, [row])
        cursor.execute(
            "DELETE FROM metrics_groupblock WHERE day = %s AND id = ANY(%s)", [day, [block[0] for block in blocks]]
        )
