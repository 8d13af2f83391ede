"""The threat score of users and addresses: the worst of what they did, halved every so many seconds.

A user is no threat for what others do in his name: whose password is tried is a target.

It is computed from the stored findings, so a later harmless event cannot lower it, and nothing has to run for it to
decay.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max
from django.db.models.query_utils import Q

from security.catalogue import detector_name
from security.models import DetectorPulse, Finding

Whose = Literal["user_id", "source_ip"]
HALVINGS = 8  # After these a score of 1 is below 0.004, and nobody's business.
MOST_WAITING = 10_000
LATENCY_OF = 500
PULSE = "detect"


@dataclass(frozen=True, slots=True)
class ThreatScore:
    """How threatening somebody is now."""

    value: str
    score: float


@dataclass(frozen=True, slots=True)
class Fired:
    """When a detector last found something, and how often in the window."""

    detector: str
    at: datetime
    count: int

    @property
    def name(self) -> str:
        """Return what people are shown for the detector."""
        return detector_name(self.detector)


@dataclass(frozen=True, slots=True)
class DetectorHealth:
    """Whether the detectors keep up."""

    rate_per_second: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    waiting: int
    lag_seconds: float
    last_ran_at: datetime | None
    fired: list[Fired]


def threat_scores(
    whose: Whose, *, now: datetime, limit: int = 1000, among: Sequence[str] | None = None
) -> list[ThreatScore]:
    """Return the present scores, the highest first."""
    half_life = settings.CONFIG.security_score_half_life_seconds
    # The column is one of two literals of ours, never of a caller's.
    only = f"AND {whose} = ANY(%(among)s)" if among is not None else ""
    if whose == "source_ip" and only:
        only = "AND source_ip = ANY(%(among)s::inet[])"
    empty = "source_ip IS NOT NULL" if whose == "source_ip" else "user_id <> '' AND NOT user_is_target"
    shown = "host(source_ip)" if whose == "source_ip" else "user_id"
    query = f"""
        SELECT {shown}, max(score * power(0.5, greatest(0, extract(epoch FROM %(now)s - at)) / %(half)s)) AS present
        FROM security_finding WHERE {empty} {only} AND found_at > %(since)s AND found_at <= %(now)s
        GROUP BY 1 ORDER BY 2 DESC LIMIT %(limit)s"""  # noqa: S608 - no part of it comes from outside
    since = now - timedelta(seconds=HALVINGS * half_life)
    given: dict[str, Any] = {
        "now": now,
        "half": float(half_life),
        "since": since,
        "limit": limit,
        "among": list(among or ()),
    }
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return [ThreatScore(value, min(1.0, float(score))) for value, score in cursor.fetchall()]


def threat_of(whose: Whose, value: str, *, now: datetime) -> float:
    """Return the present score of one user or address."""
    found = threat_scores(whose, now=now, limit=1, among=[value])
    return found[0].score if found else 0.0


def detector_health(*, now: datetime, window_seconds: int = 86_400) -> DetectorHealth:
    """Return rate and lag of detection; the latency is from arrival to verdict, over the newest events."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH newest AS (
                SELECT received_at, detected_at FROM security_securityevent ORDER BY id DESC LIMIT %(most)s
            ), seen AS (
                SELECT extract(epoch FROM detected_at - received_at) * 1000 AS ms FROM newest
                WHERE detected_at IS NOT NULL AND received_at > %(hour)s LIMIT %(latency)s
            ), owed AS (
                SELECT received_at FROM security_securityevent WHERE detected_at IS NULL LIMIT %(most)s
            )
            SELECT (SELECT count(*) FROM newest WHERE received_at > %(minute)s),
                   (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM seen),
                   (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) FROM seen),
                   (SELECT count(*) FROM owed), (SELECT min(received_at) FROM owed)""",
            {
                "most": MOST_WAITING, "latency": LATENCY_OF, "minute": now - timedelta(seconds=60),
                "hour": now - timedelta(hours=1),
            },
        )  # fmt: skip
        arrived, p50, p95, waiting, oldest = cursor.fetchone()
    pulse = DetectorPulse.objects.filter(name=PULSE).first()
    recent = Q(found_at__gt=now - timedelta(seconds=window_seconds), found_at__lte=now)
    fired = Finding.objects.filter(recent).values("detector").annotate(last=Max("found_at"), n=Count("pk"))
    return DetectorHealth(
        rate_per_second=arrived / 60,
        latency_p50_ms=float(p50) if p50 is not None else None,
        latency_p95_ms=float(p95) if p95 is not None else None,
        waiting=waiting,
        lag_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
        last_ran_at=pulse.at if pulse else None,
        fired=[Fired(row["detector"], row["last"], row["n"]) for row in fired.order_by("-last")],
    )
