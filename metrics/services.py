"""Changing metrics: appending samples from inside, clean-up, retention."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction

from aivillage_console.accounts.models import Source
from metrics.domain import Rejection, SeriesBatch
from metrics.ingest.deltas import totals_forget
from metrics.ingest.push_groups import groups_repeat
from metrics.ingest.refusals import rejection_record
from metrics.ingest.rows import MetricRow, gate, write_rows
from metrics.ingest.sampling import MOST_RULES
from metrics.ingest.windows import Window
from metrics.ingest.writer import store_samples, write_series
from metrics.models import IngestBatch
from metrics.promql.types import STALE_NAN
from metrics.registry import IngestContext
from metrics.store import compaction, figures, partitions, retention, rolling, sweeping
from metrics.store.columns import Samples
from metrics.store.exemplars import exemplars_drop_before
from metrics.store.series import series_labels_by_id

BATCH_KEPT = timedelta(days=7)
# Head blocks come first: what waits here costs queries a little, what waits there costs them more.
PACKING_SECONDS = 20.0
PACKED_AT_ONCE = 200


def samples_append(
    rows: Sequence[MetricRow], *, source: Source, now: datetime, backfill: bool = False
) -> list[Rejection]:
    """Store rows made inside the console (recording rules, probes); returns those that were refused."""
    context = IngestContext(source.pk, source.name, now, backfill)
    with transaction.atomic():
        return write_rows(list(enumerate(rows)), context)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a result: how many samples are stored, the first reason why not all, and which series it has."""

    samples: int
    refused: str
    series: bytes


def result_append(
    batch: SeriesBatch, *, source: Source, now: datetime, before: bytes = b"", at_ms: int | None = None
) -> Appended:
    """Store what a recording rule computed, whatever its age; with `at_ms`, series of `before` that it lacks end there.

    `before` is the `series` of an earlier answer. Samples and stale markers are one transaction; the same timestamps
    again are written over.
    """
    times = batch.timestamps_ms
    window = Window(int(np.min(times)), int(np.max(times))) if times.size else Window(0, 0)
    with transaction.atomic():
        written = write_series(batch, source_id=source.pk, gate=gate(), window=window, now=now)
        series = np.unique(written.series_ids[written.series_ids >= MOST_RULES])
        gone = np.setdiff1d(np.frombuffer(before, np.int64), series)
        if gone.size and at_ms is not None:
            # A rule that was off for long has series of before that are there no more.
            gone = np.array(sorted(series_labels_by_id(gone.tolist())), np.int64)
        if gone.size and at_ms is not None:
            stale = Samples(gone, np.full(gone.size, at_ms, np.int64), np.full(gone.size, STALE_NAN))
            store_samples(stale, Window(at_ms, at_ms))
    refused = [f"{count} samples were not stored: {reason}" for reason, count in written.refused.items()]
    return Appended(written.samples + written.histograms, next(iter(refused), ""), series.tobytes())


def refused_request_keep(
    *, door: str, status: int, reason: str, source_id: UUID | None, ip: str | None, excerpt: str, now: datetime
) -> None:
    """Keep what a door of another app refused, for the Setup page; a flood is thinned out."""
    rejection_record(door=door, status=status, reason=reason, source_id=source_id, ip=ip, excerpt=excerpt, at=now)


def pushed_groups_repeat() -> int:
    """Write the samples of pushed groups again, so that a query finds them until they are deleted."""
    return groups_repeat()


def partitions_prepare(*, now: datetime) -> None:
    """Make the partitions of the coming days."""
    today = now.date()
    partitions.partitions_ensure(today + timedelta(days=offset) for offset in range(-1, partitions.AHEAD.days + 1))


def retention_apply(*, now: datetime) -> int:
    """Drop days beyond the retention and batches beyond their week; returns the number of days dropped."""
    config = settings.CONFIG
    default = retention.Kept(config.retention_days, config.rollup_retention_days)
    kept = retention.kept_by_metric(default, config.retention_classes)
    dropped = retention.raw_drop(now.date(), kept, default)
    retention.rollups_drop(now.date(), kept)
    exemplars_drop_before(int((now - timedelta(days=config.exemplar_retention_days)).timestamp() * 1000))
    IngestBatch.objects.filter(received_at__lt=now - BATCH_KEPT).delete()
    totals_forget(now=now)
    return len(dropped)


def series_sweep(*, now: datetime) -> int:
    """Remove the series that were marked as dead and stayed so, and mark others; returns how many went.

    The caller holds the compactor's lock. Where another engine keeps the samples nothing is known of who is dead.
    """
    config = settings.CONFIG
    if config.metrics_store_url:
        return 0
    removed = 0
    waiting = sweeping.settled()
    if waiting is not None:
        compaction_run(now=now)
        removed = sweeping.remove_marked(waiting)
    default = retention.Kept(config.retention_days, config.rollup_retention_days)
    kept = retention.kept_by_metric(default, config.retention_classes)
    sweeping.mark_dead(now=now, kept=kept, default=default)
    sweeping.forget_gone(now=now)
    return removed


def figures_keep(*, now: datetime) -> datetime:
    """Count what the pages of cardinality show; returns when to count again."""
    figures.uncounted_count()
    return figures.next_count_at(now, figures.figures_count(now=now))


@dataclass(frozen=True, slots=True)
class CompactionRun:
    """What a run of the compactor did."""

    head_blocks: int
    group_blocks: int
    samples: int
    windows: int


def compaction_run(*, now: datetime) -> CompactionRun:
    """Pack all head blocks there are, then closed windows; the caller holds the compactor's lock."""
    heads = groups = samples = 0
    while (done := compaction.compact_once()).head_blocks:
        heads, groups, samples = heads + done.head_blocks, groups + done.group_blocks, samples + done.samples
        if done.head_blocks < compaction.MAX_HEADS:
            break
    windows = _pack(now_ms=int(now.timestamp() * 1000))
    return CompactionRun(heads, groups, samples, windows)


def _pack(*, now_ms: int) -> int:
    """Pack windows, then days that are over, then roll those up; what a run has no time for is the next one's."""
    ends_at_seconds = time.monotonic() + PACKING_SECONDS
    packed = 0
    for pack in (compaction.pack_windows, compaction.pack_days, rolling.roll_days):
        while time.monotonic() < ends_at_seconds:
            done = pack(now_ms=now_ms, limit=PACKED_AT_ONCE)
            packed += done
            if done < PACKED_AT_ONCE:
                break
    return packed
