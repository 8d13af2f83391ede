"""Writes the roll-ups of days that are over; a part of the compactor, one transaction a block like every other step."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from metrics.store import group_block, rollup_block
from metrics.store.columns import Samples, concatenate
from metrics.store.compaction import DAY_MS, GRACE_MS, step
from metrics.store.listing import day_of
from metrics.store.partitions import partitions_existing
from metrics.store.raw import raw_cursor

Floats = npt.NDArray[np.float64]
# The newest block of each day when it was last found complete; a process begins by looking again.
_complete: dict[date, int] = {}


def forget_days() -> None:
    """Look at every day again."""
    _complete.clear()


def roll_days(*, now_ms: int, limit: int = 200) -> int:
    """Write the roll-ups that are missing, or older than a block of their day; returns how many were written."""
    today = day_of((now_ms - GRACE_MS) // DAY_MS * DAY_MS)
    written = 0
    for day in partitions_existing():
        if day < today and written < limit:
            written += _roll_day(day, limit - written)
    return written


def _roll_day(day: date, limit: int) -> int:
    with raw_cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM metrics_groupblock WHERE day = %s", [day])
        row = cursor.fetchone()
        newest = int(row[0]) if row else 0
        if _complete.get(day) == newest:
            return 0
        cursor.execute(
            "SELECT g.group_no FROM (SELECT group_no, max(id) AS id FROM metrics_groupblock WHERE day = %s"
            " GROUP BY group_no) g LEFT JOIN metrics_rollupblock r ON r.day = %s AND r.group_no = g.group_no"
            " WHERE g.id > coalesce(r.of_id, 0) LIMIT %s",
            [day, day, limit],
        )
        groups = [group for (group,) in cursor.fetchall()]
    for group_no in groups:
        with step() as cursor:
            _roll(cursor, day, group_no)
    if len(groups) < limit:
        _complete[day] = newest
    return len(groups)


def _roll(cursor: psycopg.Cursor[Any], day: date, group_no: int) -> None:
    cursor.execute(
        "SELECT id, metric_id, data FROM metrics_groupblock WHERE day = %s AND group_no = %s ORDER BY id",
        [day, group_no],
    )
    blocks = cursor.fetchall()
    samples = concatenate([group_block.decode(data, group_no=group_no) for _, _, data in blocks])
    rolled = rollup_block.encode(samples, _before(cursor, day, group_no))
    if rolled is None:
        # Nothing but stale markers: an empty block tells that the day was looked at.
        rolled = b"", 0
    cursor.execute(
        "INSERT INTO metrics_rollupblock (day, group_no, metric_id, of_id, samples, data)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (group_no, day)"
        " DO UPDATE SET of_id = excluded.of_id, samples = excluded.samples, data = excluded.data",
        [day, group_no, blocks[0][1], blocks[-1][0], rolled[1], rolled[0]],
    )


def _before(cursor: psycopg.Cursor[Any], day: date, group_no: int) -> Floats:
    """Return the last value each slot had the day before, so that a counter's fall at midnight is counted."""
    last = np.full(group_block.SERIES_PER_GROUP, np.nan)
    cursor.execute(
        "SELECT data FROM metrics_groupblock WHERE day = %s AND group_no = %s ORDER BY t_max DESC LIMIT 1",
        [day - timedelta(days=1), group_no],
    )
    row = cursor.fetchone()
    if row is None:
        return last
    samples: Samples = group_block.decode(row[0], group_no=group_no)
    # Sorted by series and time: of several assignments to a slot the last one stays.
    numbers = samples.take(~np.isnan(samples.values))
    last[numbers.series_ids % group_block.SERIES_PER_GROUP] = numbers.values
    return last
