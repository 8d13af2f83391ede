# ruff: noqa: ARG001 - every selector takes the viewer; matchers per role come with per-component roles
"""Reading metrics: queries, labels, metadata, and how ingest is doing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Count, Q, Sum, TextField
from django.db.models.functions import Cast

from aivillage_console.lib.durations import format_ms
from metrics.models import MetadataEntry, Metric, RejectedRequest, ScrapePool, ScrapeTarget, TargetHealth
from metrics.promql.engine import Evaluation, evaluate
from metrics.promql.explaining import Measured, Tape
from metrics.promql.questions import selectors_of
from metrics.promql.rolling import NOTE, Roller
from metrics.promql.selection import Reader
from metrics.promql.spellings import Spelled
from metrics.promql.types import (
    STALE_NAN_BITS,
    Limits,
    Matcher,
    QueryError,
    QueryResult,
    SeriesColumns,
    SeriesSource,
)
from metrics.remote_store.choice import chosen_store
from metrics.store import statistics
from metrics.store.deadline import ending_within
from metrics.store.exemplars import MAX_SELECTED, Exemplar, exemplars_select
from metrics.store.postgres import STORE
from metrics.store.protocol import Period

QUERY_SECONDS = 15.0
FAMILY_PARTS = ("_bucket", "_count", "_sum", "_total")
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


@dataclass(slots=True)
class QueryWork:
    """What a query cost; filled while it runs."""

    samples: int = 0
    peak_samples: int = 0
    queue_seconds: float = 0.0
    reading_seconds: float = 0.0
    evaluation_seconds: float = 0.0


class _Counted:
    """A source that notes what is read from it."""

    def __init__(self, source: SeriesSource, work: QueryWork) -> None:
        self._source, self._work = source, work

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        begun = time.perf_counter()
        columns = self._source.select(matchers, t_min_ms, t_max_ms)
        self._work.reading_seconds += time.perf_counter() - begun
        self._work.samples += columns.values.size
        self._work.peak_samples = max(self._work.peak_samples, columns.values.size)
        return columns


def instant_query(
    query: str,
    *,
    at_ms: int,
    viewer: object = None,
    enforced_matchers: Sequence[Matcher] = (),
    limits: Limits | None = None,
    lookback_ms: int = 300_000,
    timeout_seconds: float = QUERY_SECONDS,
    work: QueryWork | None = None,
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
        work=work,
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
    work: QueryWork | None = None,
    walk: Callable[[Reader], Evaluation] | None = None,
) -> QueryResult:
    """Answer a query on a grid, both ends included; raises QueryError."""
    seconds = min(timeout_seconds, QUERY_SECONDS)
    asked_at = time.perf_counter()
    with _slot(), ending_within(seconds):
        begun_at = time.perf_counter()
        store = chosen_store()
        roller = Roller(start_ms, end_ms, lookback_ms, store.is_too_far)
        result = evaluate(
            query,
            start_ms=start_ms,
            end_ms=end_ms,
            step_ms=step_ms,
            source=Spelled(store) if work is None else _Counted(Spelled(store), work),
            lookback_ms=lookback_ms,
            limits=limits or Limits(),
            deadline=_deadline(seconds),
            enforced_matchers=enforced_matchers,
            experimental=settings.CONFIG.promql_experimental,
            walk=walk,
            rewrite=roller.rewrite,
        )
    if roller.used:
        result.infos.append(NOTE)
    if work is not None:
        work.queue_seconds = begun_at - asked_at
        work.evaluation_seconds = time.perf_counter() - begun_at
    return result


def explained_query(
    query: str, *, start_ms: int, end_ms: int, step_ms: int, viewer: object = None
) -> tuple[QueryResult, Tape]:
    """Answer a query and say what each of its nodes cost, read one after the other; raises QueryError."""
    tape = Tape(time.perf_counter)
    result = range_query(
        query,
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        viewer=viewer,
        work=QueryWork(),
        walk=lambda reader: Measured(reader, tape),
    )
    return result, tape


def exemplars_of(
    query: str, *, start_ms: int, end_ms: int, viewer: object = None
) -> list[tuple[dict[str, str], list[Exemplar]]]:
    """Return the exemplars of every series a query selects, by series and time; raises QueryError."""
    labels = {pk: labels for matchers in selectors_of(query) for pk, labels in STORE.identified(matchers)}
    found: dict[int, list[Exemplar]] = {}
    for row in exemplars_select(list(labels), start_ms, end_ms, MAX_SELECTED) if labels else ():
        found.setdefault(row.series_id, []).append(row)
    return [(labels[pk], rows) for pk, rows in found.items()]


def store_statistics(*, limit: int, viewer: object = None) -> statistics.StoreStatistics:
    """Return where the series are, the largest parts of each kind first."""
    STORE.refresh()
    return statistics.store_statistics(STORE.catalogue, limit=limit)


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
    store = chosen_store()
    found = {tuple(labels.items()): labels for matchers in matcher_sets for labels in store.series(matchers, period)}
    ordered = [found[key] for key in sorted(found)]
    return ordered[:limit] if limit else ordered


def label_names(
    matcher_sets: Sequence[Sequence[Matcher]] = ((),), *, period: Period | None = None, viewer: object = None
) -> list[str]:
    """Return the names of labels, sorted; a period is as coarse as for series."""
    store = chosen_store()
    return sorted({name for matchers in matcher_sets for name in store.label_names(matchers, period)})


def label_values(
    name: str,
    matcher_sets: Sequence[Sequence[Matcher]] = ((),),
    *,
    period: Period | None = None,
    viewer: object = None,
) -> list[str]:
    """Return the values of one label, sorted; a period is as coarse as for series."""
    store = chosen_store()
    return sorted({value for matchers in matcher_sets for value in store.label_values(name, matchers, period)})


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
class Declared:
    """What a sender said about a metric: the type and help of its family."""

    type: str = ""
    help: str = ""
    unit: str = ""


def declared(names: Sequence[str], *, viewer: object = None) -> dict[str, Declared]:
    """Return what is known of these metrics by their own name or, for parts of a histogram, by their family's."""
    families = {name: [name, *(name.removesuffix(part) for part in FAMILY_PARTS if name.endswith(part))]
                for name in names}  # fmt: skip
    wanted = {family for each in families.values() for family in each}
    rows = {row.family: row for row in MetadataEntry.objects.filter(family__in=wanted)} if wanted else {}
    found = {name: next((rows[family] for family in each if family in rows), None) for name, each in families.items()}
    return {name: Declared(row.type, row.help, row.unit) for name, row in found.items() if row is not None}


