# ruff: noqa: ARG001 - every selector takes the viewer; matchers per role come with per-component roles
"""Which metrics, labels and sources make the series."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings

from aivillage_console.accounts.models import Source
from metrics.inventory.held import Look, held
from metrics.models import MetricFigures
from metrics.store import cardinality, inventory
from metrics.store.cardinality import MetricLabels, MetricSize
from metrics.store.inventory import SeriesCount, Stored
from metrics.store.postgres import STORE

DAYS = 14
# The compactor counts every few minutes; figures older than this say that it does not.
OLD = timedelta(hours=1)
FIGURES = "new series, samples and bytes"
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
    labels: list["LabelRow"]
    at: datetime
    missing: list[str]
    stale: list[str]


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A label over all metrics: most values within one, series that have it, and the bytes of these."""

    name: str
    values: int
    series: int
    data_bytes: int | None


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


def overview(*, now: datetime, viewer: object = None) -> Overview:
    """Return all metrics, sources and days; largest metrics first."""
    known = sizes()
    look = held("figures", lambda: {row.metric_id: row for row in MetricFigures.objects.defer("stored_days")})
    figures = look.value if look else {}
    total = sum(size.series for size in known.value)
    rows = [_row(size, total, figures.get(size.metric_id)) for size in known.value]
    counted_at = min((row.counted_at for row in figures.values()), default=None)
    there = counted_at is not None
    return Overview(
        rows=sorted(rows, key=lambda row: (-row.series, row.name)),
        sources=_sources(list(figures.values())),
        days=_days(_added(row.days for row in figures.values()), total, now.date()) if there else [],
        series=total,
        new=sum(row.new for row in figures.values()) if there else None,
        active=sum(row.active for row in figures.values()) if there else None,
        labels=_labels(known.value, figures),
        at=min(known.at, counted_at or known.at),
        missing=[] if there else [FIGURES],
        stale=[FIGURES] if counted_at is not None and now - counted_at > OLD else [],
    )


def _row(size: MetricSize, total: int, row: MetricFigures | None) -> MetricRow:
    """Return a metric; one that came since the last count has no figures yet."""
    return MetricRow(
        size.name, size.series, len(size.labels), 100 * size.series / max(1, total),
        None if row is None else row.new, None if row is None else row.active,
        None if row is None else row.samples, None if row is None else row.data_bytes,
    )  # fmt: skip


def _labels(known: list[MetricSize], figures: Mapping[int, MetricFigures]) -> list[LabelRow]:
    values: dict[str, int] = {}
    series: dict[str, int] = {}
    data_bytes: dict[str, float] = {}
    for size in known:
        row = figures.get(size.metric_id)
        for label, count in size.labels.items():
            values[label] = max(values.get(label, 0), count)
            series[label] = series.get(label, 0) + size.having[label]
            share = size.having[label] / max(1, size.series)
            data_bytes[label] = data_bytes.get(label, 0.0) + (share * row.data_bytes if row else 0.0)
    rows = [LabelRow(name, values[name], series[name], round(data_bytes[name]) if figures else None) for name in values]
    return sorted(rows, key=lambda row: (-row.values, row.name))


def _added(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    whole: dict[str, int] = {}
    for part in parts:
        for key, count in part.items():
            whole[key] = whole.get(key, 0) + count
    return whole


def _limit() -> int:
    return int(settings.CONFIG.ingest_series_per_source)


def _sources(figures: Sequence[MetricFigures]) -> list[SourceRow]:
    counts: dict[str, list[int]] = {}
    for row in figures:
        for source, (series, new, active) in row.sources.items():
            own = counts.setdefault(source, [0, 0, 0])
            own[:] = [own[0] + series, own[1] + new, own[2] + active]
    names = {
        str(pk): name for pk, name in Source.objects.filter(pk__in=filter(None, counts)).values_list("pk", "name")
    }  # fmt: skip
    limit = _limit()
    rows = [
        SourceRow(names.get(source, ""), active, new, limit, source in names)
        for source, (_, new, active) in counts.items()
    ]
    return sorted(rows, key=lambda row: (-row.active, row.name))


def _days(by_day: Mapping[str, int], there: int, today: date) -> list[DayRow]:
    """Return the last days, the oldest first; `there` is how many series there are now."""
    rows = []
    for back in range(DAYS):
        day = today - timedelta(days=back)
        new = by_day.get(day.isoformat(), 0)
        rows.append(DayRow(day, new, there))
        there -= new
    return rows[::-1]


def metric_detail(name: str, *, now: datetime, viewer: object = None) -> MetricDetail | None:
    """Return one metric whole, None where there is none of this name."""
    size = next((size for size in sizes().value if size.name == name), None)
    if size is None:
        return None
    look = held(("figures", size.metric_id), lambda: MetricFigures.objects.filter(pk=size.metric_id).first())
    row = look.value if look else None
    first_new_id = row.first_new_id if row else None
    labels = held(
        ("labels", name),
        lambda: cardinality.metric_labels(STORE.catalogue, name, limit=TOP_VALUES, first_new_id=first_new_id),
    )
    if labels is None or labels.value is None:
        return None
    days = [(date.fromisoformat(day), Stored(*part)) for day, part in row.stored_days.items()] if row else []
    return MetricDetail(
        name=name,
        labels=labels.value,
        count=SeriesCount(size.series, row.new, row.active) if row else None,
        stored=inventory.total([part for _, part in days]) if row else None,
        stored_days=sorted(days)[-DAYS:],
        sources=_sources([row]) if row else [],
        days=_days(row.days, size.series, now.date()) if row else [],
        at=min(labels.at, row.counted_at) if row else labels.at,
        missing=[] if row else [FIGURES],
    )
