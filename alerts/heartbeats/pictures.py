"""The strip of a job's last reports: a bar each, its form and colour by what was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from alerts.engine.heartbeats.standing import PingKind

BARS = 30
STEP, WIDTH, HEIGHT = 5, 4, 14
# Of each job its newest reports, by the index of that name.
NEWEST = """
SELECT job.id, ping.number, ping.at, ping.kind, ping.exit_status, ping.duration_ms
FROM unnest(%(ids)s::uuid[]) AS job(id) CROSS JOIN LATERAL (
    SELECT number, at, kind, exit_status, duration_ms FROM alerts_ping
    WHERE job_id = job.id ORDER BY at DESC, number DESC LIMIT %(bars)s) ping
ORDER BY job.id, ping.number
"""
HEIGHTS = {PingKind.START: 6, PingKind.LOG: 4, PingKind.PAUSED: 4, PingKind.RESUMED: 4}


@dataclass(frozen=True, slots=True)
class Bar:
    """One report."""

    x: int
    y: int
    height: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The last reports of a job, the newest on the right."""

    bars: Sequence[Bar]
    words: str
    width: int = BARS * STEP
    height: int = HEIGHT


def strips(ids: Sequence[UUID]) -> dict[UUID, Strip]:
    """Return the strip of each job that ever reported."""
    rows: dict[UUID, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST, {"ids": list(ids), "bars": BARS})
        for key, *row in cursor.fetchall():
            rows.setdefault(key, []).append(tuple(row))
    return {key: _strip(each) for key, each in rows.items()}


def _strip(rows: Sequence[tuple[Any, ...]]) -> Strip:
    bars = [_bar(place, row) for place, row in enumerate(rows)]
    failed = sum(row[2] == PingKind.FAIL for row in rows)
    ended = sum(row[2] in (PingKind.SUCCESS, PingKind.FAIL) for row in rows)
    return Strip(bars, f"{ended} of the last {len(rows)} reports ended a run, {failed} of them failed")


def _bar(place: int, row: tuple[Any, ...]) -> Bar:
    number, at, kind, exit_status, duration_ms = row
    height = HEIGHTS.get(kind, HEIGHT)
    took = f", took {duration_ms / 1000:.3g} s" if duration_ms is not None else ""
    status = f" with exit status {exit_status}" if exit_status else ""
    title = f"#{number} {kind}{status} at {at:%Y-%m-%d %H:%M:%S} UTC{took}"
    return Bar(place * STEP, HEIGHT - height, height, kind, title)
