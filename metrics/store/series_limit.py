"""How many active series a source may have, for all processes together: one row a source, taken last of all locks.

Who registers series adds them to the row in the same transaction, so that two that register at once follow one another
there; the row is counted anew each minute, behind the same lock. Known series are never refused: only new ones take.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction

from metrics.store.raw import raw_cursor

ACTIVE = timedelta(hours=25)
RECOUNT = timedelta(seconds=60)
_READ = "SELECT series, counted_at FROM metrics_sourceseries WHERE source_id = %s"
_COUNT = (
    "UPDATE metrics_sourceseries SET counted_at = %s, series ="
    " (SELECT count(*) FROM metrics_series WHERE source_id = %s AND last_seen_at > %s) WHERE source_id = %s"
)


def series_active(source_id: UUID, *, now: datetime) -> int:
    """Return how many active series a source has, as counted within the last minute and added to since."""
    with raw_cursor() as cursor:
        cursor.execute(_READ, [source_id])
        row = cursor.fetchone()
        if row is not None and _is_fresh(row[1], now):
            return int(row[0])
    with transaction.atomic(), raw_cursor() as cursor:
        return _locked(cursor, source_id, now)


def places_take(source_id: UUID, wanted: int, *, most: int, now: datetime) -> int:
    """Add new series to those of a source until this transaction ends; returns how many may be, the first of them."""
    with raw_cursor() as cursor:
        # The lock is held until the caller commits: it comes last, when the rows are written already.
        taken = min(wanted, max(0, most - _locked(cursor, source_id, now)))
        cursor.execute("UPDATE metrics_sourceseries SET series = series + %s WHERE source_id = %s", [taken, source_id])
        return taken


def _is_fresh(counted_at: datetime | None, now: datetime) -> bool:
    return counted_at is not None and abs(now - counted_at) < RECOUNT


def _locked(cursor: psycopg.Cursor[Any], source_id: UUID, now: datetime) -> int:
    """Return the count behind the lock, made anew where it is old: all who added to it have committed or given up."""
    cursor.execute(f"{_READ} FOR UPDATE", [source_id])
    row = cursor.fetchone()
    if row is None:
        cursor.execute(
            "INSERT INTO metrics_sourceseries (source_id, series) VALUES (%s, 0) ON CONFLICT DO NOTHING", [source_id]
        )
        return _locked(cursor, source_id, now)
    if _is_fresh(row[1], now):
        return int(row[0])
    cursor.execute(_COUNT, [now, source_id, now - ACTIVE, source_id])
    cursor.execute(_READ, [source_id])
    return int((cursor.fetchone() or (0,))[0])
