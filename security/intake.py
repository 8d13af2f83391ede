"""The record kind `security-events`: rows from outside, checked one by one and stored as due work."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec
from django.conf import settings

from aivillage_console.lib import doorbell
from metrics.domain import Rejection
from metrics.registry import IngestContext, RecordKind
from security.catalogue import Signal, plain_address, signal_of
from security.models import SecurityEvent

SLUG: Final = "security-events"
MAX_DETAILS_BYTES = 16 * 1024
MAX_USER = 200
MAX_ENDPOINT = 300
MAX_WEIGHT = 1_000_000
BATCH = 1_000
KEPT_NUL = "\N{REPLACEMENT CHARACTER}"


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """One event of a batch."""

    event_type: str
    at_ms: int | None = None
    event_id: str | None = None
    user_id: str = ""
    source_ip: str = ""
    severity: str = ""
    threat_score: float | None = None
    details: dict[str, Any] = {}


class Refused(ValueError):
    """A row that is not taken; the text says what to do about it."""


@lru_cache(maxsize=4096)
def address_of(text: str) -> str | None:
    """Return an address in its one spelling, None for none; raise Refused for what is no address."""
    if not text.strip():
        return None
    try:
        return str(plain_address(text))
    except ValueError:
        raise Refused(f"source_ip {text[:60]!r} is no IPv4 or IPv6 address, without a zone") from None


def clean(value: Any) -> Any:
    """Return JSON that PostgreSQL stores: what an attacker puts into a text must not keep it from being seen."""
    if isinstance(value, str):
        return value.replace("\0", KEPT_NUL)
    if isinstance(value, dict):
        return {clean(name): clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [clean(inner) for inner in value]
    return value


def _moment(row: Row, context: IngestContext) -> datetime:
    if row.at_ms is None:
        return context.now
    config = settings.CONFIG
    past = config.backfill_past_seconds if context.backfill else config.ingest_past_seconds
    ahead_ms = row.at_ms - round(context.now.timestamp() * 1000)
    if not -past * 1000 <= ahead_ms <= config.ingest_future_seconds * 1000:
        raise Refused(f"at_ms is outside the window of -{past} s to +{config.ingest_future_seconds} s")
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=row.at_ms)


def _checked_texts(row: Row) -> None:
    if not 1 <= len(row.event_type) <= 64:
        raise Refused("event_type must have 1 to 64 characters")
    if row.event_id is not None and (not 1 <= len(row.event_id) <= 64 or "\0" in row.event_id):
        raise Refused("event_id must have 1 to 64 characters, none of them NUL")
    if row.threat_score is not None and not 0 <= row.threat_score <= 1:
        raise Refused("threat_score must be from 0 to 1")
    size = len(msgspec.json.encode(row.details))
    if size > MAX_DETAILS_BYTES:
        raise Refused(f"details have {size} bytes, at most {MAX_DETAILS_BYTES} are taken: send the part that matters")


def _weight(details: dict[str, Any]) -> int:
    count = details.get("count", 1)
    usable = isinstance(count, int) and not isinstance(count, bool)
    return min(max(count, 1), MAX_WEIGHT) if usable else 1


def _endpoint(details: dict[str, Any]) -> str:
    for name in ("endpoint", "path"):
        given = details.get(name)
        if isinstance(given, str) and given:
            return given.partition("?")[0][:MAX_ENDPOINT]
    return ""


def event_of(row: Row, context: IngestContext) -> SecurityEvent:
    """Return the unsaved event of a row; raise Refused for a row that is not taken."""
    _checked_texts(row)
    at, address = _moment(row, context), address_of(row.source_ip)
    details = clean(row.details)
    event_type, user_id = clean(row.event_type), clean(row.user_id)[:MAX_USER]
    signal, endpoint = signal_of(event_type, details.get("success")), _endpoint(details)
    who = user_id or address or ""
    return SecurityEvent(
        source_id=context.source_id, event_id=row.event_id or "", at=at, received_at=context.now, due_at=context.now,
        event_type=event_type, signal=signal.value, severity=clean(row.severity)[:16].lower(), user_id=user_id,
        source_ip=address, endpoint=endpoint, weight=_weight(details), edge_score=row.threat_score, details=details,
        rate_key=f"{who} {endpoint}" if signal is Signal.REQUEST and who and endpoint else "",
    )  # fmt: skip


def write(rows: Sequence[tuple[int, Any]], context: IngestContext) -> list[Rejection]:
    """Store the good rows, due at once, and return the others; an event told before is taken and not stored again."""
    good: list[SecurityEvent] = []
    refused: list[Rejection] = []
    for number, row in rows:
        try:
            good.append(event_of(row, context))
        except Refused as reason:
            refused.append(Rejection(number, str(reason)))
    if good:
        SecurityEvent.objects.bulk_create(good, batch_size=BATCH, ignore_conflicts=True)
        doorbell.ring("detect")
    return refused


KIND = RecordKind(slug=SLUG, scope="ingest:security", schema=Row, write=write)
