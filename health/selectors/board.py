"""All components with their scores: the one source of numbers of page, report, rules and Overview."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from health.models import Check, Component
from health.scoring import (
    CheckFacts,
    ComponentFacts,
    Edge,
    Impact,
    Place,
    Score,
    System,
    component_scores,
    impacts,
    status_now,
    system_score,
    tree,
    uptime,
)

MOST = 1_000
HOURS = 24
# Each asks by check, so that the cost follows the number of checks and not the age of the console.
COUNTS = """
SELECT check_id, sum(healthy), sum(degraded), sum(unhealthy),
       sum(healthy) FILTER (WHERE hour_at > %(day)s), sum(degraded) FILTER (WHERE hour_at > %(day)s),
       sum(unhealthy) FILTER (WHERE hour_at > %(day)s)
FROM health_checkhour WHERE check_id = ANY(%(ids)s) AND hour_at > %(week)s GROUP BY check_id
"""
LAST_DAY = """
SELECT check_id, hour_at, CASE WHEN unhealthy > 0 THEN 'unhealthy' WHEN degraded > 0 THEN 'degraded'
       WHEN healthy > 0 THEN 'healthy' ELSE 'unknown' END
FROM health_checkhour WHERE check_id = ANY(%(ids)s) AND hour_at > %(day)s
"""
P95 = """
SELECT check_id, percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)
FROM health_checkresult WHERE check_id = ANY(%(ids)s) AND at > %(hour)s AND duration_ms IS NOT NULL GROUP BY check_id
"""
LAST_BEFORE = """
SELECT c.id, r.status, r.at, r.detail FROM health_check c JOIN LATERAL (
    SELECT status, at, detail FROM health_checkresult WHERE check_id = c.id AND at <= %(at)s AND at > %(since)s
    ORDER BY at DESC LIMIT 1) r ON true
WHERE c.enabled
"""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check with what it says now."""

    check: Check
    component: Component
    status: str
    stale: str
    overdue: bool
    p95_ms: float | None
    uptime_day: float | None
    uptime_week: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One component as the tree shows it."""

    component: Component
    score: Score
    impact: Impact
    place: Place
    checks: tuple[CheckRow, ...]
    hours: tuple[str, ...]
    uptime_day: float | None
    uptime_week: float | None
    p95_ms: float | None
    last_check_at: datetime | None
    used_by: tuple[str, ...] = ()

    @property
    def last_sign_at(self) -> datetime | None:
        """Return the newest sign of life of any kind."""
        return self.component.last_seen_at


@dataclass(frozen=True, slots=True)
class Board:
    """All components in the order of the tree."""

    rows: tuple[Row, ...]
    system: System
    overdue: int
    at: datetime
    cut: bool = False

    def row(self, component_id: uuid.UUID) -> Row | None:
        """Return the row of one component."""
        return next((row for row in self.rows if row.component.pk == component_id), None)

    @property
    def checks(self) -> list[CheckRow]:
        """Return all checks."""
        return [check for row in self.rows for check in row.checks]


@dataclass(slots=True)
class _Counted:
    week: tuple[int, int, int] = (0, 0, 0)
    day: tuple[int, int, int] = (0, 0, 0)
    hours: dict[datetime, str] = field(default_factory=dict)
    p95_ms: float | None = None


def check_facts(check: Check) -> CheckFacts:
    """Return what scoring needs of a check."""
    at = check.last_at.timestamp() if check.last_at else None
    return CheckFacts(check.name, check.last_status, at, check.interval_seconds, check.timeout_seconds, check.weight,
                      check.last_detail)  # fmt: skip


def edges(component: Component) -> tuple[Edge, ...]:
    """Return the dependencies of a component; what is stored in another form is passed over."""
    return tuple(
        Edge(str(edge["name"]), bool(edge.get("critical")), str(edge.get("type", "http_api")))
        for edge in component.depends_on if isinstance(edge, Mapping) and edge.get("name")
    )  # fmt: skip


def _facts(component: Component, checks: Iterable[CheckFacts]) -> ComponentFacts:
    return ComponentFacts(component.name, tuple(checks), edges(component), component.expected)


def _loaded() -> tuple[list[Component], dict[uuid.UUID, list[Check]], bool]:
    components = list(Component.objects.order_by("name")[: MOST + 1])
    cut, components = len(components) > MOST, components[:MOST]
    checks: dict[uuid.UUID, list[Check]] = {component.pk: [] for component in components}
    for check in Check.objects.filter(component_id__in=checks).order_by("name"):
        checks[check.component_id].append(check)
    return components, checks, cut


def board(*, now: datetime, viewer: object = None) -> Board:  # noqa: ARG001 - every selector takes the viewer
    """Return everything the Health page shows, in five queries whatever the number of results."""
    components, checks, cut = _loaded()
    everything = [check for each in checks.values() for check in each]
    counted = _counted([check.pk for check in everything], now)
    facts = [_facts(one, (check_facts(check) for check in checks[one.pk] if check.enabled)) for one in components]
    scores, reach = component_scores(facts, now.timestamp()), impacts(facts)
    by_name = {component.name: component for component in components}
    used_by: dict[str, list[str]] = {}
    for one in facts:
        for edge in one.depends_on:
            used_by.setdefault(edge.name, []).append(one.name)
    rows = []
    for place in tree(facts):
        component = by_name[place.name]
        own = tuple(_check_row(check, component, counted[check.pk], now) for check in checks[component.pk])
        rows.append(_row(component, own, [counted[one.check.pk] for one in own], now, score=scores[place.name],
                         impact=reach[place.name], place=place,
                         used_by=tuple(sorted(used_by.get(place.name, ())))))  # fmt: skip
    rows = _with_parts(rows)
    overdue = sum(check.overdue for row in rows for check in row.checks)
    return Board(tuple(rows), system_score(facts, scores), overdue, now, cut)


def _with_parts(rows: list[Row]) -> list[Row]:
    """Give what has no checks of its own the strip and the last check of what it is made of."""
    by_name = {row.component.name: row for row in rows}
    shown = []
    for row in rows:
        parts = [by_name[edge.name] for edge in edges(row.component) if edge.name in by_name]
        if not row.checks and parts:
            hours = tuple(_worst(set(statuses)) for statuses in zip(*(part.hours for part in parts), strict=True))
            last = max((part.last_check_at for part in parts if part.last_check_at), default=None)
            shown.append(replace(row, hours=hours, last_check_at=last))
        else:
            shown.append(row)
    return shown


def _check_row(check: Check, component: Component, counted: _Counted, now: datetime) -> CheckRow:
    status, why = status_now(check_facts(check), now.timestamp())
    late = now - timedelta(seconds=check.interval_seconds)
    overdue = check.enabled and check.kind != "reported" and check.due_at < late
    return CheckRow(check, component, status, why, overdue, counted.p95_ms, uptime(*counted.day),
                    uptime(*counted.week))  # fmt: skip


def _row(
    component: Component, own: tuple[CheckRow, ...], counted: Sequence[_Counted], now: datetime, **made: Any
) -> Row:
    times = [each.p95_ms for each in counted if each.p95_ms is not None]
    runs = [one.check.last_at for one in own if one.check.last_at is not None]
    return Row(
        component=component, checks=own, hours=_strip(counted, now), uptime_day=_together([one.day for one in counted]),
        uptime_week=_together([one.week for one in counted]), p95_ms=max(times, default=None),
        last_check_at=max(runs, default=None), **made,
    )  # fmt: skip


def _together(counts: Sequence[tuple[int, int, int]]) -> float | None:
    """Return the lowest uptime among a component's checks: it was up as much as its worst part."""
    known = [share for each in counts if (share := uptime(*each)) is not None]
    return min(known, default=None)