def series_counts(names: Sequence[str], *, viewer: object = None) -> dict[str, int]:
    """Return how many series each of these metrics has."""
    STORE.refresh()
    return {name: sum(found.rows.size for found in STORE.catalogue.find((Matcher("__name__", "=", name),)))
            for name in names}  # fmt: skip


def value_counts(metric: str, *, viewer: object = None) -> dict[str, int]:
    """Return how many values each label of a metric has."""
    STORE.refresh()
    return {label: len(STORE.catalogue.value_counts(found, label)[0])
            for found in STORE.catalogue.find((Matcher("__name__", "=", metric),))
            for label in list(found.columns.labels)}  # fmt: skip


def latest_samples(
    matcher_sets: Sequence[Sequence[Matcher]], *, at_ms: int, lookback_ms: int, viewer: object = None
) -> SeriesColumns:
    """Return the newest sample within the look-back of every series that any of the matcher sets takes, each once.

    Series whose newest sample says that they ended are left out.
    """
    labels: list[dict[str, str]] = []
    seen: set[tuple[tuple[str, str], ...]] = set()
    parts: list[tuple[SeriesColumns, list[int]]] = []
    with _slot():
        for matchers in matcher_sets:
            columns = chosen_store().select(matchers, at_ms - lookback_ms, at_ms)
            rows = []
            for index, found in enumerate(columns.labels):
                last = int(columns.offsets[index + 1]) - 1
                key = tuple(sorted(found.items()))
                if key not in seen and columns.values[last : last + 1].view(np.uint64)[0] != STALE_NAN_BITS:
                    seen.add(key)
                    labels.append(found)
                    rows.append(last)
            parts.append((columns, rows))
    return _joined(labels, parts)


def _joined(labels: list[dict[str, str]], parts: list[tuple[SeriesColumns, list[int]]]) -> SeriesColumns:
    histograms: list[object] = []
    for columns, rows in parts:
        histograms += [None] * len(rows) if columns.histograms is None else columns.histograms[rows].tolist()
    column = np.empty(len(histograms), np.object_)
    column[:] = histograms
    return SeriesColumns(
        labels,
        np.arange(len(labels) + 1, dtype=np.int64),
        np.concatenate([np.empty(0, np.int64), *(columns.timestamps_ms[rows] for columns, rows in parts)]),
        np.concatenate([np.empty(0), *(columns.values[rows] for columns, rows in parts)]),
        column,
    )


