"""What can be read of alerts and deliveries. Pages are keyset pages and every call has a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)

from aivillage_console.lib import clock
from alerts.engine.states import AlertState
from alerts.models import (
    Alert,
    AlertEvent,
    ChangeEvent,
    Channel,
    DeliveryAttempt,
    Escalation,
    Heartbeat,
    InboundKey,
    InboundMessage,
    Integration,
    Notification,
    Policy,
    Rule,
    RuleGroup,
    RuleState,
)

PAGE = 50
MAX_ID = 2**63 - 1
MOST_COUNTED = 1000
HISTORY_HOURS = 24
BLOCK_PX, BLOCK_GAP_PX, BLOCK_HEIGHT_PX = 4, 1, 14
LONGEST_PAGE = 200
OPEN = ("firing", "unknown")
FAILING = Q(health="unknown")
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
    # Without the finished ones: they are nearly all rows, and the partial index leaves them out.
    counts: dict[str, Any] = Alert.objects.exclude(state=AlertState.RESOLVED.value).aggregate(
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


def delivery_status(*, now: datetime) -> DeliveryStatus:
    """Return the state of channels and messages; `nobody_is_told` means that no alert would reach anybody."""
    # Each part reads the rows of its own partial index; finished messages are many.
    last_day = Notification.objects.exclude(state="due").filter(finished_at__gt=now - timedelta(days=1))
    counts = last_day.aggregate(
        failed=Count("pk", filter=Q(state="failed")), done=Count("pk", filter=Q(state="done"))
    ) | {"due": Notification.objects.filter(state="due", due_at__lte=now).count()}
    sent = Notification.objects.filter(state="done").exclude(finished_at=None).order_by("-finished_at")
    counts["last"] = sent.values_list("sent_at", flat=True).first()
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


def rule_groups_with_states(viewer: Any, *, most_states: int = 20_000) -> QuerySet[RuleGroup]:
    """Return the groups that are switched on with their rules and where each label set stands, in order."""
    del viewer
    newest = RuleState.objects.order_by("-pk").values("pk")[:most_states]
    states = Prefetch("states", RuleState.objects.filter(pk__in=newest).order_by("pk"))
    rules = Prefetch("rules", Rule.objects.order_by("position", "name").prefetch_related(states))
    return RuleGroup.objects.filter(enabled=True).order_by("name").prefetch_related(rules)


def acknowledged_late(*, now: datetime, target_seconds: int = 300) -> QuerySet[Alert]:
    """Return the firing alerts nobody has acknowledged within the target time."""
    late = now - timedelta(seconds=target_seconds)
    rows = Alert.objects.filter(state=AlertState.FIRING.value, acked_at__isnull=True, started_at__lt=late)
    return rows.annotate(rank=RANK).order_by("rank", F("started_at"))


TABS = {
    "open": Q(state__in=OPEN),
    "unacknowledged": Q(state="firing", acked_at__isnull=True, snoozed_until__isnull=True),
    "acknowledged": Q(state__in=OPEN, acked_at__isnull=False),
    "snoozed": Q(state__in=OPEN, snoozed_until__isnull=False),
    "stale": Q(state="unknown"),
    "flapping": Q(flapping_until__isnull=False),
    "pending": Q(state="pending"),
    "resolved": Q(state="resolved"),
    "all": Q(),
}


@dataclass(frozen=True, slots=True)
class Inbox:
    """One tab of the inbox: its rows, where the next page begins, and how many each tab holds."""

    alerts: list[Alert]
    next_cursor: str
    counts: dict[str, str]


def _searched(viewer: Any, severity: str, owner: str, text: str, cause: str = "") -> QuerySet[Alert]:
    rows = Alert.objects.filter(severity=severity) if severity else Alert.objects.all()
    rows = rows.filter(state="resolved", resolved_cause=cause) if cause else rows
    if owner == "me":
        rows = rows.filter(Q(assignee=viewer) | Q(acked_by=viewer.email))
    elif owner == "none":
        rows = rows.filter(assignee=None, acked_at=None)
    number = text.removeprefix("#")
    if number.isdecimal() and len(number) < 19:
        return rows.filter(pk=int(number))
    return rows.filter(Q(name__icontains=text) | Q(labels__icontains=text)) if text else rows


def _tab_counts(rows: QuerySet[Alert]) -> dict[str, str]:
    # Open alerts are few and indexed; of the finished ones no more than a screenful of digits is ever counted.
    live = {name: Count("pk", filter=where) for name, where in TABS.items() if name not in ("resolved", "all")}
    counts = rows.exclude(state=AlertState.RESOLVED.value).aggregate(**live, unresolved=Count("pk"))
    resolved = rows.filter(state=AlertState.RESOLVED.value)[: MOST_COUNTED + 1].count()
    more = "+" if resolved > MOST_COUNTED else ""
    resolved = min(resolved, MOST_COUNTED)
    everything = counts.pop("unresolved") + resolved
    return {name: str(n) for name, n in counts.items()} | {
        "resolved": f"{resolved}{more}",
        "all": f"{everything}{more}",
    }


def _oldest_after(rows: QuerySet[Alert], cursor: str) -> QuerySet[Alert]:
    try:
        rank, started_us, pk = (int(part) for part in cursor.split("."))
        started_at = clock.at_seconds(0) + timedelta(microseconds=started_us)
    except (ValueError, OverflowError):
        return rows
    if not 0 < pk <= MAX_ID:
        return rows
    later = Q(started_at__gt=started_at) | Q(started_at=started_at, pk__gt=pk)
    return rows.filter(Q(rank__gt=rank) | (Q(rank=rank) & later)) if abs(rank) < MOST_COUNTED else rows


def inbox(
    viewer: Any, *, tab: str, severity: str = "", owner: str = "", text: str = "", cursor: str = "", now: datetime,
    cause: str = "",
) -> Inbox:  # fmt: skip
    """Return a tab: the worst and oldest first while open, the newest first once finished; each row has `hours`."""
    found = _searched(viewer, severity, owner, text, cause)
    rows = found.filter(TABS[tab]).select_related("assignee")
    if tab in ("resolved", "all"):
        rows = rows.order_by("-pk")
        if cursor.isdecimal() and int(cursor) <= MAX_ID:
            rows = rows.filter(pk__lt=int(cursor))
    else:
        rows = _oldest_after(rows.annotate(rank=RANK).order_by("rank", "started_at", "pk"), cursor)
    shown = list(rows[: PAGE + 1])
    alerts, following = shown[:PAGE], ""
    if len(shown) > PAGE:
        following = str(alerts[-1].pk) if tab in ("resolved", "all") else _cursor(alerts[-1])
    _attach_hours(alerts, now)
    return Inbox(alerts, following, _tab_counts(found))


def _attach_hours(alerts: list[Alert], now: datetime) -> None:
    since = now - timedelta(hours=HISTORY_HOURS)
    kinds = ("started", "fired", "reopened", "resolved")
    told = AlertEvent.objects.filter(alert__in=[a.pk for a in alerts], at__gte=since, kind__in=kinds)
    story: dict[int, list[tuple[datetime, str]]] = {}
    for pk, at, kind in told.order_by("-at").values_list("alert_id", "at", "kind")[: PAGE * HISTORY_HOURS]:
        story.setdefault(pk, []).insert(0, (at, kind))
    for alert in alerts:
        alert.hours = hour_blocks(firing_hours(alert, story.get(alert.pk, []), now))  # type: ignore[attr-defined]


def firing_hours(alert: Alert, story: Sequence[tuple[datetime, str]], now: datetime) -> list[bool]:
    """Tell for each of the last 24 hours whether the alert fired in it."""
    since = now - timedelta(hours=HISTORY_HOURS)
    ends = [(at, kind == "resolved") for at, kind in story]
    is_open = alert.state in OPEN
    began: datetime | None = since if (ends and ends[0][1]) or (not ends and is_open) else None
    if began and not ends and alert.started_at > since:
        began = alert.started_at
    spans: list[tuple[datetime, datetime]] = []
    for at, over in ends:
        if over and began is not None:
            spans.append((began, at))
            began = None
        elif not over and began is None:
            began = at
    if began is not None:
        spans.append((began, now))
    hours = [since + timedelta(hours=i) for i in range(HISTORY_HOURS)]
    return [any(start < hour + timedelta(hours=1) and end >= hour for start, end in spans) for hour in hours]


def hour_blocks(hours: Sequence[bool]) -> dict[str, Any]:
    """Return the hours as two outlines, quiet and firing, for one small drawing."""
    box = f"h{BLOCK_PX}v{BLOCK_HEIGHT_PX}h-{BLOCK_PX}z"
    paths = {True: "", False: ""}
    for place, fired in enumerate(hours):
        paths[fired] += f"M{place * (BLOCK_PX + BLOCK_GAP_PX)} 0{box}"
    return {"fired": paths[True], "quiet": paths[False], "count": sum(hours)}


def open_count() -> int:
    """Return how many alerts nobody has taken yet."""
    return Alert.objects.filter(TABS["unacknowledged"]).count()


def alert_of_page(alert_id: int) -> Alert | None:
    """Return an alert with its rule, group and owner, or None."""
    rows = Alert.objects.select_related("rule__group", "assignee")
    return rows.filter(pk=alert_id).first() if alert_id <= MAX_ID else None


def worst_open(limit: int = 5) -> list[Alert]:
    """Return the open alerts that matter most: the worst severity first, in it the oldest."""
    rows = Alert.objects.filter(state__in=OPEN).select_related("assignee").annotate(rank=RANK)
    return list(rows.order_by("rank", "started_at", "pk")[:limit])


def last_resolved_at() -> datetime | None:
    """Return when an alert last ended."""
    newest: datetime | None = Alert.objects.filter(state="resolved").aggregate(at=Max("resolved_at"))["at"]
    return newest


def ready_made_seen() -> bool:
    """Tell whether anybody ever sent a ready-made alert."""
    return Alert.objects.filter(rule=None).exists()


def escalation_of(alert: Alert) -> Escalation | None:
    """Return the policy that runs for the present episode."""
    return Escalation.objects.filter(alert=alert, episode=alert.episode).first()


def channel_names(ids: Sequence[str]) -> dict[str, str]:
    """Return the names of channels by id."""
    return {str(pk): name for pk, name in Channel.objects.filter(pk__in=ids).values_list("pk", "name")}


def episodes_before(alert: Alert, limit: int = 5) -> list[dict[str, Any]]:
    """Return the last finished episodes: when each began and ended, and what ended it."""
    rows = AlertEvent.objects.filter(alert=alert, episode__lt=alert.episode, kind__in=("started", "fired", "resolved"))
    found: dict[int, dict[str, Any]] = {}
    for event in rows.order_by("-id")[: limit * 4]:
        one = found.setdefault(event.episode, {"number": event.episode})
        if event.kind == "resolved":
            one |= {"ended_at": event.at, "because": event.reason, "by": event.actor}
        else:
            one["began_at"] = event.at
    return list(found.values())[:limit]


def fires_since(alert: Alert, since: datetime) -> int:
    """Return how often the alert fired since a time."""
    return AlertEvent.objects.filter(alert=alert, kind__in=("started", "fired", "reopened"), at__gte=since).count()


def reopened_times(alert: Alert) -> int:
    """Return how often the present episode was reopened: by itself, at a receiver or by hand."""
    if not alert.repeat_no:
        return 0
    return AlertEvent.objects.filter(alert=alert, episode=alert.episode, kind="reopened").count()


def notification(notification_id: int) -> Notification | None:
    """Return one message, or None."""
    return Notification.objects.filter(pk=notification_id).first() if notification_id <= MAX_ID else None


def notifications_page(*, state: str = "", before: str = "") -> tuple[list[Notification], str]:
    """Return messages, newest first, each with its tries, and where the next page begins."""
    rows = Notification.objects.prefetch_related(Prefetch("tries", DeliveryAttempt.objects.order_by("id")))
    rows = rows.order_by("-id")
    if state:
        rows = rows.filter(state=state)
    if before.isdecimal() and int(before) <= MAX_ID:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows[: PAGE + 1])
    return shown[:PAGE], str(shown[PAGE - 1].pk) if len(shown) > PAGE else ""


@dataclass(frozen=True, slots=True)
class RulesStatus:
    """How evaluation fares."""

    rules: int
    last_at: datetime | None
    failing: list[Rule]


def rules_status() -> RulesStatus:
    """Return how many rules watch, when they last did, and which fail."""
    rules = Rule.objects.filter(enabled=True, group__enabled=True)
    facts = rules.aggregate(n=Count("pk"), last=Max("group__last_evaluated_at"), bad=Count("pk", filter=FAILING))
    return RulesStatus(facts["n"], facts["last"], list(rules.filter(FAILING)[:5]) if facts["bad"] else [])


def rule_spec(default_key: str) -> dict[str, Any]:
    """Return what a shipped rule asks now; empty where it was deleted or switched off."""
    found = Rule.objects.filter(default_key=default_key, enabled=True).values_list("spec", flat=True).first()
    return dict(found or {})


def channels(limit: int) -> list[Channel]:
    """Return the first channels by name."""
    return list(Channel.objects.order_by("name")[:limit])


def integrations(limit: int) -> list[Integration]:
    """Return the first integrations by name, each with when it was last heard and what came of that."""
    newest = InboundMessage.objects.filter(integration=OuterRef("pk")).order_by("-id")
    return list(
        Integration.objects.annotate(
            heard_at=Subquery(newest.values("received_at")[:1]), heard_state=Subquery(newest.values("state")[:1]),
            heard_outcome=Subquery(newest.values("outcome")[:1]),
        ).order_by("name")[:limit]
    )  # fmt: skip


def inbound_message(integration: Integration, request_id: Any) -> InboundMessage | None:
    """Return a message by what its sender was told."""
    return InboundMessage.objects.filter(integration=integration, request_id=request_id).first()


def inbound_key_of(integration: Integration, number: str) -> str:
    """Return what the tool calls an alert of that number; empty where it told of none."""
    if not number.isdecimal() or int(number) > MAX_ID:
        return ""
    found = InboundKey.objects.filter(integration=integration, alert_id=int(number)).values_list("key", flat=True)
    return found.first() or ""


def inbound_key_of_request(integration: Integration, text: str) -> str:
    """Return the key that came of a request; empty for what is the id of none."""
    try:
        request_id = UUID(text)
    except ValueError:
        return ""
    found = inbound_message(integration, request_id)
    return found.key if found else ""


def inbound_messages(integration: Integration, limit: int) -> list[InboundMessage]:
    """Return the newest messages of an integration."""
    return list(InboundMessage.objects.filter(integration=integration).order_by("-id")[:limit])


def changes_newest(limit: int) -> list[ChangeEvent]:
    """Return the newest changes."""
    return list(ChangeEvent.objects.select_related("integration").order_by("-at", "-id")[:limit])


def changes_between(start: datetime, end: datetime, limit: int = 50) -> list[ChangeEvent]:
    """Return what was deployed, built or otherwise changed on purpose in a window, newest first."""
    return list(ChangeEvent.objects.filter(at__gte=start, at__lte=end).order_by("-at", "-id")[:limit])