def hours_before(now: datetime) -> list[datetime]:
    """Return the beginnings of the last 24 hours, the present one last."""
    present = now.replace(minute=0, second=0, microsecond=0)
    return [present - timedelta(hours=HOURS - 1 - number) for number in range(HOURS)]


def _strip(counted: Sequence[_Counted], now: datetime) -> tuple[str, ...]:
    strip = []
    for hour in hours_before(now):
        found = {each.hours[hour] for each in counted if hour in each.hours}
        strip.append(_worst(found))
    return tuple(strip)


def _worst(found: set[str]) -> str:
    return next((status for status in ("unhealthy", "degraded", "healthy", "unknown") if status in found), "none")


def _counted(ids: Sequence[uuid.UUID], now: datetime) -> dict[uuid.UUID, _Counted]:
    found = {check_id: _Counted() for check_id in ids}
    first = hours_before(now)[0]
    values: dict[str, Any] = {
        "ids": list(ids), "day": first - timedelta(seconds=1), "week": first - timedelta(days=6),
        "hour": now - timedelta(hours=1),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, values)
        for check_id, *sums in cursor.fetchall():
            numbers = [int(each or 0) for each in sums]
            found[check_id].week = (numbers[0], numbers[1], numbers[2])
            found[check_id].day = (numbers[3], numbers[4], numbers[5])
        cursor.execute(LAST_DAY, values)
        for check_id, hour, status in cursor.fetchall():
            found[check_id].hours[hour] = status
        cursor.execute(P95, values)
        for check_id, p95 in cursor.fetchall():
            found[check_id].p95_ms = float(p95)
    return found


def facts_at(at: datetime, *, since: datetime) -> list[ComponentFacts]:
    """Return every component with the last word of its checks at a time, from the stored results.

    How old that word is plays no part here: what was found broken stays so until something else is found.
    """
    components, checks, _ = _loaded()
    with connection.cursor() as cursor:
        cursor.execute(LAST_BEFORE, {"at": at, "since": since})
        last = {check_id: (status, found_at, detail) for check_id, status, found_at, detail in cursor.fetchall()}
    facts = []
    for component in components:
        own = []
        for check in checks[component.pk]:
            if check.enabled:
                status, found_at, detail = last.get(check.pk, ("unknown", None, ""))
                own.append(CheckFacts(check.name, status, found_at.timestamp() if found_at else None,
                                      check.interval_seconds, check.timeout_seconds, check.weight, detail))  # fmt: skip
        facts.append(_facts(component, own))
    return facts


@dataclass(frozen=True, slots=True)
class Totals:
    """One line about everything, for the Overview."""

    system: System
    worst: tuple[str, ...]


def totals(*, now: datetime) -> Totals:
    """Return the state of the whole in two queries."""
    components, checks, _ = _loaded()
    facts = [_facts(one, (check_facts(check) for check in checks[one.pk] if check.enabled)) for one in components]
    scores = component_scores(facts, now.timestamp())
    bad = sorted((score.value, name) for name, score in scores.items() if score.value is not None
                 and score.band != "healthy")  # fmt: skip
    return Totals(system_score(facts, scores), tuple(name for _, name in bad[:3]))
