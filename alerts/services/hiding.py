"""What a silence covers now, and what it would have kept from people in the last week; every question is bounded."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Count, Q, QuerySet

from alerts.engine.alertmanager.matching import Matchers, all_hold
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.alertmanager.route_fields import InhibitRule
from alerts.engine.silencing import covered, inhibited
from alerts.models import Alert, AlertEvent, Inhibition, Notification, Silence
from alerts.services.quieting import NOT_IN_LABELS, OPEN, matchers_from, matchers_of

WEEK = timedelta(days=7)
RECENT = timedelta(days=1)
MOST_OPEN, MOST_ALERTS, MOST_SHOWN, MOST_SILENCES = 5000, 5000, 20, 500
BUDGET_MS = 2000
BEGINNINGS = ("started", "reopened")
FIRES = ("fire", "repeat")


@dataclass(frozen=True, slots=True)
class CoveredNow:
    """Which of the alerts that are open now a silence covers."""

    count: int
    open_count: int
    shown: list[Alert]
    critical: int
    bounded: bool = False


@dataclass(frozen=True, slots=True)
class Hidden:
    """One alert of the last week, and how often people were told of it."""

    alert: Alert
    messages: int
    critical_messages: int


@dataclass(frozen=True, slots=True)
class WouldHave:
    """What would not have been told in the last week."""

    messages: int = 0
    critical_messages: int = 0
    alert_count: int = 0
    firings: int = 0
    shown: list[Hidden] = field(default_factory=list)
    bounded: bool = False
    too_slow: bool = False


def narrowed(rows: QuerySet[Alert], matchers: Matchers) -> QuerySet[Alert]:
    """Return the alerts that matchers may hold for, as far as an index can tell."""
    known = {}
    for each in matchers:
        if each.op == "=" and each.name == "alertname":
            rows = rows.filter(name=each.value)
        elif each.op == "=" and each.value and each.name not in NOT_IN_LABELS:
            known[each.name] = each.value
    return rows.filter(labels__contains=known) if known else rows


def _holding(rows: Iterable[Alert], matchers: Matchers) -> list[Alert]:
    return [alert for alert in rows if all_hold(matchers, as_sent(alert.name, alert.labels))]


def covered_now(matchers: Matchers) -> CoveredNow:
    """Return what matchers cover of the open alerts."""
    is_open = Alert.objects.filter(state__in=OPEN)
    rows = list(narrowed(is_open, matchers).only("name", "labels", "severity", "state").order_by("-id")[:MOST_OPEN])
    held = _holding(rows, matchers)
    critical = sum(alert.severity == "critical" for alert in held)
    return CoveredNow(len(held), is_open.count(), held[:MOST_SHOWN], critical, len(rows) == MOST_OPEN)


def counts_now(silences: Iterable[Silence]) -> dict[Any, int]:
    """Return for each silence how many open alerts it covers; one query for all."""
    held = {row.pk: matchers_from(row.matchers) for row in silences}
    return covered(held, open_labels()) if held else {}


def silences_of(alert: Alert, now: datetime) -> list[Silence]:
    """Return the silences that cover an alert: those to come, those that hold, and those that ended within a day."""
    sent = as_sent(alert.name, alert.labels)
    rows = Silence.objects.filter(ends_at__gt=now - RECENT).order_by("-ends_at")[:MOST_SILENCES]
    return [row for row in rows if all_hold(matchers_from(row.matchers), sent)]


def silenced_now(alerts: Iterable[Alert], now: datetime) -> dict[int, Silence]:
    """Return which of some alerts are silenced, each with the silence that lasts longest; one query for all."""
    rows = Silence.objects.filter(starts_at__lte=now, ends_at__gt=now).order_by("-ends_at")[:MOST_SILENCES]
    held = [(row, matchers_from(row.matchers)) for row in rows]
    found = {}
    for alert in alerts:
        sent, critical = as_sent(alert.name, alert.labels), alert.severity == "critical"
        fits = (r for r, each in held if not (critical and r.lets_critical_through) and all_hold(each, sent))
        if (row := next(fits, None)) is not None:
            found[alert.pk] = row
    return found


def open_labels() -> list[dict[str, str]]:
    """Return the labels of the open alerts as they were sent, the newest first."""
    rows = Alert.objects.filter(state__in=OPEN).order_by("-id").values_list("name", "labels")[:MOST_OPEN]
    return [as_sent(name, labels) for name, labels in rows]


def inhibits_now(rows: Iterable[Inhibition]) -> dict[Any, int]:
    """Return for each inhibition how many open alerts it keeps quiet now."""
    held = {
        row.pk: InhibitRule(
            row.name, matchers_of(row.source_matchers), matchers_of(row.target_matchers), tuple(row.equal)
        )
        for row in rows if row.enabled
    }  # fmt: skip
    labels = open_labels() if held else []
    return {key: len(inhibited(rule, labels)) for key, rule in held.items()}


def inhibited_now(row: Inhibition) -> list[tuple[Alert, Alert]]:
    """Return the open alerts an inhibition keeps quiet, each with the one that does."""
    alerts = list(Alert.objects.filter(state__in=OPEN).only("name", "labels", "severity").order_by("-id")[:MOST_OPEN])
    rule = InhibitRule(row.name, matchers_of(row.source_matchers), matchers_of(row.target_matchers), tuple(row.equal))
    kept = inhibited(rule, [as_sent(alert.name, alert.labels) for alert in alerts])
    return [(alerts[each.target], alerts[each.source]) for each in kept[:MOST_SHOWN]]


def would_have_hidden(matchers: Matchers, *, now: datetime, lets_critical_through: bool = False) -> WouldHave:
    """Return what people would not have heard in the last week; what takes too long is said to."""
    try:
        with transaction.atomic():
            _budget(BUDGET_MS)
            found = _would_have(matchers, now - WEEK, lets_critical_through)
            _budget(0)
    except OperationalError:
        return WouldHave(too_slow=True)
    return found


def _budget(milliseconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])


def _would_have(matchers: Matchers, since: datetime, lets_critical_through: bool) -> WouldHave:
    of_late = Alert.objects.filter(Q(started_at__gt=since) | Q(resolved_at__gt=since) | Q(state__in=OPEN))
    rows = list(narrowed(of_late, matchers).only("name", "labels", "severity").order_by("-started_at")[:MOST_ALERTS])
    held = {alert.pk: alert for alert in _holding(rows, matchers)}
    told = _told(held, since, lets_critical_through)
    firings = AlertEvent.objects.filter(alert_id__in=held, kind__in=BEGINNINGS, at__gt=since).count() if held else 0
    hidden = [Hidden(alert, *told.get(key, (0, 0))) for key, alert in held.items()]
    hidden.sort(key=lambda each: (-each.critical_messages, -each.messages, -each.alert.pk))
    return WouldHave(
        messages=sum(each.messages for each in hidden), alert_count=len(hidden), firings=firings,
        critical_messages=sum(each.critical_messages for each in hidden), shown=hidden[:MOST_SHOWN],
        bounded=len(rows) == MOST_ALERTS,
    )  # fmt: skip


def _told(held: Mapping[int, Alert], since: datetime, lets_critical_through: bool) -> dict[int, tuple[int, int]]:
    """Return how many messages each alert made that were not kept back, and how many of them were critical."""
    if not held:
        return {}
    sent = Notification.objects.filter(alert_id__in=held, kind__in=FIRES, created_at__gt=since)
    counted = (
        sent.exclude(state="cancelled")
        .values_list("alert_id", "payload__severity")
        .order_by()
        .annotate(count=Count("id"))
    )
    found: dict[int, tuple[int, int]] = {}
    for alert_id, severity, count in counted:
        critical = severity == "critical"
        if alert_id is None or (critical and lets_critical_through):
            continue
        messages, criticals = found.get(alert_id, (0, 0))
        found[alert_id] = (messages + count, criticals + count * critical)
    return found
