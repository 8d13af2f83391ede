"""Day partitions of the group blocks: made ahead of time, dropped when they are too old."""

from collections.abc import Iterable
from datetime import date, timedelta

from django.db import connection, transaction

PARENT = "metrics_groupblock"
AHEAD = timedelta(days=3)


def partition_name(day: date) -> str:
    """Return the table of one day."""
    return f"{PARENT}_{day:%Y%m%d}"


def partitions_existing() -> list[date]:
    """Return the days that have a partition, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [PARENT])
        suffixes = [row[0].rpartition("_")[2] for row in cursor.fetchall()]
    return sorted(date(int(text[:4]), int(text[4:6]), int(text[6:])) for text in suffixes)


def partitions_ensure(days: Iterable[date]) -> list[date]:
    """Make the partitions that are missing; returns those made.

    A table is made on its own and then attached, because that lock lets readers and writers of the parent go on.
    """
    missing = sorted(set(days) - set(partitions_existing()))
    with connection.cursor() as cursor:
        for day in missing:
            name = partition_name(day)
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {PARENT} INCLUDING ALL)")
            span = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
            cursor.execute(f"ALTER TABLE {PARENT} ATTACH PARTITION {name} FOR VALUES {span}")
    return missing


def partitions_drop_before(day: date) -> list[date]:
    """Drop every partition older than this day; returns those dropped."""
    old = [existing for existing in partitions_existing() if existing < day]
    for existing in old:
        # A reader that never ends must not hold up the compactor; the next hour tries again.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            cursor.execute(f"DROP TABLE {partition_name(existing)}")
    return old
