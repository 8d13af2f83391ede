"""What each metric holds and costs, counted by the compactor and kept: a page that shows it scans nothing.

Counting is a pass over all series and one over all blocks without their data. How often depends on how long it took, so
that it never takes more than a hundredth of the time.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.db import OperationalError, connection, transaction

from metrics.models import Metric, MetricFigures
from metrics.store.inventory import ALL_BLOCKS
from metrics.store.series_limit import ACTIVE

NEW = timedelta(days=1)
EVERY = timedelta(minutes=5)
# At most this share of the time is spent on counting.
SHARE = 0.01
COUNTING_MS = 120_000
DAYS = 30
UNCOUNTED_AT_ONCE = 500
FIELDS = (
    "counted_at", "new", "active", "first_new_id", "blocks", "samples", "data_bytes", "sources", "days", "stored_days",
)  # fmt: skip


@dataclass(slots=True)
class _Figures:
    new: int = 0
    active: int = 0
    first_new_id: int | None = None
    stored: list[int] = field(default_factory=lambda: [0, 0, 0])
    sources: dict[str, list[int]] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    stored_days: dict[str, list[int]] = field(default_factory=dict)


def figures_count(*, now: datetime) -> float:
    """Count all metrics and keep what was found; returns the seconds it took, which may have been too many to end."""
    begun = time.monotonic()
    found: dict[int, _Figures] = {}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(COUNTING_MS)])
            _count_series(cursor, found, now)
            _count_blocks(cursor, found)
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise
        return time.monotonic() - begun
    MetricFigures.objects.bulk_create(
        [_row(metric_id, one, now) for metric_id, one in sorted(found.items())],
        update_conflicts=True, unique_fields=["metric_id"], update_fields=FIELDS, batch_size=500,
    )  # fmt: skip
    MetricFigures.objects.filter(counted_at__lt=now).delete()
    return time.monotonic() - begun


def next_count_at(counted_at: datetime, took_seconds: float) -> datetime:
    """Return when to count again."""
    return counted_at + max(EVERY, timedelta(seconds=took_seconds / SHARE))


def _count_series(cursor: Any, found: dict[int, _Figures], now: datetime) -> None:
    since = now - NEW
    cursor.execute(
        "SELECT metric_id, source_id::text, (created_at AT TIME ZONE 'UTC')::date::text, count(*),"
        " count(*) FILTER (WHERE created_at > %s), count(*) FILTER (WHERE last_seen_at > %s),"
        " min(id) FILTER (WHERE created_at > %s) FROM metrics_series GROUP BY 1, 2, 3",
        [since, now - ACTIVE, since],
    )
    first_day = (now - timedelta(days=DAYS)).date().isoformat()
    for metric_id, source, day, series, new, active, first in cursor:
        one = found.setdefault(metric_id, _Figures())
        one.new, one.active = one.new + new, one.active + active
        if first is not None:
            one.first_new_id = first if one.first_new_id is None else min(first, one.first_new_id)
        own = one.sources.setdefault(source or "", [0, 0, 0])
        own[:] = [own[0] + series, own[1] + new, own[2] + active]
        if day >= first_day:
            one.days[day] = one.days.get(day, 0) + series


def _count_blocks(cursor: Any, found: dict[int, _Figures]) -> None:
    cursor.execute(f"SELECT metric_id, day::text, count(*), sum(samples), sum(size) FROM {ALL_BLOCKS} GROUP BY 1, 2")  # noqa: S608
    for metric_id, day, *counts in cursor:
        one = found.setdefault(metric_id, _Figures())
        one.stored_days[day] = [int(count) for count in counts]
        one.stored = [have + int(more) for have, more in zip(one.stored, counts, strict=True)]


def _row(metric_id: int, one: _Figures, now: datetime) -> MetricFigures:
    blocks, samples, data_bytes = one.stored
    return MetricFigures(
        metric_id=metric_id, counted_at=now, new=one.new, active=one.active, first_new_id=one.first_new_id,
        blocks=blocks, samples=samples, data_bytes=data_bytes, sources=one.sources, days=one.days,
        stored_days=one.stored_days,
    )  # fmt: skip


def uncounted_count() -> int:
    """Count the series of metrics from before their number was kept, each behind its lock; returns how many."""
    metrics = list(Metric.objects.filter(series_count=None).values_list("pk", flat=True)[:UNCOUNTED_AT_ONCE])
    for pk in metrics:
        with transaction.atomic(), connection.cursor() as cursor:
            # Who registers series of it waits; a statement of its own sees what the last one has committed.
            cursor.execute("SELECT id FROM metrics_metric WHERE id = %s FOR UPDATE", [pk])
            cursor.execute(
                "UPDATE metrics_metric m SET series_count ="
                " (SELECT count(*) FROM metrics_series WHERE metric_id = m.id) WHERE id = %s",
                [pk],
            )
    return len(metrics)
