"""What can be read of incidents: the list, one with its alerts, and its story; each in a fixed number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from alerts.models import Alert, AlertEvent, ChangeEvent, Incident, IncidentEvent, IncidentMember

PAGE = 50
MAX_ID = 2**63 - 1
MOST_MEMBERS = 200
MOST_EVENTS = 300
MOST_COUNTED = 1000
OPEN = ("firing", "unknown")
TABS = ("open", "resolved", "all")
BEFORE, AFTER = timedelta(hours=2), timedelta(minutes=10)
RANK = Case(
    *(When(severity=name, then=Value(rank)) for rank, name in enumerate(("critical", "high", "medium", "low"))),
    default=Value(4), output_field=IntegerField(),
)  # fmt: skip
# Of one alert, made by a rule, that nobody has touched: it says no more than the alert itself.
SINGLE = Q(alerts__lte=1, assignee=None, acked_at=None) & ~Q(rule_name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which incidents are asked for, as the address says."""

    tab: str = "open"
    severity: str = ""
    owner: str = ""
    text: str = ""
    single: bool = False  # Also those of one alert that nobody has touched.
    before: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of incidents: each has `firing` and `untaken`, the number of alerts that fire and that nobody has."""

    incidents: list[Incident]
    following: str
    counts: dict[str, str]
    singles: int


def _searched(viewer: Any, asked: Asked) -> QuerySet[Incident]:
    rows = Incident.objects.filter(merged_into=None)
    if asked.severity:
        rows = rows.filter(severity=asked.severity)
    if asked.owner == "me":
        rows = rows.filter(Q(assignee=viewer) | Q(acked_by=viewer.email))
    elif asked.owner == "none":
        rows = rows.filter(assignee=None, acked_at=None)
    number = asked.text.removeprefix("#")
    if number.isdecimal() and len(number) < 19:
        return Incident.objects.filter(pk=int(number))
    return rows.filter(Q(name__icontains=asked.text) | Q(key__icontains=asked.text)) if asked.text else rows


def _counted(rows: QuerySet[Incident]) -> str:
    found = rows[: MOST_COUNTED + 1].count()
    return f"{MOST_COUNTED}+" if found > MOST_COUNTED else str(found)


def incidents_page(viewer: Any, asked: Asked) -> Listed:
    """Return a page: the worst and newest first while open, the newest first otherwise."""
    found = _searched(viewer, asked)
    singles = found.filter(SINGLE, state="open")[:MOST_COUNTED].count()
    shown = found if asked.single or asked.text else found.exclude(SINGLE)
    tabs = {"open": Q(state="open"), "resolved": Q(state="resolved"), "all": Q()}
    rows = shown.filter(tabs[asked.tab]).select_related("assignee")
    if asked.tab == "open":
        rows = rows.annotate(rank=RANK).order_by("rank", "-id")
    else:
        rows = rows.order_by("-id")
        if asked.before.isdecimal() and int(asked.before) <= MAX_ID:
            rows = rows.filter(pk__lt=int(asked.before))
    page = list(rows[: MOST_MEMBERS if asked.tab == "open" else PAGE + 1])
    following = str(page[PAGE - 1].pk) if asked.tab != "open" and len(page) > PAGE else ""
    page = page if asked.tab == "open" else page[:PAGE]
    _attach_members(page)
    counts = {name: _counted(shown.filter(where)) for name, where in tabs.items()}
    return Listed(page, following, counts, singles)


def _attach_members(incidents: Sequence[Incident]) -> None:
    rows = IncidentMember.objects.filter(incident__in=[row.pk for row in incidents], current=True)
    told = rows.values("incident").annotate(
        firing=Count("pk", filter=Q(alert__state__in=OPEN)),
        untaken=Count("pk", filter=Q(alert__state__in=OPEN, alert__acked_at=None)),
    )
    counted = {row["incident"]: row for row in told}
    for incident in incidents:
        known = counted.get(incident.pk, {"firing": 0, "untaken": 0})
        incident.firing, incident.untaken = known["firing"], known["untaken"]  # type: ignore[attr-defined]


def attach_incidents(alerts: Sequence[Alert]) -> None:
    """Give each alert `member`: its place in the incident it is in with others, or None."""
    ids = [alert.pk for alert in alerts]
    rows = IncidentMember.objects.filter(alert__in=ids, current=True, incident__alerts__gt=1)
    found = {row.alert_id: row for row in rows.select_related("incident")}
    for alert in alerts:
        alert.member = found.get(alert.pk)  # type: ignore[attr-defined]


def inbox_rows(alerts: Sequence[Alert], *, together: bool) -> list[Alert]:
    """Return alerts each with its `member`; `together` puts those of one incident side by side, the others last."""
    attach_incidents(alerts)
    if not together:
        return list(alerts)
    order: dict[int | None, int] = {}
    for alert in alerts:
        member = alert.member  # type: ignore[attr-defined]
        order.setdefault(member.incident_id if member else None, len(order))
    order[None] = len(alerts)
    return sorted(
        alerts,
        key=lambda alert: order[alert.member.incident_id if alert.member else None],  # type: ignore[attr-defined]
    )


def member_of(alert: Alert) -> IncidentMember | None:
    """Return the place of an alert in the incident it is in, or None."""
    return IncidentMember.objects.filter(alert=alert, current=True).select_related("incident").first()


def incident_of_page(incident_id: int) -> Incident | None:
    """Return an incident with its owner and what it was merged into, or None."""
    rows = Incident.objects.select_related("assignee", "rule", "merged_into")
    return rows.filter(pk=incident_id).first() if incident_id <= MAX_ID else None


def open_count() -> int:
    """Return how many incidents of more than one alert are open."""
    return Incident.objects.filter(state="open").exclude(SINGLE)[:MOST_COUNTED].count()


def others_open(incident: Incident, limit: int = 30) -> list[Incident]:
    """Return other open incidents, which this one may take in."""
    rows = Incident.objects.filter(state="open", merged_into=None).exclude(pk=incident.pk)
    return list(rows.annotate(rank=RANK).order_by("rank", "-id")[:limit])


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a strip of time, in thousandths of its width."""

    name: str
    x: float
    width: float


