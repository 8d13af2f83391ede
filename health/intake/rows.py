"""The record kind `health-results`: services send what their own checks found."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError

from health.intake.results import Found, component_seen, edges_of, result_store
from health.models import NAME, Check, CheckKind, Component, Origin
from metrics.domain import Rejection
from metrics.registry import IngestContext, RecordKind

NAME_CHARS, MOST_EDGES = 120, 50
MOST_COMPONENTS, MOST_CHECKS = 500, 2_000


class HealthResultRow(msgspec.Struct, forbid_unknown_fields=True):
    """One result as a service sends it."""

    component: str
    check: str
    status: Literal["healthy", "degraded", "unhealthy", "unknown"]
    at_ms: int | None = None
    duration_ms: float | None = None
    message: str = ""
    kind: str = ""
    depends_on: list[str] = []
    owner: str = ""


class _Refused(Exception):
    """Why one row is not taken."""


def _name(field: str, text: str) -> str:
    if not 1 <= len(text) <= NAME_CHARS:
        raise _Refused(f"{field} must have 1 to {NAME_CHARS} characters")
    try:
        NAME(text)
    except ValidationError as error:
        raise _Refused(f"{field}: {error.message}") from error
    return text


def _at(row: HealthResultRow, context: IngestContext) -> datetime:
    now_ms = int(context.now.timestamp() * 1000)
    at_ms = now_ms if row.at_ms is None else row.at_ms
    known = settings.CONFIG
    past = known.backfill_past_seconds if context.backfill else known.ingest_past_seconds
    # In whole numbers: a sender's may be larger than a float can hold.
    if not now_ms - past * 1000 <= at_ms <= now_ms + known.ingest_future_seconds * 1000:
        raise _Refused("outside the time window of live results; compare the clock and the unit (milliseconds)")
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _checked(row: HealthResultRow, context: IngestContext) -> Found:
    _name("component", row.component)
    _name("check", row.check)
    if len(row.depends_on) > MOST_EDGES:
        raise _Refused(f"depends_on has {len(row.depends_on)} names, at most {MOST_EDGES} are taken")
    for name in row.depends_on:
        _name("depends_on", name)
    duration = row.duration_ms
    if duration is not None and not 0 <= duration < 86_400_000:
        raise _Refused("duration_ms must be from 0 to a day")
    return Found(_at(row, context), row.status, duration, row.message[:300])


def _component(row: HealthResultRow, context: IngestContext) -> Component:
    component = Component.objects.filter(name=row.component).first()
    if component is None:
        if Component.objects.count() >= MOST_COMPONENTS:
            raise _Refused(f"there are {MOST_COMPONENTS} components already; remove some or report under one of them")
        component = Component(name=row.component, discovered_from=Origin.CHECK, last_seen_at=context.now)
        _describe(component, row)
        component.save()
        return component
    if component.discovered_from == Origin.OWN:
        raise _Refused(f"{row.component!r} is part of the console, which checks it itself")
    # What a person registered stays as the person wrote it.
    if component.discovered_from in (Origin.CHECK, Origin.TELEMETRY) and _describe(component, row):
        component.save()
    return component


def _describe(component: Component, row: HealthResultRow) -> bool:
    wanted = {
        "kind": row.kind[:40].replace("\0", "") or component.kind,
        "owner": row.owner[:120].replace("\0", "") or component.owner,
        "depends_on": [edges_of(name) for name in dict.fromkeys(row.depends_on)] or component.depends_on,
    }
    changed = {name: value for name, value in wanted.items() if getattr(component, name) != value}
    for name, value in changed.items():
        setattr(component, name, value)
    return bool(changed)


def _check(component: Component, row: HealthResultRow, context: IngestContext) -> Check:
    check = Check.objects.select_for_update().filter(component=component, name=row.check).first()
    if check is None:
        if Check.objects.count() >= MOST_CHECKS:
            raise _Refused(f"there are {MOST_CHECKS} checks already; remove some")
        return Check.objects.create(component=component, name=row.check, kind=CheckKind.REPORTED, due_at=context.now,
                                    source_id=context.source_id)  # fmt: skip
    if check.kind != CheckKind.REPORTED:
        raise _Refused(f"{row.check!r} of {row.component!r} is run by the console; report under another name")
    if check.source_id not in (None, context.source_id):
        raise _Refused(f"{row.check!r} of {row.component!r} is reported by another source")
    return check


MOST_RESULTS = 1_000
TOO_MANY = f"a batch takes {MOST_RESULTS} results; send the rest in another one"


def write_results(rows: Sequence[tuple[int, Any]], context: IngestContext) -> list[Rejection]:
    """Store the results that are good; return the others with their reasons."""
    # Each result costs a few queries of its own: a batch must not hold its rows locked for minutes.
    rejected = [Rejection(number, TOO_MANY) for number, _ in rows[MOST_RESULTS:]]
    seen: set[UUID] = set()
    # In one order for every batch, so that two senders never wait for each other's rows.
    for number, row in sorted(
        rows[:MOST_RESULTS], key=lambda pair: (pair[1].component, pair[1].check, pair[1].at_ms or 0, pair[0])
    ):
        try:
            found = _checked(row, context)
            component = _component(row, context)
            check = _check(component, row, context)
        except _Refused as refusal:
            rejected.append(Rejection(number, str(refusal)))
            continue
        changes = result_store(check, found)
        Check.objects.filter(pk=check.pk).update(source_id=context.source_id, **changes)
        seen.add(component.pk)
    for component_id in seen:
        component_seen(component_id, context.now)
    return rejected


HEALTH_RESULTS = RecordKind("health-results", "ingest:health", HealthResultRow, write_results)
