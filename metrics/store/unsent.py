# ruff: noqa: S608 - what is joined into statements are constants of this file
"""What destinations of remote write have not been sent yet: head blocks, and those kept aside when they were packed.

Blocks are read in the order of (transaction, id), and only those of transactions older than any that still runs: what
commits late has a place that no cursor has passed. The compactor keeps aside the blocks that lie after a cursor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction

from metrics.store import head_block
from metrics.store.columns import Samples, concatenate, no_samples
from metrics.store.exemplars import Exemplar
from metrics.store.raw import raw_cursor

MOST_BLOCKS = 500
MOST_SAMPLES = 50_000
MOST_EXEMPLARS = 2_000
_HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_LIST = (
    "SELECT created_xid, id, samples FROM ("
    "SELECT created_xid, id, samples FROM metrics_headblock WHERE (created_xid, id) > (%s, %s)"
    " UNION ALL SELECT created_xid, id, samples FROM metrics_unsentblock WHERE (created_xid, id) > (%s, %s)"
    f") AS queue WHERE created_xid < {_HORIZON} ORDER BY created_xid, id"
)
Mark = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Portion:
    """Samples in the order they came, and the place after them."""

    samples: Samples
    mark: Mark
    blocks: int


def start_mark() -> Mark:
    """Return the place before which nothing is sent to a destination that begins now."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)")
        row = cursor.fetchone()
    return (int(row[0]) if row else 0), 1 << 62


def portion_read(mark: Mark, end: Mark | None = None) -> Portion | None:
    """Return the next samples after a place, as many as go together or up to another place; None without any."""
    with raw_cursor() as cursor:
        cursor.execute(f"{_LIST} LIMIT {MOST_BLOCKS}", [*mark, *mark])
        taken: list[tuple[int, int]] = []
        total = 0
        for xid, block_id, samples in cursor.fetchall():
            if (end is not None and (xid, block_id) > end) or (taken and total + samples > MOST_SAMPLES):
                break
            taken.append((xid, block_id))
            total += samples
        if not taken:
            return None
        ids = [block_id for _, block_id in taken]
        # Packed in between, a block is in the other table: one statement sees it in one of them.
        cursor.execute(
            "SELECT created_xid, id, data FROM (SELECT created_xid, id, data FROM metrics_headblock WHERE id = ANY(%s)"
            " UNION ALL SELECT created_xid, id, data FROM metrics_unsentblock WHERE id = ANY(%s)) AS queue"
            " ORDER BY created_xid, id",
            [ids, ids],
        )
        parts = [head_block.decode(data) for _, _, data in cursor]
    return Portion(concatenate(parts) if parts else no_samples(), taken[-1], len(taken))


