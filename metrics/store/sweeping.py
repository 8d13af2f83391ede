"""Removes the series that have no samples within their retention: marked first, gone later, forgotten at last.

The process with the compactor's lock does it, in slices of the table by id, so that no pass is long. Between the mark
and the removal lie all transactions that did not know of the mark, and the packing of all they wrote: a series that a
sample came for has a new `last_seen_at` by then and stays. What comes after the mark takes it away (store/fence.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from metrics.store.raw import raw_cursor
from metrics.store.retention import Kept

log = structlog.get_logger(__name__)
SLICE = 20_000
MOST_REMOVED = 5_000
# Days go whole and a little late, and series are seen only once an hour.
MARGIN = timedelta(days=2)
# How long the labels of a series that has gone are kept for a process that still writes under its id.
REMEMBERED = timedelta(days=30)
FENCE_ROW = "INSERT INTO metrics_seriesfence VALUES (1, 0, 0, 0, 0) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a pass did: series looked at and marked."""

    looked_at: int
    marked: int


def _cutoff(now: datetime, kept: Kept) -> datetime:
    return now - timedelta(days=max(kept.raw_days, kept.rollup_days)) - MARGIN


def mark_dead(*, now: datetime, kept: Mapping[int, Kept], default: Kept, limit: int = SLICE) -> Swept:
    """Look at the next series by id, and mark those that nothing came for since longer than it is kept."""
    soonest = max(_cutoff(now, one) for one in {default, *kept.values()})
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(FENCE_ROW)
        cursor.execute("SELECT swept_to FROM metrics_seriesfence WHERE id = 1 FOR UPDATE")
        begin = (cursor.fetchone() or (0,))[0]
        cursor.execute(
            "SELECT max(id), count(*) FROM (SELECT id FROM metrics_series WHERE id > %s ORDER BY id LIMIT %s) s",
            [begin, limit],
        )
        end, looked_at = cursor.fetchone() or (None, 0)
        # Once through, from the beginning.
        cursor.execute("UPDATE metrics_seriesfence SET swept_to = %s", [end if looked_at == limit else 0])
        if not looked_at:
            return Swept(0, 0)
        cursor.execute(
            "SELECT id, metric_id, last_seen_at FROM metrics_series WHERE id > %s AND id <= %s AND last_seen_at < %s",
            [begin, end, soonest],
        )
        dead = [row[0] for row in cursor if row[2] < _cutoff(now, kept.get(row[1], default))]
        return Swept(looked_at, _mark(dead) if dead else 0)


def _mark(ids: Sequence[int]) -> int:
    with raw_cursor() as cursor:
        cursor.execute("UPDATE metrics_seriesfence SET epoch = epoch + 1")
        cursor.execute(
            "INSERT INTO metrics_leavingseries (id, epoch, marked_xid, seen_at, labels, source_id)"
            " SELECT s.id, f.epoch, pg_current_xact_id()::text::bigint, s.last_seen_at, s.labels, s.source_id"
            " FROM metrics_series s, metrics_seriesfence f WHERE s.id = ANY(%s) ON CONFLICT DO NOTHING",
            [list(ids)],
        )
        return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Waiting:
    """Series that are marked, and the head block up to which all must be packed before they may go."""

    marked_xid: int
    head_id: int


def settled() -> Waiting | None:
    """Return what may go after packing; None without marks, or while somebody may not know of one."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT max(marked_xid) FROM metrics_leavingseries WHERE gone_xid IS NULL")
        (marked_xid,) = cursor.fetchone() or (None,)
        if marked_xid is None:
            return None
        # A snapshot from before the mark, or a transaction: nobody begins one of these again.
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " AND greatest(age(backend_xmin), age(backend_xid)) >= age(%s::text::xid8::xid))"
            " OR pg_snapshot_xmin(pg_current_snapshot()) <= %s::text::xid8",
            [str(marked_xid), str(marked_xid)],
        )
        if (cursor.fetchone() or (True,))[0]:
            return None
        cursor.execute("SELECT coalesce(max(id), 0) FROM metrics_headblock")
        return Waiting(marked_xid, (cursor.fetchone() or (0,))[0])


def remove_marked(waiting: Waiting) -> int:
    """Remove what was marked by then and has not been seen since, if all head blocks of before are packed."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM metrics_headblock WHERE id <= %s)", [waiting.head_id])
        if (cursor.fetchone() or (True,))[0]:
            return 0
    removed = 0
    while done := _remove_slice(waiting.marked_xid):
        removed += done
    if removed:
        log.info("series.removed", series=removed)
    return removed


