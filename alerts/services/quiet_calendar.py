"""When it is quiet: silences and recurring times between two moments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.times import TimeInterval
from alerts.engine.occurrences import Window, gaps, upcoming, windows
from alerts.models import MuteTime, Silence
from alerts.services.quieting import intervals_of

MOST_SILENCES, MOST_TIMES = 500, 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One stretch of quiet, and what keeps it."""

    kind: str  # silence or mute.
    id: UUID
    name: str
    window: Window


def entries(start_at: datetime, end_at: datetime) -> list[Entry]:
    """Return all quiet between two moments, in order of its beginning."""
    rows = Silence.objects.filter(starts_at__lt=end_at, ends_at__gt=start_at).order_by("starts_at")[:MOST_SILENCES]
    found = [
        Entry("silence", row.pk, row.reason, Window(max(row.starts_at, start_at), min(row.ends_at, end_at)))
        for row in rows
    ]
    for times in MuteTime.objects.filter(enabled=True).order_by("name")[:MOST_TIMES]:
        held = windows(_intervals(times), start_at, end_at)
        quiet = gaps(held, start_at, end_at) if times.tells_inside else held
        found += [Entry("mute", times.pk, times.name, window) for window in quiet]
    return sorted(found, key=lambda each: (each.window.start_at, each.window.end_at))


def next_of(row: MuteTime, now: datetime, count: int = 10) -> list[Window]:
    """Return the windows of a mute time that run or come next."""
    return upcoming(_intervals(row), now, count)


def runs_at(row: MuteTime, at: datetime) -> bool:
    """Tell whether people are not told of its alerts at a moment."""
    return row.enabled and any(each.contains(at) for each in _intervals(row)) is not row.tells_inside


def next_of_rows(rows: list[Any], now: datetime, count: int = 10) -> list[Window]:
    """Return the next windows of intervals that are not stored; raises BadConfig."""
    return upcoming(intervals_of(rows), now, count)


def _intervals(row: MuteTime) -> Sequence[TimeInterval]:
    try:
        return intervals_of(row.intervals)
    except BadConfig:
        # Every door checks them; a zone may be gone with a newer list of zones.
        return ()
