"""The store as `bench.compactor_kills` looks at it; imported once Django is set up."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import DatabaseError, InterfaceError, connection

from metrics.domain import fingerprint, series_labels
from metrics.models import Series
from metrics.promql.types import Matcher
from metrics.store import compaction, rolling
from metrics.store.columns import Samples
from metrics.store.postgres import PostgresStore
from metrics.store.series import series_create

METRIC = "killed_total"
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def series(count: int) -> Ints:
    """Register so many series and return their ids."""
    labels = [series_labels([("__name__", METRIC), ("place", f"{place:03d}")]) for place in range(count)]
    keys = [fingerprint(pairs) for pairs in labels]
    ids = series_create(dict(zip(keys, labels, strict=True)), source_id=None, now=datetime.now(UTC))
    return np.array([ids[key] for key in keys])


def append(ids: Ints, times: Ints, values: Floats) -> bool:
    """Store as a door does, waiting for the disk; false where it was not acknowledged."""
    try:
        PostgresStore().append(Samples(ids, times, values), durable=True)
    except (DatabaseError, InterfaceError):
        connection.close()
        return False
    return True


def empty(tables: Sequence[str]) -> None:
    """Forget all samples."""
    rolling.forget_days()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - names of this bench


def read(begin_ms: int, end_ms: int) -> tuple[dict[tuple[int, int], float], int]:
    """Return what a query finds, by series and time, and how many samples the blocks hold between them."""
    found: dict[tuple[int, int], float] = {}
    ids = {labels["place"]: int(series_id) for series_id, labels in _places()}
    columns = PostgresStore().select([Matcher("__name__", "=", METRIC)], begin_ms, end_ms)
    for place, labels in enumerate(columns.labels):
        part = slice(columns.offsets[place], columns.offsets[place + 1])
        times, values = columns.timestamps_ms[part].tolist(), columns.values[part].tolist()
        one = ids[dict(labels)["place"]]
        found.update(zip(((one, at) for at in times), values, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(samples)::bigint FROM (SELECT samples FROM metrics_headblock UNION ALL"
            " SELECT samples FROM metrics_recentblock UNION ALL SELECT samples FROM metrics_groupblock) b"
        )
        return found, int(cursor.fetchone()[0] or 0)


def _places() -> list[tuple[int, dict[str, str]]]:
    rows: list[Any] = list(Series.objects.filter(metric__name=METRIC).values_list("id", "labels"))
    return rows


def rolled_samples() -> int:
    """Return how many samples the roll-ups stand for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(samples), 0)::bigint FROM metrics_rollupblock")
        return int(cursor.fetchone()[0])


def do_all(names: Sequence[str], now_ms: int) -> None:
    """Do these steps of the compactor, each until there is nothing left."""
    steps: dict[str, Callable[[], int]] = {
        "compact_once": lambda: compaction.compact_once().head_blocks,
        "pack_windows": lambda: compaction.pack_windows(now_ms=now_ms),
        "pack_days": lambda: compaction.pack_days(now_ms=now_ms),
        "roll_days": lambda: rolling.roll_days(now_ms=now_ms),
    }
    for name in names:
        while steps[name]():
            pass


def let_go() -> None:
    """Close this thread's connection, which may be broken."""
    connection.close()


def compactor_at_work() -> bool:
    """Tell whether a process holds the compactor's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted)",
            [compaction.ADVISORY_LOCK],
        )
        return bool(cursor.fetchone()[0])


_COPY = (
    "INSERT INTO metrics_headblock (t_min, t_max, samples, data)"
    " SELECT t_min, t_max, samples, data FROM metrics_headblock ORDER BY id LIMIT 1"
)


_DELETE = "DELETE FROM metrics_headblock WHERE data = (SELECT data FROM metrics_headblock ORDER BY id LIMIT 1)"


def repeat_a_head() -> None:
    """Store a head block once more, as a compactor might that has done a step by half."""
    with connection.cursor() as cursor:
        cursor.execute(_COPY)


def forget_two_heads() -> None:
    """Delete the block that was repeated, both times."""
    with connection.cursor() as cursor:
        cursor.execute(_DELETE)
