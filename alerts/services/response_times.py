"""How soon people take alerts on and how soon alerts end: MTTA, MTTR and the share within the target (ALR-7)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from alerts.services.noise import BEGINNINGS

DAYS = 7
TARGET_SECONDS = 300
# Only alerts that are open, or ended within the window, are read; partial indexes know both.
QUERY = """
WITH recent AS (
    SELECT id FROM alerts_alert WHERE (state <> 'resolved' OR resolved_at >= %(since)s)
        AND (%(rules)s::uuid[] IS NULL OR rule_id = ANY(%(rules)s))
), episodes AS (
    SELECT min(e.at) FILTER (WHERE e.kind = ANY(%(beginnings)s)) AS began,
        min(e.at) FILTER (WHERE e.kind = 'acknowledged') AS acked,
        max(e.at) FILTER (WHERE e.kind = 'resolved') AS ended
    FROM alerts_alertevent e JOIN recent r ON r.id = e.alert_id
    WHERE e.at >= %(since)s AND e.at <= %(now)s GROUP BY e.alert_id, e.episode
), spans AS (
    SELECT extract(epoch FROM acked - began)::float8 AS to_ack, extract(epoch FROM ended - began)::float8 AS to_end
    FROM episodes WHERE began IS NOT NULL
)
SELECT count(*), count(to_ack), avg(to_ack), percentile_cont(0.5) WITHIN GROUP (ORDER BY to_ack),
    count(*) FILTER (WHERE to_ack <= %(target)s), count(to_end), avg(to_end),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY to_end)
FROM spans
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTimes:
    """What the episodes that began within the window came to; seconds are None where there is nothing to average."""

    days: int
    target_seconds: int
    episodes: int
    acknowledged: int
    mean_to_acknowledge_seconds: float | None
    median_to_acknowledge_seconds: float | None
    within_target: int
    ended: int
    mean_to_resolve_seconds: float | None
    median_to_resolve_seconds: float | None

    @property
    def within_target_share(self) -> float | None:
        """Return the share of acknowledged episodes that somebody took on within the target."""
        return self.within_target / self.acknowledged if self.acknowledged else None


def response_times(
    rules: Iterable[UUID] | None = None, *, now: datetime, days: int = DAYS, target_seconds: int = TARGET_SECONDS
) -> ResponseTimes:
    """Return how soon episodes of these rules (all alerts for None) were taken on and ended."""
    given = {
        "rules": None if rules is None else list(rules), "since": now - timedelta(days=days), "now": now,
        "beginnings": list(BEGINNINGS), "target": target_seconds,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(QUERY, given)
        episodes, acked, ack_mean, ack_median, within, ended, end_mean, end_median = cursor.fetchone()
    return ResponseTimes(
        days=days, target_seconds=target_seconds, episodes=episodes, acknowledged=acked,
        mean_to_acknowledge_seconds=ack_mean, median_to_acknowledge_seconds=ack_median, within_target=within,
        ended=ended, mean_to_resolve_seconds=end_mean, median_to_resolve_seconds=end_median,
    )  # fmt: skip
