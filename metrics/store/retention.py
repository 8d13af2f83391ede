"""What is too old goes: whole days where nobody keeps them longer, else the blocks of the metrics of a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import re2
from django.db import connection

from metrics.models import Metric
from metrics.store.partitions import partition_name, partitions_drop_before, partitions_existing

SLICE = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """Days that raw samples and roll-ups are kept."""

    raw_days: int
    rollup_days: int


def kept_by_metric(default: Kept, classes: Sequence[str]) -> dict[int, Kept]:
    """Return for each metric how long it is kept: as the first class says whose pattern matches its whole name.

    A class is written `pattern=raw days/roll-up days`; one that is not is left out, the check of settings tells of it.
    """
    known = [(parsed[0], parsed[1]) for one in classes if (parsed := parse_class(one)) is not None]
    return {
        pk: next((kept for pattern, kept in known if pattern.search(name)), default)
        for pk, name in Metric.objects.values_list("pk", "name").iterator()
    }


def parse_class(text: str) -> tuple[Any, Kept] | None:
    """Return (pattern, how long) of a class as it is written in the setting, None where it is written wrongly."""
    pattern, _, days = text.rpartition("=")
    raw, _, rolled = days.partition("/")
    try:
        return re2.compile(f"^(?s:{pattern})$"), Kept(int(raw), int(rolled or raw))
    except (ValueError, re2.error):
        return None


def raw_drop(today: date, kept: dict[int, Kept], default: Kept) -> list[date]:
    """Drop the days nobody keeps, and from the others the metrics kept shorter; returns the days dropped."""
    longest = max([default.raw_days, *(one.raw_days for one in kept.values())])
    dropped = partitions_drop_before(today - timedelta(days=longest))
    for day in partitions_existing():
        age_days = (today - day).days
        old = [pk for pk, one in kept.items() if one.raw_days < age_days]
        if old:
            _delete(f"DELETE FROM {partition_name(day)} WHERE metric_id = ANY(%s)", [old])  # noqa: S608
    return dropped


def rollups_drop(today: date, kept: dict[int, Kept]) -> None:
    """Delete roll-ups that are too old, a slice a statement."""
    by_days: dict[int, list[int]] = {}
    for pk, one in kept.items():
        by_days.setdefault(one.rollup_days, []).append(pk)
    for days, metrics in by_days.items():
        before = today - timedelta(days=days)
        while _delete(
            "DELETE FROM metrics_rollupblock WHERE ctid = ANY(ARRAY(SELECT ctid FROM metrics_rollupblock"
            " WHERE day < %s AND metric_id = ANY(%s) LIMIT %s))",
            [before, metrics, SLICE],
        ):
            pass


def _delete(statement: str, values: Sequence[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
