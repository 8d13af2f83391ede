"""Events and findings, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, Prefetch, QuerySet

from security.catalogue import plain_address
from security.models import Finding, SecurityEvent

PAGE = 50
LONGEST_PAGE = 200
MAX_ID = 2**63 - 1
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class EventsPage:
    """One page of events, each with `findings.all()`, and where the next begins."""

    events: list[SecurityEvent]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class FindingsPage:
    """One page of findings, each with its `event`, and where the next begins."""

    findings: list[Finding]
    next_cursor: str


def _page(rows: QuerySet[Row], cursor: str, limit: int) -> tuple[list[Row], str]:
    limit = max(1, min(limit, LONGEST_PAGE))
    if cursor.isascii() and cursor.isdigit() and int(cursor) <= MAX_ID:
        rows = rows.filter(pk__lt=int(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    return found[:limit], str(found[limit - 1].pk) if len(found) > limit else ""


def _address(text: str) -> str | None:
    try:
        return str(plain_address(text))
    except ValueError:
        return None


def _about(
    rows: QuerySet[Row],
    *,
    band: str,
    user: str,
    ip: str,
    event_type: str,
    since: datetime | None,
    until: datetime | None,
) -> QuerySet[Row]:
    wanted: dict[str, Any] = {
        "band": band, "user_id": user, "event_type": event_type, "at__gte": since, "at__lt": until,
    }  # fmt: skip
    rows = rows.filter(**{name: value for name, value in wanted.items() if value})
    if not ip:
        return rows
    address = _address(ip)
    return rows.filter(source_ip=address) if address else rows.none()


def findings_page(
    viewer: Any, *, cursor: str = "", band: str = "", detector: str = "", user: str = "", ip: str = "",
    event_type: str = "", since: datetime | None = None, until: datetime | None = None, limit: int = PAGE,
) -> FindingsPage:  # fmt: skip
    """Return a page of findings; an address that is none finds nothing."""
    del viewer
    rows = _about(
        Finding.objects.select_related("event"), band=band, user=user, ip=ip, event_type=event_type, since=since,
        until=until,
    )  # fmt: skip
    return FindingsPage(*_page(rows.filter(detector=detector) if detector else rows, cursor, limit))


def events_page(
    viewer: Any, *, cursor: str = "", band: str = "", user: str = "", ip: str = "", event_type: str = "",
    since: datetime | None = None, until: datetime | None = None, limit: int = PAGE,
) -> EventsPage:  # fmt: skip
    """Return a page of events."""
    del viewer
    worst_first = Prefetch("findings", Finding.objects.order_by("-score"))
    rows = SecurityEvent.objects.select_related("source").prefetch_related(worst_first)
    rows = _about(rows, band=band, user=user, ip=ip, event_type=event_type, since=since, until=until)
    return EventsPage(*_page(rows, cursor, limit))


def event_detail(viewer: Any, event_id: int) -> SecurityEvent | None:
    """Return an event with its findings, the worst first, or None."""
    del viewer
    worst_first = Prefetch("findings", Finding.objects.order_by("-score"))
    rows = SecurityEvent.objects.select_related("source").prefetch_related(worst_first)
    return rows.filter(pk=event_id).first() if 0 < event_id <= MAX_ID else None
