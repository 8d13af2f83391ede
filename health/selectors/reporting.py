"""The numbers of the health report: the board's, with what the host is using."""

from collections.abc import Mapping
from datetime import datetime

from alerts import selectors as alerts
from health.report import CheckPart, ComponentPart, Numbers
from health.scoring import Score, host_score
from health.selectors.board import Board, CheckRow, Row, board
from metrics import selectors as metrics
from metrics.promql.types import QueryError

RESOURCES: Mapping[str, str] = {
    "cpu_percent": "avg(cpu_usage_percent)",
    "memory_percent": "avg(memory_usage_percent)",
    "disk_percent": "max(disk_usage_percent)",
    "network_bytes_per_second": "sum(rate(network_bytes_received_total[2m])) + sum(rate(network_bytes_sent_total[2m]))",
}
SECONDS = 1.0


def because(score: Score) -> str:
    """Return what pulls a score down, in words; why nothing is known where nothing is."""
    bad = [
        f"{one.name}: {one.note or one.status}"
        for one in score.inputs
        if one.status in ("unhealthy", "partial", "degraded")
    ]
    return "; ".join([*bad, *(limit.reason for limit in score.limits)])[:500] or score.reason


def _value(query: str, at_ms: int) -> float | None:
    try:
        found = metrics.instant_query(query, at_ms=at_ms, timeout_seconds=SECONDS)
    except QueryError:
        # The report says "no data" for what the store cannot tell; the rest of it stands.
        return None
    return float(found.values[0, 0]) if found.present.any() else None


def _time(at: datetime | None) -> str:
    return "" if at is None else at.isoformat(timespec="seconds")


def _check(row: CheckRow) -> CheckPart:
    check = row.check
    return CheckPart(
        name=check.name, kind=check.kind, status=row.status, detail=row.stale or check.last_detail,
        last_at=_time(check.last_at), duration_ms=check.last_duration_ms, p95_ms=row.p95_ms, uptime_day=row.uptime_day,
        uptime_week=row.uptime_week, failures=check.failures, overdue=row.overdue, enabled=check.enabled,
    )  # fmt: skip


def _component(row: Row) -> ComponentPart:
    one, score = row.component, row.score
    return ComponentPart(
        name=one.name, kind=one.kind, owner=one.owner, status=score.band, score=score.percent, because=because(score),
        inputs=[{"name": each.name, "kind": each.kind, "status": each.status, "weight": each.weight,
                 "value": each.value} for each in score.inputs],
        limits=[limit.reason for limit in score.limits], depends_on=[edge["name"] for edge in one.depends_on],
        impact=row.impact.count, impact_level=row.impact.level, expected=one.expected,
        last_seen=_time(one.last_seen_at), uptime_day=row.uptime_day, uptime_week=row.uptime_week, p95_ms=row.p95_ms,
        checks=[_check(check) for check in row.checks],
    )  # fmt: skip


def report_numbers(*, now: datetime, viewer: object = None) -> Numbers:
    """Return everything a report says."""
    shown: Board = board(now=now, viewer=viewer)
    at_ms = int(now.timestamp() * 1000)
    used = {name: _value(query, at_ms) for name, query in RESOURCES.items()}
    critical = sum(1 for alert in alerts.worst_open(100) if alert.severity == "critical")
    cpu, memory, disk = used["cpu_percent"], used["memory_percent"], used["disk_percent"]
    score = None if cpu is None or memory is None or disk is None else host_score(cpu, memory, disk, critical)
    return Numbers(
        generated_at=_time(now), system_status=shown.system.band, completion=shown.system.percent,
        counts=shown.system.counts, missing=shown.system.missing, overdue=shown.overdue,
        components=[_component(row) for row in shown.rows], resources=used, host_score=score, critical_alerts=critical,
    )  # fmt: skip