@transaction.atomic
def _remove_slice(marked_xid: int) -> int:
    """Remove some series; returns how many."""
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT l.id, s.metric_id FROM metrics_leavingseries l LEFT JOIN metrics_series s USING (id)"
            " WHERE gone_xid IS NULL AND marked_xid <= %s ORDER BY l.id LIMIT %s",
            [marked_xid, MOST_REMOVED],
        )
        found = dict(cursor.fetchall())
        if not found:
            return 0
        # In the order in which series are registered: first their metrics, by name.
        cursor.execute(
            "SELECT id FROM metrics_metric WHERE id = ANY(%s) ORDER BY name FOR UPDATE",
            [sorted({metric for metric in found.values() if metric is not None})],
        )
        # Whoever is keeping one just now has its row; where they give up the next pass has it.
        cursor.execute(
            "SELECT id FROM metrics_leavingseries WHERE id = ANY(%s) AND gone_xid IS NULL"
            " ORDER BY id FOR UPDATE SKIP LOCKED",
            [list(found)],
        )
        ids = [row[0] for row in cursor]
        cursor.execute(
            "DELETE FROM metrics_leavingseries l USING metrics_series s WHERE s.id = l.id AND l.id = ANY(%s)"
            " AND s.last_seen_at > l.seen_at RETURNING l.id",
            [ids],
        )
        seen = {row[0] for row in cursor}
        return _delete([one for one in ids if one not in seen])


def _delete(ids: Sequence[int]) -> int:
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM metrics_series WHERE id = ANY(%s) RETURNING metric_id", [list(ids)])
        counts = Counter(row[0] for row in cursor)
        cursor.execute(
            "UPDATE metrics_leavingseries SET gone_xid = pg_current_xact_id()::text::bigint, gone_at = console_now()"
            " WHERE id = ANY(%s)",
            [list(ids)],
        )
        metrics = sorted(counts)
        cursor.execute(
            "UPDATE metrics_metric SET series_count = series_count - n FROM unnest(%s::bigint[], %s::int[]) AS r (i, n)"
            " WHERE id = i",
            [metrics, [counts[one] for one in metrics]],
        )
        # Their rows are locked: nobody registers a series of them meanwhile.
        cursor.execute(
            "DELETE FROM metrics_metric m WHERE id = ANY(%s)"
            " AND NOT EXISTS (SELECT FROM metrics_series WHERE metric_id = m.id) RETURNING id",
            [metrics],
        )
        empty = [row[0] for row in cursor]
        cursor.execute("DELETE FROM metrics_metricfigures WHERE metric_id = ANY(%s)", [empty])
        return len(ids)


@transaction.atomic
def forget_gone(*, now: datetime) -> int:
    """Forget the labels of series that went long ago; returns how many."""
    with raw_cursor() as cursor:
        cursor.execute(
            "WITH old AS (DELETE FROM metrics_leavingseries WHERE gone_at < %s RETURNING epoch, gone_xid)"
            " UPDATE metrics_seriesfence f SET forgotten_epoch = greatest(f.forgotten_epoch, o.epoch),"
            " forgotten_xid = greatest(f.forgotten_xid, o.xid)"
            " FROM (SELECT max(epoch), max(gone_xid), count(*) FROM old) AS o (epoch, xid, n)"
            " WHERE o.n > 0 RETURNING o.n",
            [now - REMEMBERED],
        )
        row = cursor.fetchone()
        return int(row[0]) if row else 0
