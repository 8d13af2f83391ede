# ruff: noqa: ARG001 - every selector takes the viewer; matchers per role come with per-component roles
"""Which metrics, labels and sources make the series."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.conf import settings

from aivillage_console.accounts.models import Source
from metrics.inventory.held import Look, held
from metrics.store import cardinality, inventory
from metrics.store.cardinality import MetricLabels, MetricSize
from metrics.store.inventory import SeriesCount, SeriesCounts, Stored
from metrics.store.postgres import STORE

# As the limit of a source counts them.
ACTIVE = timedelta(hours=25)
NEW = timedelta(days=1)
DAYS = 14
NEAR_SHARE = 0.8
TOP_VALUES = 50


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric with what it costs; None where that could not be counted."""

    name: str
    series: int
    labels: int
    share_percent: float
    new: int | None
    active: int | None
    samples: int | None
    data_bytes: int | None


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source and how near its limit of active series it is."""

    name: str
    active: int
    new: int
    limit: int
    limited: bool

    @property
    def percent(self) -> float:
        """Active series as percent of the limit."""
        return 100 * self.active / max(1, self.limit)

    @property
    def is_near(self) -> bool:
        """Whether new series will soon be refused."""
        return self.limited and self.percent >= 100 * NEAR_SHARE


@dataclass(frozen=True, slots=True)
class DayRow:
    """The series that came on a day, and how many there were at its end."""

    day: date
    new: int
    total: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All metrics; `missing` names what could not be counted in time, `stale` what is older than it should be."""

    rows: list[MetricRow]
    sources: list[SourceRow]
    days: list[DayRow]
    series: int
    new: int | None
    active: int | None
    label_values: list[tuple[str, int]]
    at: datetime
    missing: list[str]
    stale: list[str]


@dataclass(frozen=True, slots=True)
class MetricDetail:
    """One metric: its labels, sources and days."""

    name: str
    labels: MetricLabels
    count: SeriesCount | None
    stored: Stored | None
    stored_days: list[tuple[date, Stored]]
    sources: list[SourceRow]
    days: list[DayRow]
    at: datetime
    missing: list[str]


def _sizes() -> list[MetricSize]:
    STORE.refresh()
    return cardinality.metric_sizes(STORE.catalogue)


def sizes() -> Look[list[MetricSize]]:
    """Return the size of every metric."""
    look = held("sizes", _sizes)
    assert look is not None, "the catalogue is in memory"  # noqa: S101 - nothing there takes a query's time limit
    return look


def stored() -> Look[dict[int, Stored]] | None:
    """Return what the packed blocks of each metric hold."""
    return held("stored", inventory.stored_by_metric)


def _counts(now: datetime, metric_id: int | None = None) -> Look[SeriesCounts] | None:
    return held(
        ("counts", metric_id),
        lambda: inventory.series_counts(since=now - NEW, active_since=now - ACTIVE, metric_id=metric_id),
    )


def overview(*, now: datetime, viewer: object = None) -> Overview:
    """Return all metrics, sources and days; largest metrics first."""
    known, counts, blocks = sizes(), _counts(now), stored()
    total = sum(size.series for size in known.value)
    by_metric = counts.value.by_metric if counts else {}
    rows = [_row(size, total, by_metric if counts else None, blocks.value if blocks else None) for size in known.value]
    looks = {"new series and sources": counts, "bytes and samples": blocks}
    labels: dict[str, int] = {}
    for size in known.value:
        for label, values in size.labels.items():
            labels[label] = max(labels.get(label, 0), values)
    return Overview(
        rows=sorted(rows, key=lambda row: (-row.series, row.name)),
        sources=_sources(counts.value.by_source) if counts else [],
        days=_days(counts.value.by_day, now.date()) if counts else [],
        series=total,
        new=sum(count.new for count in by_metric.values()) if counts else None,
        active=sum(count.active for count in by_metric.values()) if counts else None,
        label_values=sorted(labels.items(), key=lambda pair: (-pair[1], pair[0])),
        at=min([known.at, *(look.at for look in looks.values() if look)]),
        missing=[name for name, look in looks.items() if look is None],
        stale=[name for name, look in looks.items() if look and look.is_stale],
    )


def _row(
    size: MetricSize, total: int, counts: Mapping[int, SeriesCount] | None, blocks: Mapping[int, Stored] | None
) -> MetricRow:
    count = None if counts is None else counts.get(size.metric_id, SeriesCount())
    held_by_it = None if blocks is None else blocks.get(size.metric_id, Stored())
    return MetricRow(
        size.name, size.series, len(size.labels), 100 * size.series / max(1, total),
        None if count is None else count.new, None if count is None else count.active,
        None if held_by_it is None else held_by_it.samples, None if held_by_it is None else held_by_it.data_bytes,
    )  # fmt: skip


def _limit() -> int:
    return int(settings.CONFIG.ingest_series_per_source)


def _sources(counts: Mapping[UUID | None, SeriesCount]) -> list[SourceRow]:
    names = dict(Source.objects.filter(pk__in=[pk for pk in counts if pk]).values_list("pk", "name"))
    limit = _limit()
    rows = [
        SourceRow(names.get(pk, "") if pk else "", count.active, count.new, limit, pk in names)
        for pk, count in counts.items()
    ]
    return sorted(rows, key=lambda row: (-row.active, row.name))


def _days(by_day: Mapping[date, int], today: date) -> list[DayRow]:
    """Return the last days, the oldest first."""
    there = sum(by_day.values())
    rows = []
    for back in range(DAYS):
        day = today - timedelta(days=back)
        rows.append(DayRow(day, by_day.get(day, 0), there))
        there -= by_day.get(day, 0)
    return rows[::-1]


def metric_detail(name: str, *, now: datetime, viewer: object = None) -> MetricDetail | None:
    """Return one metric whole, None where there is none of this name."""
    size = next((size for size in sizes().value if size.name == name), None)
    if size is None:
        return None
    labels = held(("labels", name), lambda: cardinality.metric_labels(STORE.catalogue, name, limit=TOP_VALUES))
    if labels is None or labels.value is None:
        return None
    counts = _counts(now, size.metric_id)
    blocks = held(("stored", size.metric_id), lambda: inventory.stored_by_day(size.metric_id))
    looks = {"new series and sources": counts, "bytes and samples": blocks}
    return MetricDetail(
        name=name,
        labels=labels.value,
        count=counts.value.by_metric.get(size.metric_id, SeriesCount()) if counts else None,
        stored=inventory.total(list(blocks.value.values())) if blocks else None,
        stored_days=sorted(blocks.value.items())[-DAYS:] if blocks else [],
        sources=_sources(counts.value.by_source) if counts else [],
        days=_days(counts.value.by_day, now.date()) if counts else [],
        at=labels.at,
        missing=[what for what, look in looks.items() if look is None],
    )
