"""Events as due work: claimed in batches under one token, counted around, and finished once."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db import connection, transaction

from aivillage_console.lib.outbox import LEASE_SECONDS
from security.detectors import Windows
from security.models import SecurityEvent

BATCH = 100
# How many rows of a window are read: every score is at its highest long before.
MOST_ROWS = 400
MOST_REQUEST_ROWS = 200
MOST_STRANGERS = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detectors decided about one event."""

    event_id: int
    score: float
    band: str
    error: str = ""


def claim(*, now: datetime, limit: int = BATCH) -> tuple[uuid.UUID, list[SecurityEvent]]:
    """Lease due events under one new token; rows another claim holds are skipped, not waited for.

    An event that was claimed before and never finished comes alone, so that what ended its hand takes nobody with it.
    """
    token = uuid.uuid4()
    with transaction.atomic():
        due = SecurityEvent.objects.filter(detected_at=None, due_at__lte=now).order_by("due_at", "id")
        rows = list(due.select_for_update(skip_locked=True, of=("self",))[:limit])
        fresh = list(takewhile(lambda row: not row.attempts, rows))
        rows = fresh or rows[:1]
        changed = {"lease_token": token, "due_at": now + timedelta(seconds=LEASE_SECONDS)}
        for row in rows:
            row.attempts += 1
            row.lease_token = token
        if rows:
            SecurityEvent.objects.filter(pk__in=[row.pk for row in rows]).update(attempts=rows[0].attempts, **changed)
    return token, rows


def in_hand(*, now: datetime, late_seconds: float) -> bool:
    """Tell whether somebody holds events at this moment and none of the others is later than that."""
    waiting = SecurityEvent.objects.filter(detected_at=None)
    late = waiting.filter(due_at__lte=now - timedelta(seconds=late_seconds))
    return waiting.filter(due_at__gt=now, lease_token__isnull=False).exists() and not late.exists()


def finish(token: uuid.UUID, verdicts: Sequence[Verdict], *, now: datetime) -> set[int]:
    """Write the verdicts of events this claim still holds, and return which those were."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE security_securityevent AS event
            SET threat_score = v.score, band = v.band, last_error = v.error, detected_at = %s, lease_token = NULL
            FROM unnest(%s::bigint[], %s::float8[], %s::text[], %s::text[]) AS v(id, score, band, error)
            WHERE event.id = v.id AND event.lease_token = %s AND event.detected_at IS NULL RETURNING event.id""",
            [
                now,
                [verdict.event_id for verdict in verdicts],
                [verdict.score for verdict in verdicts],
                [verdict.band for verdict in verdicts],
                [verdict.error for verdict in verdicts],
                token,
            ],
        )
        return {pk for (pk,) in cursor.fetchall()}


WINDOWS = """
SELECT event.id,
    coalesce(pair.n, 0), coalesce(pair.slow, 0), coalesce(person.n, 0), coalesce(person.others, 0),
    coalesce(place.n, 0), coalesce(place.others, 0), coalesce(rate.n, 0),
    coalesce(rate.here, 0)
FROM security_securityevent AS event
LEFT JOIN LATERAL (
    SELECT sum(weight) FILTER (WHERE at > event.at - interval '300 s') AS n, sum(weight) AS slow FROM (
        SELECT weight, at FROM security_securityevent AS w
        WHERE w.signal = 'failure' AND w.user_id = event.user_id AND w.source_ip = event.source_ip
            AND w.at > event.at - interval '6 hours' AND w.at <= event.at AND (w.at < event.at OR w.id <= event.id)
        ORDER BY at DESC LIMIT %(most)s) AS tries
) AS pair ON event.signal = 'failure' AND event.user_id <> '' AND event.source_ip IS NOT NULL
LEFT JOIN LATERAL (
    SELECT sum(weight) AS n, count(DISTINCT source_ip) AS others FROM (
        SELECT weight, source_ip FROM security_securityevent AS w
        WHERE w.signal = 'failure' AND w.user_id = event.user_id
            AND w.at > event.at - interval '300 s' AND w.at <= event.at AND (w.at < event.at OR w.id <= event.id)
        ORDER BY at DESC LIMIT %(most)s) AS tries
) AS person ON event.signal = 'failure' AND event.user_id <> ''
LEFT JOIN LATERAL (
    SELECT sum(weight) AS n, count(DISTINCT nullif(user_id, '')) AS others FROM (
        SELECT weight, user_id FROM security_securityevent AS w
        WHERE w.signal = 'failure' AND w.source_ip = event.source_ip
            AND w.at > event.at - interval '300 s' AND w.at <= event.at AND (w.at < event.at OR w.id <= event.id)
        ORDER BY at DESC LIMIT %(most)s) AS tries
) AS place ON event.signal = 'failure' AND event.source_ip IS NOT NULL
LEFT JOIN LATERAL (
    SELECT sum(weight) AS n, sum(weight) FILTER (WHERE source_ip = event.source_ip) AS here FROM (
        SELECT weight, source_ip FROM security_securityevent AS w
        WHERE w.rate_key <> '' AND w.rate_key = event.rate_key
            AND w.at > event.at - interval '60 s' AND w.at <= event.at AND (w.at < event.at OR w.id <= event.id)
        ORDER BY at DESC LIMIT %(requests)s) AS requests
) AS rate ON event.rate_key <> ''
WHERE event.id = ANY(%(ids)s)"""

# Users who failed lately, each from an address that tried nobody else, and who did not sign in well meanwhile.
STRANGERS = """
WITH failed AS (
    SELECT user_id, source_ip FROM security_securityevent
    WHERE signal = 'failure' AND at > %(at)s - interval '300 s' AND at <= %(at)s
        AND user_id <> '' AND source_ip IS NOT NULL
    ORDER BY at DESC LIMIT %(most)s
), lonely AS (
    SELECT source_ip, min(user_id) AS user_id FROM failed GROUP BY source_ip HAVING count(DISTINCT user_id) = 1
)
SELECT user_id, array_agg(host(source_ip)) FROM lonely
WHERE NOT EXISTS (
    SELECT 1 FROM security_securityevent AS well
    WHERE well.user_id = lonely.user_id AND well.signal = 'success'
        AND well.at > %(at)s - interval '300 s' AND well.at <= %(at)s + interval '300 s')
GROUP BY user_id"""


def windows_of(events: Sequence[SecurityEvent]) -> dict[int, Windows]:
    """Return the windows around each event, read from the stored rows by one query, two where somebody failed."""
    with connection.cursor() as cursor:
        given: dict[str, Any] = {
            "ids": [event.pk for event in events],
            "most": MOST_ROWS,
            "requests": MOST_REQUEST_ROWS,
        }
        cursor.execute(WINDOWS, given)
        rows = {row[0]: [int(count) for count in row[1:]] for row in cursor.fetchall()}
    strangers = _strangers(events)
    count = len({user for user, _ in strangers})
    found = {}
    for event in events:
        pair, slow, user, addresses, address, users, requests, here = rows[event.pk]
        alone = (event.user_id, event.source_ip) in strangers
        found[event.pk] = Windows(
            pair=pair, pair_slow=slow, user=user, addresses_of_user=addresses, address=address, users_of_address=users,
            strangers=count if alone else 0, requests=requests,
            requests_here=here,
        )  # fmt: skip
    return found


def _strangers(events: Sequence[SecurityEvent]) -> set[tuple[str, str]]:
    failed = [event.at for event in events if event.signal == "failure"]
    if not failed:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(STRANGERS, {"at": max(failed), "most": MOST_STRANGERS})
        return {(user, address) for user, addresses in cursor.fetchall() for address in addresses}
