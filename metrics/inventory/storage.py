# ruff: noqa: ARG001 - every selector takes the viewer; matchers per role come with per-component roles
"""What metrics take on disk, by table, day, level and class; what goes when, and how long the disk lasts."""

import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings

from metrics.inventory.held import Look, held
from metrics.models import Metric
from metrics.store import inventory
from metrics.store.compaction import DAY_MS, GRACE_MS, WINDOW_MS
from metrics.store.group_block import LEVEL_DAY, LEVEL_HOURS, LEVEL_MINUTES
from metrics.store.inventory import LEVEL_HEAD, LEVEL_ROLLUP, Stored, Table, Waiting
from metrics.store.listing import day_of
from metrics.store.retention import Kept, parse_class

LEVELS = {
    LEVEL_DAY: "whole days", LEVEL_HOURS: "2 hours", LEVEL_MINUTES: "minutes", LEVEL_HEAD: "not packed yet",
    LEVEL_ROLLUP: "roll-ups",
}  # fmt: skip
SHOWN_DAYS = 30
SHOWN_DROPS = 14
RATE_DAYS = 7
# A head this old tells that the compactor does not keep up; it packs every minute.
LATE_SECONDS = 300.0
# As `ingest.limits.DiskGuard` has it, which a room below may not ask.
FLOOR_BYTES = 2 << 30
FLOOR_SHARE = 0.15
# The pattern as written, compiled, and how long its metrics are kept.
Class = tuple[str, Any, Kept]
ByKind = dict[tuple[date, int, int], Stored]


@dataclass(frozen=True, slots=True)
class DayStored:
    """One day: what each level holds of it."""

    day: date
    levels: dict[int, Stored]

    @property
    def total(self) -> Stored:
        """All levels; the samples are those that are there raw."""
        return inventory.total(list(self.levels.values()))


@dataclass(frozen=True, slots=True)
class ClassStored:
    """A retention class with what it holds and when its oldest day goes; the default has no pattern."""

    pattern: str
    raw_days: int
    rollup_days: int
    metrics: int
    raw: Stored
    rollups: Stored
    oldest: date | None
    next_drop: date | None


@dataclass(frozen=True, slots=True)
class Drop:
    """What will be dropped on a day."""

    on: date
    of: date
    pattern: str
    what: str
    data_bytes: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of the state directory; below `floor_bytes` free, doors refuse telemetry."""

    total_bytes: int
    free_bytes: int
    floor_bytes: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a day costs now, and where that leads; `is_rough` where no whole day was seen yet."""

    bytes_per_day: float
    overhead: float
    steady_bytes: float
    days_left: float | None
    is_rough: bool


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage page; `missing` names what could not be counted in time."""

    tables: list[Table]
    days: list[DayStored]
    classes: list[ClassStored]
    drops: list[Drop]
    waiting: Waiting | None
    lag_seconds: float | None
    disk: Disk | None
    forecast: Forecast | None
    stored: Stored
    at: datetime
    missing: list[str]
    stale: list[str]

    @property
    def total_bytes(self) -> int:
        """All tables with their indexes."""
        return sum(table.total_bytes for table in self.tables)

    @property
    def levels(self) -> dict[str, Stored]:
        """What each level holds, by its name."""
        return {
            name: inventory.total([day.levels[level] for day in self.days if level in day.levels])
            for level, name in LEVELS.items()
        }

    @property
    def is_late(self) -> bool:
        """Whether the compactor does not keep up."""
        return self.lag_seconds is not None and self.lag_seconds > LATE_SECONDS


def storage(*, now: datetime, viewer: object = None) -> Storage:
    """Return what metrics take on disk."""
    classes = [one for text in _written_classes() if (one := _class(text)) is not None]
    of_metric, sizes = _class_of_metrics(classes)
    tables = held("tables", inventory.tables)
    blocks = held(("levels", tuple(sorted(of_metric.items()))), lambda: inventory.stored_by_level(of_metric))
    waiting = held("waiting", lambda: _waiting(now))
    looks: dict[str, Look[Any] | None] = {"tables": tables, "blocks": blocks, "compactor": waiting}
    by_kind: ByKind = blocks.value if blocks else {}
    queue = waiting.value if waiting else None
    sizes_of_tables = tables.value if tables else []
    days = _days(by_kind, queue, now)
    rows = _classes(classes, sizes, by_kind)
    disk = _disk()
    lag = None
    if queue is not None and queue.oldest_head_ms is not None:
        lag = max(0.0, now.timestamp() - queue.oldest_head_ms / 1000)
    return Storage(
        tables=sizes_of_tables, days=days, classes=rows, drops=_drops(rows, by_kind, now.date()),
        waiting=queue, lag_seconds=lag, disk=disk, forecast=_forecast(days, sizes_of_tables, rows, disk, now),
        stored=inventory.total([day.total for day in days]),
        at=min([now, *(look.at for look in looks.values() if look)]),
        missing=[name for name, look in looks.items() if look is None],
        stale=[name for name, look in looks.items() if look and look.is_stale],
    )  # fmt: skip


def _written_classes() -> list[str]:
    return list(settings.CONFIG.retention_classes)


def _class(text: str) -> Class | None:
    parsed = parse_class(text)
    return None if parsed is None else (text.rpartition("=")[0], *parsed)


def _class_of_metrics(classes: list[Class]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the number of the class of each metric that has one, from 1, and how many metrics each class has."""
    found: dict[int, int] = {}
    sizes = dict.fromkeys(range(len(classes) + 1), 0)
    if not classes:
        return {}, {0: Metric.objects.count()}
    for pk, name in Metric.objects.values_list("pk", "name").iterator():
        number = next((no for no, (_, pattern, _) in enumerate(classes, 1) if pattern.search(name)), 0)
        sizes[number] += 1
        if number:
            found[pk] = number
    return found, sizes


