"""What the tables of the store hold, counted by PostgreSQL within a time limit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from django.db import OperationalError, connection, transaction

from metrics.store.compaction import ADVISORY_LOCK
from metrics.store.group_block import LEVEL_MINUTES

COUNTING_MS = 4_000
# Heads and roll-ups have no level of their own.
LEVEL_HEAD, LEVEL_ROLLUP = 0, 4


class TooSlow(Exception):
    """Counting took longer than a page may wait."""


@dataclass(frozen=True, slots=True)
class SeriesCount:
    """Series: all, those that came since a moment, and those that are active."""

    series: int = 0
    new: int = 0
    active: int = 0


@dataclass(frozen=True, slots=True)
class Stored:
    """Samples in blocks and the bytes these take, without what PostgreSQL adds."""

    blocks: int = 0
    samples: int = 0
    data_bytes: int = 0

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(
            self.blocks + other.blocks, self.samples + other.samples, self.data_bytes + other.data_bytes
        )  # fmt: skip

    @property
    def bytes_per_sample(self) -> float | None:
        """Bytes a sample takes, None where there is none."""
        return self.data_bytes / self.samples if self.samples else None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its indexes and side tables, partitions taken together."""

    name: str
    total_bytes: int
    rows: int
    parts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the compactor has before it, and whether it runs."""

    running: bool
    head: Stored
    oldest_head_ms: int | None
    packed_until_ms: int | None
    windows: int
    days: int

    @property
    def packed_until_seconds(self) -> float | None:
        """The time of the newest packed sample of the last hours."""
        return None if self.packed_until_ms is None else self.packed_until_ms / 1000


@contextmanager
def counting() -> Iterator[Any]:
    """Yield a cursor whose statements end after some seconds; raises TooSlow then."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(COUNTING_MS)])
            yield cursor
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise TooSlow from error
        raise


ALL_BLOCKS = """(SELECT day, level, metric_id, samples, octet_length(data) AS size FROM metrics_groupblock
 UNION ALL SELECT day, level, metric_id, samples, octet_length(data) FROM metrics_recentblock
 UNION ALL SELECT day, 4, metric_id, 0, octet_length(data) FROM metrics_rollupblock) b"""


def stored_by_level(classes: Mapping[int, int]) -> dict[tuple[date, int, int], Stored]:
    """Return what blocks hold by day, level and class; `classes` maps metrics to theirs, the others are of class 0."""
    statement = (
        "SELECT b.day, b.level, coalesce(m.no, 0), count(*), sum(b.samples), sum(b.size)"  # noqa: S608
        f" FROM {ALL_BLOCKS} LEFT JOIN unnest(%s::bigint[], %s::int[]) AS m(id, no) ON m.id = b.metric_id"
        " GROUP BY 1, 2, 3"
    )
    with counting() as cursor:
        cursor.execute(statement, [list(classes), list(classes.values())])
        return {(day, level, no): Stored(*map(int, counts)) for day, level, no, *counts in cursor.fetchall()}


def tables() -> list[Table]:
    """Return the tables of metrics, the largest first; rows are PostgreSQL's estimate."""
    with counting() as cursor:
        cursor.execute(
            "SELECT coalesce(p.relname, c.relname), sum(pg_total_relation_size(c.oid)), sum(greatest(c.reltuples, 0)),"
            " count(*) FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
            " LEFT JOIN pg_class p ON p.oid = i.inhparent WHERE c.relkind = 'r' AND c.relname LIKE 'metrics\\_%%'"
            " AND c.relnamespace = current_schema()::regnamespace GROUP BY 1 ORDER BY 2 DESC, 1",
            [],
        )
        return [Table(name, int(size), int(rows), parts) for name, size, rows, parts in cursor.fetchall()]


def waiting(*, closed_before_ms: int, today: date) -> Waiting:
    """Return what the compactor has before it."""
    with counting() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [ADVISORY_LOCK],
        )
        running = bool(cursor.fetchone()[0])
        cursor.execute(
            "SELECT count(*), coalesce(sum(samples), 0), coalesce(sum(octet_length(data)), 0),"
            " (SELECT t_max FROM metrics_headblock ORDER BY id LIMIT 1) FROM metrics_headblock"
        )
        *head, oldest_ms = cursor.fetchone()
        cursor.execute(
            "SELECT max(t_max), count(DISTINCT group_no) FILTER (WHERE level = %s AND t_max < %s),"
            " count(DISTINCT day) FILTER (WHERE day < %s) FROM metrics_recentblock",
            [LEVEL_MINUTES, closed_before_ms, today],
        )
        packed_until_ms, windows, days = cursor.fetchone()
    return Waiting(running, Stored(*map(int, head)), oldest_ms, packed_until_ms, windows, days)


def total(parts: Sequence[Stored]) -> Stored:
    """Return the sum of some."""
    return sum(parts, Stored())