def samples_between(matchers: Sequence[Matcher], *, start_ms: int, end_ms: int, viewer: object = None) -> SeriesColumns:
    """Return the samples of matching series, both ends included, as they are stored."""
    with _slot():
        return chosen_store().select(matchers, start_ms, end_ms)


MOST_TARGETS = 10_000


@dataclass(frozen=True, slots=True)
class TargetShown:
    """One target as it is listed: what was discovered, what it became, and how its last scrape went."""

    scrape_pool: str
    discovered_labels: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    url: str = ""
    health: str = "unknown"
    last_error: str = ""
    last_scrape_at: datetime | None = None
    last_scrape_seconds: float = 0.0
    scrape_interval: str = ""
    scrape_timeout: str = ""


@dataclass(frozen=True, slots=True)
class TargetsState:
    """All targets: those that are scraped, those that relabelling dropped and their number by pool."""

    active: list[TargetShown] = field(default_factory=list)
    dropped: list[TargetShown] = field(default_factory=list)
    dropped_counts: dict[str, int] = field(default_factory=dict)


def targets_state(viewer: object = None) -> TargetsState:
    """Return what is scraped and what relabelling dropped, by pool; at most so many of them."""
    state = TargetsState()
    for row in ScrapeTarget.objects.select_related("pool").order_by("pool__name", "id")[:MOST_TARGETS]:
        if row.health == TargetHealth.DROPPED:
            state.dropped.append(_target_shown(row))
            state.dropped_counts[row.pool.name] = state.dropped_counts.get(row.pool.name, 0) + 1
        else:
            state.active.append(_target_shown(row))
    return state


def _target_shown(row: ScrapeTarget) -> TargetShown:
    return TargetShown(
        row.pool.name, row.discovered_labels, row.labels, row.scrape_url, row.health, row.last_error,
        row.last_scrape_at, row.last_duration_seconds, format_ms(row.interval_ms), format_ms(row.timeout_ms),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoolShown:
    """A pool with how many of its targets fare how."""

    pool: ScrapePool
    up: int
    down: int
    unknown: int
    dropped: int

    @property
    def active(self) -> int:
        """Targets that are scraped."""
        return self.up + self.down + self.unknown


def scrape_pools(viewer: object = None) -> list[PoolShown]:
    """Return the pools, by name, with their targets counted."""
    counted = {health: Count("targets", filter=Q(targets__health=health)) for health in TargetHealth.values}
    pools = ScrapePool.objects.annotate(**{f"n_{health}": count for health, count in counted.items()}).order_by("name")
    return [PoolShown(pool, **{health: getattr(pool, f"n_{health}") for health in counted}) for pool in pools]


def scrape_targets(
    *, pool: str = "", health: str = "", search: str = "", limit: int = 500, viewer: object = None
) -> list[ScrapeTarget]:
    """Return targets, the worst first; the search looks at addresses, labels and errors."""
    rows = ScrapeTarget.objects.select_related("pool").order_by("health", "pool__name", "scrape_url", "id")
    if pool:
        rows = rows.filter(pool__name=pool)
    rows = rows.filter(health=health) if health else rows.exclude(health=TargetHealth.DROPPED)
    if search:
        rows = rows.annotate(labels_text=Cast("labels", TextField())).filter(
            Q(scrape_url__icontains=search) | Q(labels_text__icontains=search) | Q(last_error__icontains=search)
        )
    return list(rows[:limit])


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
       + (SELECT coalesce(sum(samples), 0) FROM metrics_recentblock WHERE t_max > %(since)s
          AND t_min > %(since)s - 60000)
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
        series=Metric.objects.aggregate(Sum("series_count"))["series_count__sum"] or 0,
        newest_sample_at_ms=newest,
        lag_seconds=lag,
        head_blocks=blocks,
        head_samples=int(head_samples),
    )


def recent_rejections(limit: int = 50, *, viewer: object = None) -> list[RejectedRequest]:
    """Return the newest refused requests, newest first."""
    return list(RejectedRequest.objects.select_related("source").order_by("-pk")[:limit])