def _waiting(now: datetime) -> Waiting:
    now_ms = int(now.timestamp() * 1000)
    today = day_of((now_ms - GRACE_MS) // DAY_MS * DAY_MS)
    return inventory.waiting(closed_before_ms=(now_ms - GRACE_MS) // WINDOW_MS * WINDOW_MS, today=today)


def _days(by_kind: ByKind, waiting: Waiting | None, now: datetime) -> list[DayStored]:
    """Return all days, oldest first; what is not packed yet counts to today."""
    days: dict[date, dict[int, Stored]] = {}
    for (day, level, _), part in by_kind.items():
        levels = days.setdefault(day, {})
        levels[level] = levels.get(level, Stored()) + part
    if waiting is not None and waiting.head.blocks:
        days.setdefault(now.date(), {})[LEVEL_HEAD] = waiting.head
    return [DayStored(day, levels) for day, levels in sorted(days.items())]


def _classes(classes: list[Class], sizes: dict[int, int], by_kind: ByKind) -> list[ClassStored]:
    """Return the classes in their order, and at the end what no pattern matches."""
    config = settings.CONFIG
    wanted = [(number, pattern, kept) for number, (pattern, _, kept) in enumerate(classes, 1)]
    wanted.append((0, "", Kept(config.retention_days, config.rollup_retention_days)))
    rows = []
    for number, pattern, kept in wanted:
        own = {key: part for key, part in by_kind.items() if key[2] == number}
        raw = {key: part for key, part in own.items() if key[1] != LEVEL_ROLLUP}
        rollups = [part for key, part in own.items() if key[1] == LEVEL_ROLLUP]
        oldest = min((day for day, _, _ in raw), default=None)
        rows.append(ClassStored(
            pattern, kept.raw_days, kept.rollup_days, sizes.get(number, 0), inventory.total(list(raw.values())),
            inventory.total(rollups), oldest, oldest and oldest + timedelta(days=kept.raw_days + 1),
        ))  # fmt: skip
    return rows


def _drops(rows: list[ClassStored], by_kind: ByKind, today: date) -> list[Drop]:
    """Return what goes next, the first day first."""
    numbers = [*range(1, len(rows)), 0]
    found: dict[tuple[date, date, str, str], int] = {}
    for number, row in zip(numbers, rows, strict=True):
        for (day, level, of_class), part in by_kind.items():
            if of_class == number:
                rolled = level == LEVEL_ROLLUP
                kept = timedelta(days=(row.rollup_days if rolled else row.raw_days) + 1)
                key = max(today, day + kept), day, row.pattern, "roll-ups" if rolled else "raw samples"
                found[key] = found.get(key, 0) + part.data_bytes
    drops = [Drop(*key, data_bytes) for key, data_bytes in found.items()]
    return sorted(drops, key=lambda drop: (drop.on, drop.of, drop.pattern))[:SHOWN_DROPS]


def _disk() -> Disk | None:
    path = settings.CONFIG.state_path
    if not path.exists():
        return None
    usage = shutil.disk_usage(path)
    return Disk(usage.total, usage.free, min(FLOOR_BYTES, int(usage.total * FLOOR_SHARE)))


def _forecast(
    days: list[DayStored], tables: list[Table], classes: list[ClassStored], disk: Disk | None, now: datetime
) -> Forecast | None:
    """Return where the last days lead, today's share scaled up where there is no whole day."""
    sizes = {day.day: day.total.data_bytes for day in days}
    whole = [sizes[day] for back in range(1, RATE_DAYS + 1) if (day := now.date() - timedelta(days=back)) in sizes]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = max(0.01, (now - midnight) / timedelta(days=1))
    # The first day is seldom whole: someone set the console up in the middle of it.
    rough = len(whole) < 2
    per_day = sum(whole) / len(whole) if not rough else sizes.get(now.date(), 0) / passed
    data_bytes = sum(sizes.values())
    if not per_day or not data_bytes:
        return None
    kinds = {"metrics_headblock", "metrics_recentblock", "metrics_groupblock", "metrics_rollupblock"}
    on_disk = sum(table.total_bytes for table in tables if table.name in kinds)
    overhead = max(1.0, on_disk / data_bytes)
    longest = max(one.raw_days for one in classes)
    steady = per_day * overhead * longest
    left = None
    if disk is not None:
        days_left = (disk.free_bytes - disk.floor_bytes) / (per_day * overhead)
        # Beyond the retention as much goes as comes.
        left = days_left if days_left < longest - len(sizes) else None
    return Forecast(per_day * overhead, overhead, steady, left, rough)
