"""Stores results: one row a run, the hour's count beside it, and the check's last word."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from aivillage_console.lib import live
from health.measures import CHECKS
from health.models import Check, CheckResult, Component
from health.probes.results import DETAIL_CHARS

RESULT_DAYS, HOUR_DAYS = 7, 90
SWEEP_ROWS = 20_000
SEEN_EVERY = timedelta(seconds=10)
COUNT_HOUR = """
INSERT INTO health_checkhour (check_id, hour_at, healthy, degraded, unhealthy, unknown)
VALUES (%(check)s, date_trunc('hour', %(at)s::timestamptz, 'UTC'), (%(status)s = 'healthy')::int,
        (%(status)s = 'degraded')::int, (%(status)s = 'unhealthy')::int, (%(status)s = 'unknown')::int)
ON CONFLICT (check_id, hour_at) DO UPDATE SET
    healthy = health_checkhour.healthy + EXCLUDED.healthy, degraded = health_checkhour.degraded + EXCLUDED.degraded,
    unhealthy = health_checkhour.unhealthy + EXCLUDED.unhealthy, unknown = health_checkhour.unknown + EXCLUDED.unknown
RETURNING (xmax = 0)
"""
SWEEP_RESULTS = """
DELETE FROM health_checkresult WHERE id IN (
    SELECT id FROM health_checkresult WHERE check_id = %(check)s AND at < %(before)s ORDER BY at LIMIT %(most)s)
"""
SWEEP_HOURS = "DELETE FROM health_checkhour WHERE check_id = %(check)s AND hour_at < %(before)s"


@dataclass(frozen=True, slots=True)
class Found:
    """What one run found."""

    at: datetime
    status: str
    duration_ms: float | None
    detail: str = ""


def result_store(check: Check, found: Found) -> dict[str, Any]:
    """Keep one result and return what it changes of the check; the caller writes that, fenced or locked.

    A result that came late is kept as history and changes nothing of how the check stands.
    """
    detail = found.detail.replace("\0", "")[:DETAIL_CHARS]
    CheckResult.objects.create(
        check_run=check, at=found.at, status=found.status, duration_ms=found.duration_ms, detail=detail
    )
    _count(check, found)
    CHECKS.labels(kind=check.kind, status=found.status).inc()
    live.ring("health")
    if check.last_at is not None and found.at < check.last_at:
        return {}
    changes = {
        "last_status": found.status, "last_at": found.at, "last_duration_ms": found.duration_ms, "last_detail": detail,
        "failures": check.failures + 1 if found.status == "unhealthy" else 0,
    }  # fmt: skip
    if found.status != check.last_status or check.status_since is None:
        changes["status_since"] = found.at
    return changes


def _count(check: Check, found: Found) -> None:
    values: dict[str, Any] = {"check": check.pk, "at": found.at, "status": found.status}
    with connection.cursor() as cursor:
        cursor.execute(COUNT_HOUR, values)
        first_of_its_hour = cursor.fetchone()[0]
        if first_of_its_hour:
            # A check tidies up after itself once an hour, so nothing else has to run for its rows to be bounded.
            old: dict[str, Any] = {
                "check": check.pk,
                "before": found.at - timedelta(days=RESULT_DAYS),
                "most": SWEEP_ROWS,
            }
            cursor.execute(SWEEP_RESULTS, old)
            cursor.execute(SWEEP_HOURS, {**old, "before": found.at - timedelta(days=HOUR_DAYS)})


def component_seen(component_id: UUID, at: datetime) -> None:
    """Note that a component gave a sign of life; at most one write in ten seconds."""
    stale = Component.objects.filter(pk=component_id).exclude(last_seen_at__gt=at - SEEN_EVERY)
    stale.update(last_seen_at=at)


def edges_of(given: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return one dependency in the form that is stored."""
    if isinstance(given, str):
        return {"name": given, "type": "http_api", "critical": False}
    return {"name": given.get("name", ""), "type": given.get("type", "http_api"),
            "critical": given.get("critical", False)}  # fmt: skip
