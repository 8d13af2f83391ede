"""One component over time."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from health.models import CheckResult

POINTS = 180
MOST_LINES = 6
BUCKETS = """
SELECT check_id, floor(extract(epoch FROM at) / %(step)s) * %(step)s AS bucket, max(duration_ms)
FROM health_checkresult WHERE check_id = ANY(%(ids)s) AND at > %(since)s AND duration_ms IS NOT NULL
GROUP BY check_id, bucket ORDER BY bucket
"""


@dataclass(frozen=True, slots=True)
class History:
    """How long each check took: the slowest run of each step."""

    times: list[float]
    lines: list[dict[str, Any]]
    start: float
    end: float


def history(checks: Sequence[tuple[uuid.UUID, str]], *, now: datetime, window: timedelta) -> History:
    """Return the durations of some checks on one grid."""
    step = max(10, int(window.total_seconds() / POINTS))
    end = now.timestamp() // step * step
    times = [end - step * (POINTS - 1 - place) for place in range(POINTS)]
    shown = list(checks)[:MOST_LINES]
    values: dict[Any, list[float | None]] = {check_id: [None] * POINTS for check_id, _ in shown}
    with connection.cursor() as cursor:
        cursor.execute(BUCKETS, {"step": step, "ids": [pk for pk, _ in shown], "since": now - window})
        for check_id, bucket, slowest in cursor.fetchall():
            place = POINTS - 1 - round((end - float(bucket)) / step)
            if 0 <= place < POINTS:
                values[check_id][place] = float(slowest) / 1000
    lines = [{"name": name, "full": name, "colour": number % 6 + 1, "dashed": False, "values": values[check_id]}
             for number, (check_id, name) in enumerate(shown)
             if any(value is not None for value in values[check_id])]  # fmt: skip
    return History(times, lines, times[0], max(times[-1], now.timestamp()))


def results_of(component_id: uuid.UUID, *, limit: int = 50) -> list[CheckResult]:
    """Return the newest results of a component's checks."""
    rows = CheckResult.objects.filter(check_run__component=component_id).select_related("check_run")
    return list(rows.order_by("-at", "-pk")[:limit])