def heads_forget(cursor: psycopg.Cursor[Any], ids: Sequence[int]) -> int:
    """Delete head blocks that were packed, keeping aside what a destination waits for; returns how many there were."""
    cursor.execute(
        "SELECT cursor_xid, cursor_id FROM metrics_remotetarget WHERE enabled ORDER BY cursor_xid, cursor_id LIMIT 1"
    )
    first = cursor.fetchone()
    if first is not None:
        cursor.execute(
            "INSERT INTO metrics_unsentblock (id, created_xid, samples, data, kept_at)"
            " SELECT id, created_xid, samples, data, console_now() FROM metrics_headblock"
            " WHERE id = ANY(%s) AND (created_xid, id) > (%s, %s)",
            [list(ids), *first],
        )
    cursor.execute("DELETE FROM metrics_headblock WHERE id = ANY(%s)", [list(ids)])
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of samples on their way to a destination."""

    sent: int = 0
    failed: int = 0


def mark_pending(target: UUID, mark: Mark) -> None:
    """Note where the portion ends that is about to be sent."""
    with raw_cursor() as cursor:
        cursor.execute(
            "UPDATE metrics_remotetarget SET pending_xid = %s, pending_id = %s WHERE id = %s", [*mark, target]
        )


def mark_advance(target: UUID, mark: Mark, tally: Tally, *, now: datetime) -> None:
    """Note that a destination has everything up to a place."""
    with raw_cursor() as cursor:
        cursor.execute(
            "UPDATE metrics_remotetarget SET sent_samples = sent_samples + %s, failed_samples = failed_samples + %s,"
            " last_sent_at = CASE WHEN %s > 0 THEN %s ELSE last_sent_at END, failing_since = NULL,"
            " pending_xid = NULL, pending_id = NULL,"
            " cursor_xid = CASE WHEN (cursor_xid, cursor_id) < (%s, %s) THEN %s ELSE cursor_xid END,"
            " cursor_id = CASE WHEN (cursor_xid, cursor_id) < (%s, %s) THEN %s ELSE cursor_id END WHERE id = %s",
            [tally.sent, tally.failed, tally.sent, now, *mark, mark[0], *mark, mark[1], target],
        )


def waiting(mark: Mark) -> int:
    """Return how many samples lie after a place."""
    with raw_cursor() as cursor:
        cursor.execute(f"SELECT coalesce(sum(samples), 0)::bigint FROM ({_LIST}) AS queue", [*mark, *mark])
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def exemplars_after(xid: int) -> tuple[list[Exemplar], int]:
    """Return exemplars of transactions after this one, whole transactions, and the last of these."""
    with raw_cursor() as cursor:
        cursor.execute(
            "WITH rows AS (SELECT created_xid, series_id, at_ms, value, labels FROM metrics_exemplar"
            f" WHERE created_xid > %s AND created_xid < {_HORIZON} ORDER BY created_xid LIMIT %s)"
            " SELECT series_id, at_ms, value, labels, created_xid FROM metrics_exemplar"
            " WHERE created_xid > %s AND created_xid <= (SELECT max(created_xid) FROM rows)"
            " ORDER BY series_id, at_ms",
            [xid, MOST_EXEMPLARS, xid],
        )
        found = cursor.fetchall()
    return [Exemplar(*row[:4]) for row in found], max((row[4] for row in found), default=xid)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Samples that a destination will never be sent, because they waited too long or too many did."""

    target: str
    samples: int


def trim(*, oldest: datetime, max_bytes: int) -> list[Dropped]:
    """Delete what every destination has, and the oldest of what waits beyond these bounds."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(
            "DELETE FROM metrics_unsentblock u WHERE NOT EXISTS (SELECT FROM metrics_remotetarget t"
            " WHERE t.enabled AND (t.cursor_xid, t.cursor_id) < (u.created_xid, u.id))"
        )
        cursor.execute(
            "SELECT created_xid, id FROM (SELECT created_xid, id, kept_at,"
            " sum(octet_length(data)) OVER (ORDER BY created_xid DESC, id DESC) AS bytes FROM metrics_unsentblock) AS q"
            " WHERE bytes > %s OR kept_at < %s ORDER BY created_xid DESC, id DESC LIMIT 1",
            [max_bytes, oldest],
        )
        mark = cursor.fetchone()
        if mark is None:
            return []
        cursor.execute(
            "WITH lost AS (SELECT t.id, sum(u.samples) AS samples FROM metrics_remotetarget t"
            " JOIN metrics_unsentblock u ON (u.created_xid, u.id) > (t.cursor_xid, t.cursor_id)"
            " WHERE t.enabled AND (u.created_xid, u.id) <= (%s, %s) GROUP BY t.id)"
            " UPDATE metrics_remotetarget t SET cursor_xid = %s, cursor_id = %s,"
            " dropped_samples = dropped_samples + lost.samples FROM lost WHERE t.id = lost.id"
            " RETURNING t.name, lost.samples::bigint",
            [*mark, *mark],
        )
        dropped = [Dropped(*row) for row in cursor.fetchall()]
        cursor.execute("DELETE FROM metrics_unsentblock WHERE (created_xid, id) <= (%s, %s)", list(mark))
    return dropped


def restart_after_restore() -> int:
    """Bring blocks and cursors of another cluster into this one's time; returns how many destinations it moved.

    A dump that is restored elsewhere brings transaction numbers that are still to come there.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        ahead = "> pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        cursor.execute(
            "UPDATE metrics_remotetarget SET cursor_xid = 0, cursor_id = 0, exemplar_xid = 0,"
            " pending_xid = NULL, pending_id = NULL"
            f" WHERE cursor_xid {ahead} OR exemplar_xid {ahead}"
        )
        moved = cursor.rowcount
        if moved:
            for table in ("metrics_headblock", "metrics_unsentblock", "metrics_exemplar"):
                cursor.execute(f"UPDATE {table} SET created_xid = 1 WHERE created_xid {ahead}")
        return moved