@dataclass(slots=True)
class Shown:
    """An alert of an incident as its page shows it."""

    member: IncidentMember
    bars: list[Bar] = field(default_factory=list)

    @property
    def alert(self) -> Alert:
        """Return the alert."""
        return self.member.alert


def members_shown(incident: Incident, start: datetime, end: datetime) -> list[Shown]:
    """Return the alerts of an incident in the order they came, each with when it fired between two times."""
    members = IncidentMember.objects.filter(incident=incident, current=True).select_related("alert__assignee")
    rows = list(members.order_by("joined_at", "id")[:MOST_MEMBERS])
    kinds = ("started", "fired", "reopened", "resolved")
    told = AlertEvent.objects.filter(alert__in=[row.alert_id for row in rows], at__gte=start, kind__in=kinds)
    story: dict[int, list[tuple[datetime, str]]] = {}
    for pk, at, kind in told.order_by("id").values_list("alert_id", "at", "kind")[: MOST_MEMBERS * 20]:
        story.setdefault(pk, []).append((at, kind))
    return [Shown(row, bars_of(row.alert, story.get(row.alert_id, []), start, end)) for row in rows]


def bars_of(alert: Alert, story: Sequence[tuple[datetime, str]], start: datetime, end: datetime) -> list[Bar]:
    """Return when an alert fired between two times, as pieces of a strip."""
    spans: list[tuple[datetime, datetime]] = []
    began = start if story and story[0][1] == "resolved" else None
    if not story and alert.state in OPEN:
        began = max(start, alert.started_at)
    for at, kind in story:
        if kind == "resolved" and began is not None:
            spans.append((began, at))
            began = None
        elif kind != "resolved" and began is None:
            began = at
    if began is not None:
        spans.append((began, end))
    whole = max(1.0, (end - start).total_seconds())
    return [piece for since, until in spans for piece in _pieces(alert, since, until, start, whole)]


def _pieces(alert: Alert, since: datetime, until: datetime, start: datetime, whole: float) -> Iterable[Bar]:
    acked_at = alert.acked_at
    parts = [("firing", since, until)]
    if acked_at is not None and since <= acked_at < until:
        parts = [("firing", since, acked_at), ("acknowledged", acked_at, until)]
    for name, begins, ends in parts:
        x = (begins - start).total_seconds() / whole * 1000
        yield Bar(name, round(x, 1), round(max(4.0, (ends - begins).total_seconds() / whole * 1000), 1))


def left_of(incident: Incident, limit: int = 50) -> list[IncidentMember]:
    """Return alerts that were in an incident and are no more, the latest first."""
    rows = IncidentMember.objects.filter(incident=incident, current=False).select_related("alert")
    return list(rows.order_by("-left_at", "-id")[:limit])


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of an incident's story, whoever tells it."""

    at: datetime
    source: str  # incident, alert, change.
    kind: str
    who: str
    what: str
    why: str = ""
    alert_id: int | None = None
    url: str = ""
    id: str = ""


def timeline(incident: Incident, changes: Sequence[ChangeEvent], limit: int = MOST_EVENTS) -> list[Moment]:
    """Return the story newest first: of the incident, of its alerts since it began, and of changes around its start."""
    own = list(IncidentEvent.objects.filter(incident=incident).order_by("-id")[:limit])
    members = IncidentMember.objects.filter(incident=incident).values("alert")
    theirs = AlertEvent.objects.filter(alert__in=members, at__gte=incident.opened_at - timedelta(seconds=5))
    if incident.resolved_at is not None:
        theirs = theirs.filter(at__lte=incident.resolved_at + timedelta(hours=1))
    moments = [
        *map(_of_incident, own),
        *map(_of_alert, theirs.select_related("alert").order_by("-id")[:limit]),
        *map(_of_change, changes),
    ]
    return sorted(moments, key=lambda moment: (moment.at, moment.id), reverse=True)[:limit]


def changes_around(incident: Incident, limit: int = 50) -> list[ChangeEvent]:
    """Return what was deployed, built or otherwise changed shortly before an incident began."""
    opened_at = incident.opened_at
    rows = ChangeEvent.objects.filter(at__gte=opened_at - BEFORE, at__lte=opened_at + AFTER)
    return list(rows.select_related("integration").order_by("-at", "-id")[:limit])


def _who(kind: str, actor: str) -> str:
    return "" if kind == "system" else actor


def _of_incident(event: IncidentEvent) -> Moment:
    name = event.data.get("name", "") if event.alert_number else ""
    return Moment(
        event.at, "incident", event.kind, _who(event.actor_kind, event.actor), str(name), event.reason,
        alert_id=event.alert_number, id=f"i{event.pk}",
    )  # fmt: skip


def _of_alert(event: AlertEvent) -> Moment:
    return Moment(
        event.at, "alert", event.kind, _who(event.actor_kind, event.actor), event.alert.name, event.reason,
        alert_id=event.alert_id, id=f"a{event.pk}",
    )  # fmt: skip


def _of_change(change: ChangeEvent) -> Moment:
    return Moment(
        change.at, "change", change.kind, str(change.integration or ""), change.name, change.summary or change.status,
        url=change.url, id=f"c{change.pk}",
    )  # fmt: skip
