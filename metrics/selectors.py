# ruff: noqa: ARG001 - every selector takes the viewer; matchers per role come with per-component roles
"""Reading metrics: queries, labels, metadata, and how ingest is doing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from metrics.models import MetadataEntry, RejectedRequest, Series
from metrics.promql.engine import evaluate
from metrics.promql.types import Limits, Matcher, QueryError, QueryResult
from metrics.store.postgres import STORE
from metrics.store.protocol import Period

QUERY_SECONDS = 15.0
CONCURRENT_QUERIES = 8
QUEUE_SECONDS = 5.0
_slots = threading.BoundedSemaphore(CONCURRENT_QUERIES)


class TooBusy(QueryError):
    """No free slot for a query within a few seconds."""


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=QUEUE_SECONDS):
        raise TooBusy(f"{CONCURRENT_QUERIES} queries are running, try again", kind="timeout")
    try:
        yield
    finally:
        _slots.release()


def _deadline(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def instant_query(
    query: str,
    *,
    at_ms: int,
    viewer: object = None,
    enforced_matchers: Sequence[Matcher] = (),
    limits: Limits | None = None,
    lookback_ms: int = 300_000,
    timeout_seconds: float = QUERY_SECONDS,
) -> QueryResult:
    """Answer a query at one moment; raises QueryError."""
    return range_query(
        query,
        start_ms=at_ms,
        end_ms=at_ms,
        step_ms=0,
        viewer=viewer,
        enforced_matchers=enforced_matchers,
        limits=limits,
        lookback_ms=lookback_ms,
        timeout_seconds=timeout_seconds,
    )


def range_query(
    query: str,
    *,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    viewer: object = None,
    enforced_matchers: Sequence[Matcher] = (),
    limits: Limits | None = None,
    lookback_ms: int = 300_000,
    timeout_seconds: float = QUERY_SECONDS,
) -> QueryResult:
    """Answer a query on a grid, both ends included; raises QueryError."""
    seconds = min(timeout_seconds, QUERY_SECONDS)
    with _slot():
        return evaluate(
            query,
            start_ms=start_ms,
            end_ms=end_ms,
            step_ms=step_ms,
            source=STORE,
            lookback_ms=lookback_ms,
            limits=limits or Limits(),
            deadline=_deadline(seconds),
            enforced_matchers=enforced_matchers,
        )


def series_matching(
    matcher_sets: Sequence[Sequence[Matcher]],
    *,
    period: Period | None = None,
    viewer: object = None,
    limit: int = 0,
) -> list[dict[str, str]]:
    """Return the label sets that any of the matcher sets takes, each once.

    A period leaves out series without samples in it; series are told apart by groups of 200 of one metric, so some
    neighbours without samples stay in.
    """
    found = {tuple(labels.items()): labels for matchers in matcher_sets for labels in STORE.series(matchers, period)}
    ordered = [found[key] for key in sorted(found)]
    return ordered[:limit] if limit else ordered


def label_names(
    matcher_sets: Sequence[Sequence[Matcher]] = ((),), *, period: Period | None = None, viewer: object = None
) -> list[str]:
    """Return the names of labels, sorted; a period is as coarse as for series."""
    return sorted({name for matchers in matcher_sets for name in STORE.label_names(matchers, period)})


def label_values(
    name: str,
    matcher_sets: Sequence[Sequence[Matcher]] = ((),),
    *,
    period: Period | None = None,
    viewer: object = None,
) -> list[str]:
    """Return the values of one label, sorted; a period is as coarse as for series."""
    return sorted({value for matchers in matcher_sets for value in STORE.label_values(name, matchers, period)})


def metric_names(*, viewer: object = None) -> list[str]:
    """Return the names of all metrics, sorted."""
    return label_values("__name__", viewer=viewer)


def metadata(*, metric: str = "", limit: int = 0, viewer: object = None) -> dict[str, list[dict[str, str]]]:
    """Return type, help and unit by metric family."""
    rows = MetadataEntry.objects.order_by("family")
    if metric:
        rows = rows.filter(family=metric)
    if limit:
        rows = rows[:limit]
    return {row.family: [{"type": row.type, "help": row.help, "unit": row.unit}] for row in rows}


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """How ingest is doing, for the Overview and Setup pages."""

    samples_per_second: float
    series: int
    newest_sample_at_ms: int | None
    lag_seconds: float | None
    head_blocks: int
    head_samples: int


# The newest rows of the head tell the rate; when it was just compacted the newest group blocks do.
_STATUS_SQL = """
SELECT (SELECT count(*) FROM metrics_headblock),
       (SELECT coalesce(sum(samples), 0) FROM metrics_headblock),
       greatest((SELECT max(t_max) FROM metrics_headblock),
                (SELECT max(t_max) FROM metrics_recentblock),
                (SELECT max(t_max) FROM metrics_groupblock WHERE day >= %(today)s - 1)),
       (SELECT coalesce(sum(samples), 0) FROM metrics_headblock WHERE t_max > %(since)s)
       + (SELECT coalesce(sum(samples), 0) FROM metrics_recentblock WHERE t_max > %(since)s AND t_min > %(since)s - 60000)
"""
RATE_WINDOW_SECONDS = 120


def ingest_status(*, now: datetime, viewer: object = None) -> IngestStatus:
    """Return rates over the last two minutes, and what is waiting to be compacted."""
    now_ms = int(now.timestamp() * 1000)
    values: dict[str, Any] = {"today": now.date(), "since": now_ms - RATE_WINDOW_SECONDS * 1000}
    with connection.cursor() as cursor:
        cursor.execute(_STATUS_SQL, values)
        blocks, head_samples, newest, recent = cursor.fetchone()
    lag = None if newest is None else (now_ms - newest) / 1000
    return IngestStatus(
        samples_per_second=float(recent) / RATE_WINDOW_SECONDS,
        series=Series.objects.count(),
        newest_sample_at_ms=newest,
        lag_seconds=lag,
        head_blocks=blocks,
        head_samples=int(head_samples),
    )


def recent_rejections(limit: int = 50, *, viewer: object = None) -> list[RejectedRequest]:
    """Return the newest refused requests, newest first."""
    return list(RejectedRequest.objects.select_related("source").order_by("-pk")[:limit])
