"""What the Security page shows at a glance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Func, Max, Q, Value
from django.db.models.fields import DateTimeField

from aivillage_observability.scoring import band as band_of
from security.catalogue import Band
from security.models import NOTABLE, AllowEntry, Block, Finding, SecurityEvent
from security.selectors.blocks import Enforcer, active_blocks, allow_list, enforcers
from security.selectors.threat import DetectorHealth, Whose, detector_health, threat_scores

DAY_SECONDS = 86_400
LONGEST_SECONDS = 30 * DAY_SECONDS
MOST_BUCKETS = 48
STEPS_SECONDS = (10, 30, 60, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, DAY_SECONDS)
MOST_TYPES = 12
THREATENING: Mapping[str, Whose] = {"user_id": "user_id", "source_ip": "source_ip"}
MOST_TOP = 10
MOST_LATEST = 20
MOST_BLOCKS = 50
LEAST = 0.5
ORDER = [band.value for band in Band]


@dataclass(frozen=True, slots=True)
class Posture:
    """The facts of the sentence at the top: is somebody at us, how badly, and what was done."""

    worst: str  # A band, empty when nothing was found.
    attack: str  # The band of the worst attack of many, empty when there was none.
    critical: int
    high: int
    medium: int
    findings: int
    addresses: int
    blocked: int
    last_found_at: datetime | None
    ever: bool  # Whether any event was ever told.


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many events of each band happened in a stretch of time."""

    at: datetime
    critical: int
    high: int
    medium: int
    low: int

    @property
    def total(self) -> int:
        """Return how many events that is."""
        return self.critical + self.high + self.medium + self.low


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One event type and its count in each bucket."""

    event_type: str
    cells: list[int]

    @property
    def total(self) -> int:
        """Return how many events that is."""
        return sum(self.cells)


@dataclass(frozen=True, slots=True)
class Top:
    """An address, user or endpoint that much was found about."""

    value: str
    findings: int
    worst: float
    present: float | None  # The decayed score; None for an endpoint, which threatens nobody.
    last_at: datetime
    blocked: bool
    target: bool  # A user in whose name others tried to sign in, and who did nothing.


@dataclass(frozen=True, slots=True)
class Overview:
    """The Security page; each list is short."""

    now: datetime
    since: datetime
    bucket_seconds: int
    posture: Posture
    bands: dict[str, int]
    timeline: list[Bucket]
    heat: list[HeatRow]
    top_addresses: list[Top]
    top_users: list[Top]
    top_endpoints: list[Top]
    latest: list[Finding]
    active: list[Block]
    allowed: list[AllowEntry]
    enforcers: Sequence[Enforcer]
    health: DetectorHealth


def overview(viewer: Any, *, now: datetime, window_seconds: int = DAY_SECONDS) -> Overview:
    """Return what happened in the window before now."""
    del viewer
    window_seconds = max(60, min(window_seconds, LONGEST_SECONDS))
    step = next(each for each in STEPS_SECONDS if window_seconds / each <= MOST_BUCKETS)
    starts = _starts(now, window_seconds, step)
    cells = _counted(starts[0], now, step)
    findings = Finding.objects.filter(found_at__gt=now - timedelta(seconds=window_seconds), found_at__lte=now)
    active = list(active_blocks(now=now)[:MOST_BLOCKS])
    latest = list(findings.select_related("event").order_by("-found_at", "-score")[:MOST_LATEST])
    addresses = _tops(findings.exclude(source_ip=None), "source_ip", active, now)
    bands = Counter[str]()
    for (_, _, band), count in cells.items():
        bands[band] += count
    return Overview(
        now=now, since=starts[0], bucket_seconds=step, bands={band.value: bands[band.value] for band in Band},
        posture=_posture(findings, active, bands, latest), timeline=_timeline(cells, starts), heat=_heat(cells, starts),
        top_addresses=addresses, top_users=_tops(findings.exclude(user_id=""), "user_id", active, now),
        top_endpoints=_tops(findings.exclude(endpoint=""), "endpoint", active, now), latest=latest, active=active,
        allowed=list(allow_list()[:MOST_BLOCKS]), enforcers=enforcers(now=now),
        health=detector_health(now=now, window_seconds=window_seconds),
    )  # fmt: skip


def _starts(now: datetime, window_seconds: int, step: int) -> list[datetime]:
    # On a grid of whole steps, so that a page drawn a second later has the same columns.
    last = int(now.timestamp()) // step * step
    first = last - (window_seconds + step - 1) // step * step + step
    return [datetime.fromtimestamp(at, tz=now.tzinfo) for at in range(first, last + 1, step)]


def _counted(since: datetime, now: datetime, step: int) -> Counter[tuple[str, datetime, str]]:
    happened = Func(
        Value(timedelta(seconds=step)), F("at"), Value(since), function="date_bin", output_field=DateTimeField()
    )
    rows = SecurityEvent.objects.filter(NOTABLE, at__gte=since, at__lte=now).annotate(bucket=happened)
    counted = rows.values("event_type", "bucket", "band").annotate(n=Count("pk")).order_by()
    found = Counter[tuple[str, datetime, str]]()
    for row in counted:
        found[row["event_type"], row["bucket"], row["band"] or Band.LOW.value] += row["n"]
    return found


def _timeline(cells: Counter[tuple[str, datetime, str]], starts: list[datetime]) -> list[Bucket]:
    counted = Counter[tuple[datetime, str]]()
    for (_, at, band), count in cells.items():
        counted[at, band] += count
    return [Bucket(at, *(counted[at, band.value] for band in Band)) for at in starts]


def _heat(cells: Counter[tuple[str, datetime, str]], starts: list[datetime]) -> list[HeatRow]:
    counted: dict[str, Counter[datetime]] = {}
    for (event_type, at, _), count in cells.items():
        counted.setdefault(event_type, Counter())[at] += count
    rows = [HeatRow(event_type, [found[at] for at in starts]) for event_type, found in counted.items()]
    return sorted(rows, key=lambda row: (-row.total, row.event_type))[:MOST_TYPES]


def _tops(findings: Any, column: str, active: list[Block], now: datetime) -> list[Top]:
    rows = findings.values(column).annotate(
        n=Count("event", distinct=True), worst=Max("score"), last=Max("at"),
        did=Max("score", filter=Q(user_is_target=False)),
    )  # fmt: skip
    # Whoever did something comes before those to whom it was done.
    order = [F("did").desc(nulls_last=True)] if column == "user_id" else []
    found = list(rows.order_by(*order, "-worst", "-n")[:MOST_TOP])
    present: dict[str, float] = {}
    whose = THREATENING.get(column)
    if found and whose:
        among = [str(row[column]) for row in found]
        present = {one.value: one.score for one in threat_scores(whose, now=now, among=among)}
    blocked = {block.value for block in active}
    return [
        Top(
            row[column], row["n"], row["worst"], None if column == "endpoint" else present.get(row[column], 0.0),
            row["last"], row[column] in blocked, column == "user_id" and row["did"] is None,
        )
        for row in found
    ]  # fmt: skip


def _posture(findings: Any, active: list[Block], bands: Counter[str], latest: list[Finding]) -> Posture:
    counted = findings.filter(score__gte=LEAST).aggregate(
        n=Count("pk"), addresses=Count("source_ip", distinct=True), worst=Max("score"), attack=Max("attack_score")
    )
    attack = band_of(counted["attack"]) if (counted["attack"] or 0) >= LEAST else ""
    worst = next((band.value for band in Band if band is not Band.LOW and bands[band.value]), "")
    worst = min(filter(None, (worst, attack)), key=ORDER.index, default="")
    return Posture(
        worst=worst, attack=attack, critical=bands[Band.CRITICAL.value], high=bands[Band.HIGH.value],
        medium=bands[Band.MEDIUM.value], findings=counted["n"], addresses=counted["addresses"], blocked=len(active),
        last_found_at=latest[0].found_at if latest else None, ever=SecurityEvent.objects.exists(),
    )  # fmt: skip
