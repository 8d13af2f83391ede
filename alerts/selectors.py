"""What can be read of alerts and deliveries. Pages are keyset pages and every call has a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, F, IntegerField, Max, Prefetch, Q, QuerySet, Value, When

from aivillage_console.lib import clock
from alerts.engine.states import AlertState
from alerts.models import Alert, AlertEvent, Channel, DeliveryAttempt, Escalation, Heartbeat, Notification, Policy

PAGE = 50
LONGEST_PAGE = 200
OPEN = ("firing", "unknown")
RANK = Case(
    *(When(severity=name, then=Value(rank)) for rank, name in enumerate(("critical", "high", "medium", "low"))),
    default=Value(4), output_field=IntegerField(),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AlertsPage:
    """One page of alerts and where the next begins."""

    alerts: list[Alert]
    next_cursor: str


def _filtered(viewer: Any, state: str, severity: str, owner: str, query: str) -> QuerySet[Alert]:
    rows = Alert.objects.select_related("assignee", "rule")
    states = {
        "open": Q(state__in=OPEN), "firing": Q(state="firing", acked_at__isnull=True),
        "acknowledged": Q(state__in=OPEN, acked_at__isnull=False),
    }  # fmt: skip
    if state and state != "all":
        rows = rows.filter(states.get(state, Q(state=state)))
    if severity:
        rows = rows.filter(severity__in=severity.split(","))
    if owner == "me":
        rows = rows.filter(assignee_id=getattr(viewer, "pk", None))
    elif owner == "nobody":
        rows = rows.filter(assignee__isnull=True)
    elif owner:
        rows = rows.filter(assignee__pk=owner)
    for word in query.split()[:8]:
        rows = rows.filter(_word(word))
    return rows


def _word(word: str) -> Q:
    name, sign, value = word.partition("=")
    if sign:
        return Q(labels__contains={name: value.strip('"')})
    number = word.removeprefix("#")
    return Q(pk=int(number)) if number.isdigit() and len(number) < 19 else Q(name__icontains=word)


def _after(rows: QuerySet[Alert], cursor: str) -> QuerySet[Alert]:
    # Cursor: rank, start in microseconds, id; the order of the list itself, so rows that come meanwhile shift nothing.
    try:
        rank, started_us, pk = (int(part) for part in cursor.split("."))
        started_at = clock.at_seconds(0) + timedelta(microseconds=started_us)
    except (ValueError, OverflowError):
        return rows
    later = Q(started_at__lt=started_at) | Q(started_at=started_at, pk__lt=pk)
    return rows.filter(Q(rank__gt=rank) | (Q(rank=rank) & later))


def _cursor(alert: Alert) -> str:
    started_us = (alert.started_at - clock.at_seconds(0)) // timedelta(microseconds=1)
    rank: int = alert.rank  # type: ignore[attr-defined]
    return f"{rank}.{started_us}.{alert.pk}"


def alerts_page(
    viewer: Any, *, state: str = "open", severity: str = "", owner: str = "", query: str = "", cursor: str = "",
    limit: int = PAGE,
) -> AlertsPage:  # fmt: skip
    """Return a page of alerts, the worst and newest first."""
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = _filtered(viewer, state, severity, owner, query).annotate(rank=RANK).order_by("rank", "-started_at", "-pk")
    found = list(_after(rows, cursor)[: limit + 1])
    more = len(found) > limit
    return AlertsPage(found[:limit], _cursor(found[limit - 1]) if more else "")


def alert_detail(viewer: Any, alert_id: int) -> Alert | None:
    """Return an alert with what its page shows beside it, or None."""
    del viewer  # Per-component roles come later; the signature is what they need.
    stories = Prefetch("escalations", Escalation.objects.order_by("-episode"))
    rows = Alert.objects.select_related("assignee", "rule__group", "source").prefetch_related("links__channel", stories)
    return rows.filter(pk=alert_id).first()


def alert_counts(viewer: Any) -> dict[str, Any]:
    """Return how many alerts are open, by severity, and how many nobody has taken."""
    del viewer
    is_open = Q(state__in=OPEN)
    counts: dict[str, Any] = Alert.objects.aggregate(
        open=Count("pk", filter=is_open),
        firing=Count("pk", filter=Q(state="firing", acked_at__isnull=True)),
        acknowledged=Count("pk", filter=is_open & Q(acked_at__isnull=False)),
        unknown=Count("pk", filter=Q(state="unknown")),
        critical=Count("pk", filter=is_open & Q(severity="critical")),
        high=Count("pk", filter=is_open & Q(severity="high")),
        medium=Count("pk", filter=is_open & Q(severity="medium")),
        low=Count("pk", filter=is_open & Q(severity="low")),
    )
    return counts


def notifications_of(alert: Alert, *, limit: int = 200) -> Sequence[Notification]:
    """Return what was owed for an alert, newest first, each with its tries (`tries.all()`)."""
    rows = Notification.objects.filter(alert=alert).select_related("channel").order_by("-id")
    return list(rows.prefetch_related(Prefetch("tries", DeliveryAttempt.objects.order_by("id")))[:limit])


def events_of(alert: Alert, *, limit: int = 200, before_id: int | None = None) -> Sequence[AlertEvent]:
    """Return the story of an alert, newest first."""
    rows = AlertEvent.objects.filter(alert=alert).order_by("-id")
    return list((rows.filter(pk__lt=before_id) if before_id else rows)[:limit])


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How delivery fares, for the Overview and the Setup page."""

    channels: list[Channel]
    due: int
    failed_last_day: int
    done_last_day: int
    last_sent_at: datetime | None
    nobody_is_told: bool
    audited_at: datetime | None
    findings: dict[str, int]


def delivery_status() -> DeliveryStatus:
    """Return the state of channels and messages; `nobody_is_told` means that no alert would reach anybody."""
    now = clock.now()
    day = Q(finished_at__gt=now - timedelta(days=1))
    counts = Notification.objects.aggregate(
        due=Count("pk", filter=Q(state="due", due_at__lte=now)),
        failed=Count("pk", filter=day & Q(state="failed")),
        done=Count("pk", filter=day & Q(state="done")),
        last=Max("sent_at"),
    )
    channels = list(Channel.objects.order_by("name"))
    routes = Policy.objects.filter(enabled=True).filter(Q(is_default=True) | Q(steps__channels__enabled=True)).exists()
    audit = Heartbeat.objects.filter(name="auditor").first()
    return DeliveryStatus(
        channels=channels, due=counts["due"], failed_last_day=counts["failed"], done_last_day=counts["done"],
        last_sent_at=counts["last"], nobody_is_told=not (routes and any(c.enabled for c in channels)),
        audited_at=audit.at if audit else None,
        findings={name: n for name, n in (audit.detail if audit else {}).items() if n},
    )  # fmt: skip


def versions(topics: Sequence[str]) -> dict[str, int]:
    """Return the newest change of each alert topic (`alert:<id>`), for a page that missed a ring."""
    ids = [int(topic.removeprefix("alert:")) for topic in topics if topic.removeprefix("alert:").isdigit()]
    return {f"alert:{pk}": version for pk, version in Alert.objects.filter(pk__in=ids).values_list("pk", "version")}


def acknowledged_late(*, now: datetime, target_seconds: int = 300) -> QuerySet[Alert]:
    """Return the firing alerts nobody has acknowledged within the target time."""
    late = now - timedelta(seconds=target_seconds)
    rows = Alert.objects.filter(state=AlertState.FIRING.value, acked_at__isnull=True, started_at__lt=late)
    return rows.annotate(rank=RANK).order_by("rank", F("started_at"))
