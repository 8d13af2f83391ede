"""What people do to incidents. Each takes the version the person saw and refuses when the incident has moved on.

A change of the incident is one transaction, under the lock of `correlate`; what it means for its alerts is done to each
in a transaction of its own, for no two alerts are ever held at once.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import live
from alerts.engine.correlation import IncidentState
from alerts.models import Alert, Incident, IncidentEvent, IncidentMember
from alerts.services import actions
from alerts.services.actions import NotPossible
from alerts.services.correlate import JOINED, OPEN, hold, worst

MOST_ALERTS = 200
MOST_MERGED = 50
TRIES = 3
Act = Callable[..., Alert]


class StaleIncident(Exception):
    """Somebody or something changed the incident meanwhile; `incident` is how it stands now."""

    def __init__(self, incident: Incident) -> None:
        """Keep the fresh incident for the door to show."""
        super().__init__(f"incident #{incident.pk} is at version {incident.version}")
        self.incident = incident


def _described(row: Incident) -> dict[str, Any]:
    return {
        "name": row.name, "state": row.state, "severity": row.severity, "alerts": row.alerts,
        "assignee": str(row.assignee_id or ""), "version": row.version,
    }  # fmt: skip


def _locked(incident_id: int, version: int) -> Incident:
    hold()
    row = Incident.objects.select_for_update().get(pk=incident_id)
    if row.version != version:
        raise StaleIncident(row)
    if row.merged_into_id is not None:
        raise NotPossible(f"It was merged into incident #{row.merged_into_id}; act on that one.")
    return row


def told_of(
    row: Incident, kind: str, *, actor: Actor, reason: str, now: datetime, alert_number: int | None = None, **data: Any
) -> None:
    """Append to the story of an incident, and ring for the pages that show it."""
    origin = {"via": actor.via} if actor.via else {}
    IncidentEvent.objects.create(
        incident=row, at=now, actor_kind=actor.kind, actor=actor.label, kind=kind, reason=reason,
        data={**data, **origin}, alert_number=alert_number,
    )  # fmt: skip
    for topic in ("incidents", f"incident:{row.pk}"):
        live.ring(topic)


def _act(
    incident_id: int, version: int, actor: Actor, kind: str, reason: str, now: datetime,
    change: Callable[[Incident], dict[str, Any]],
) -> Incident:  # fmt: skip
    with transaction.atomic():
        row = _locked(incident_id, version)
        before = _described(row)
        more = change(row)
        row.version, row.updated_at = row.version + 1, now
        row.save()
        told_of(row, kind, actor=actor, reason=reason, now=now, **more)
        audit(actor, f"incident.{kind}", row, before=before, after={**_described(row), "reason": reason}, now=now)
    return row


def members_of(row: Incident) -> list[IncidentMember]:
    """Return the alerts that are in an incident now."""
    return list(IncidentMember.objects.filter(incident=row, current=True).select_related("alert"))


def recount(row: Incident, now: datetime, *, because: str = "its alerts have ended") -> None:
    """Put what its members make of an incident into it; the caller saves."""
    alerts = [member.alert for member in members_of(row)]
    row.alerts = len(alerts)
    row.severity = worst((alert.severity for alert in alerts), row.severity)
    fires = any(alert.state in OPEN for alert in alerts)
    if fires and row.state != IncidentState.OPEN:
        row.state, row.resolved_at, row.resolved_because, row.settle_at = IncidentState.OPEN.value, None, "", None
    elif not fires and row.state == IncidentState.OPEN:
        row.state, row.resolved_at, row.resolved_because = IncidentState.RESOLVED.value, now, because


def move(
    members: Iterable[IncidentMember], target: Incident, *, because: str, reason: str, actor: Actor, now: datetime
) -> None:
    """Take members out of their incidents and put them into another one; the earlier rows stay as history."""
    rows = list(members)
    IncidentMember.objects.filter(pk__in=[row.pk for row in rows]).update(
        current=False, listed=False, left_at=now, left_because=because[:300]
    )
    IncidentMember.objects.bulk_create(
        [
            IncidentMember(
                incident=target, alert_id=row.alert_id, joined_at=row.joined_at, rule_name=row.rule_name,
                values=row.values, distance_seconds=row.distance_seconds, reason=f"{row.reason}; {reason}",
                added_by=actor.label, listed=row.listed,
            )
            for row in rows
        ],
        update_conflicts=True, unique_fields=["incident", "alert"], update_fields=JOINED,
    )  # fmt: skip


def _each(members: Sequence[IncidentMember], act: Act, wanted: Callable[[Alert], bool], **given: Any) -> int:
    """Do something to each alert that wants it, in its present version; return to how many."""
    return sum(_one(member.alert_id, act, wanted, **given) for member in members)


def _one(alert_id: int, act: Act, wanted: Callable[[Alert], bool], **given: Any) -> bool:
    for _ in range(TRIES):
        alert = Alert.objects.filter(pk=alert_id).first()
        if alert is None or not wanted(alert):
            return False
        try:
            act(alert_id=alert_id, version=alert.version, **given)
        except actions.StaleVersion:
            continue
        except NotPossible:
            return False
        return True
    return False


def incident_acknowledge(*, incident_id: int, version: int, actor: Actor, reason: str = "", now: datetime) -> Incident:
    """Take an incident on: each of its alerts that fires and that nobody has taken is acknowledged."""

    def change(row: Incident) -> dict[str, Any]:
        if row.state != IncidentState.OPEN:
            raise NotPossible("The incident is resolved; there is nothing to acknowledge.")
        row.acked_at, row.acked_by = now, actor.label
        return {}

    row = _act(incident_id, version, actor, "acknowledged", reason, now, change)
    because = reason or f"incident #{row.pk}"
    _each(
        members_of(row), actions.alert_acknowledge, lambda alert: alert.state in OPEN and alert.acked_at is None,
        actor=actor, reason=because, now=now,
    )  # fmt: skip
    return row


def incident_resolve(*, incident_id: int, version: int, actor: Actor, reason: str = "", now: datetime) -> Incident:
    """End an incident by hand, and each of its alerts; each stays silent until its condition has ended once."""

    def change(row: Incident) -> dict[str, Any]:
        if row.state != IncidentState.OPEN:
            raise NotPossible("The incident is resolved already.")
        row.state, row.resolved_at, row.settle_at = IncidentState.RESOLVED.value, now, None
        row.resolved_because, row.open_key = (reason or f"resolved by {actor.label}")[:300], ""
        return {}

    row = _act(incident_id, version, actor, "resolved", reason, now, change)
    because = reason or f"incident #{row.pk} was resolved by {actor.label}"
    _each(
        members_of(row), actions.alert_resolve, lambda alert: alert.state in OPEN, actor=actor, reason=because, now=now
    )
    return row


def incident_assign(
    *, incident_id: int, version: int, actor: Actor, assignee_id: Any, reason: str = "", now: datetime
) -> Incident:
    """Name who commands, or nobody (None)."""

    def change(row: Incident) -> dict[str, Any]:
        row.assignee_id = assignee_id
        return {"assignee": str(row.assignee or "nobody")}

    return _act(incident_id, version, actor, "assigned", reason, now, change)


def incident_note(*, incident_id: int, version: int, actor: Actor, reason: str, now: datetime) -> Incident:
    """Write a note into the story of an incident."""
    if not reason.strip():
        raise NotPossible("A note needs some text.")
    return _act(incident_id, version, actor, "note", reason, now, lambda _: {})


def incident_rename(
    *, incident_id: int, version: int, actor: Actor, name: str, reason: str = "", now: datetime
) -> Incident:
    """Give an incident another name."""
    if not name.strip():
        raise NotPossible("An incident needs a name.")

    def change(row: Incident) -> dict[str, Any]:
        was, row.name = row.name, name.strip()[:200]
        return {"was": was, "name": row.name}

    return _act(incident_id, version, actor, "renamed", reason, now, change)


def incident_merge(
    *, incident_id: int, version: int, actor: Actor, others: Sequence[int], reason: str = "", now: datetime
) -> Incident:
    """Take the alerts of other incidents in; those point here, and so does what would have joined them."""
    wanted = sorted(set(others) - {incident_id})[:MOST_MERGED]
    if not wanted:
        raise NotPossible("Name the number of another incident.")

    def change(row: Incident) -> dict[str, Any]:
        rows = list(Incident.objects.select_for_update().filter(pk__in=wanted).order_by("pk"))
        gone = [pk for pk in wanted if pk not in {other.pk for other in rows if other.merged_into_id is None}]
        if gone:
            raise NotPossible(f"Incident #{gone[0]} does not exist or was merged before.")
        for other in rows:
            _take_in(other, row, actor, now)
        recount(row, now)
        row.active_at = max([row.active_at, *(other.active_at for other in rows)])
        row.opened_at = min([row.opened_at, *(other.opened_at for other in rows)])
        row.told_alerts = sum((other.told_alerts for other in rows), row.told_alerts)
        return {"others": wanted}

    return _act(incident_id, version, actor, "merged", reason, now, change)


def _take_in(other: Incident, row: Incident, actor: Actor, now: datetime) -> None:
    because = f"merged into incident #{row.pk}"
    move(members_of(other), row, because=because, reason=f"merged from incident #{other.pk}", actor=actor, now=now)
    Incident.objects.filter(merged_into=other).update(merged_into=row)
    before = _described(other)
    other.state, other.resolved_at, other.settle_at = IncidentState.RESOLVED.value, other.resolved_at or now, None
    other.resolved_because, other.merged_into, other.alerts = because, row, 0
    other.version, other.updated_at = other.version + 1, now
    other.save()
    told_of(other, "merged", actor=actor, reason=because, now=now, into=row.pk)
    audit(actor, "incident.merged", other, before=before, after={**_described(other), "into": row.pk}, now=now)


def _fresh(name: str, alerts: Sequence[Alert], now: datetime) -> Incident:
    fires = any(alert.state in OPEN for alert in alerts)
    severity = worst((alert.severity for alert in alerts), "low")
    return Incident.objects.create(
        name=name.strip()[:200], severity=severity, opened_at=min(alert.started_at for alert in alerts), active_at=now,
        updated_at=now, alerts=len(alerts), told_alerts=len(alerts), told_severity=severity,
        state=IncidentState.OPEN.value if fires else IncidentState.RESOLVED.value,
        resolved_at=None if fires else now, resolved_because="" if fires else "its alerts had ended",
    )  # fmt: skip


def _named(name: str, alerts: Sequence[Alert]) -> str:
    rest = len(alerts) - 1
    return name.strip() or f"{alerts[0].name}{f' and {rest} more' if rest else ''}"


def incident_split(
    *, incident_id: int, version: int, actor: Actor, alerts: Sequence[int], name: str = "", reason: str = "",
    now: datetime,
) -> tuple[Incident, Incident]:  # fmt: skip
    """Put some of an incident's alerts into a new one; return both, the new one last."""
    made: list[Incident] = []

    def change(row: Incident) -> dict[str, Any]:
        members = members_of(row)
        parted = [member for member in members if member.alert_id in set(alerts)]
        if not parted or len(parted) == len(members):
            raise NotPossible("Choose some of the alerts of the incident, and leave some.")
        chosen = [member.alert for member in parted]
        fresh = _fresh(_named(name, chosen), chosen, now)
        made.append(fresh)
        move(
            parted, fresh, because=f"split into incident #{fresh.pk}", reason=f"split from incident #{row.pk}",
            actor=actor, now=now,
        )  # fmt: skip
        recount(row, now)
        told_of(fresh, "split", actor=actor, reason=reason, now=now, out_of=row.pk)
        audit(actor, "incident.create", fresh, after=_described(fresh), now=now)
        return {"into": fresh.pk, "alerts": [alert.pk for alert in chosen]}

    row = _act(incident_id, version, actor, "split", reason, now, change)
    return row, made[0]


@transaction.atomic
def incident_make(*, alerts: Sequence[int], actor: Actor, name: str = "", reason: str = "", now: datetime) -> Incident:
    """Make an incident of alerts by hand; they leave those they are in."""
    hold()
    rows = list(Alert.objects.filter(pk__in=set(alerts)).order_by("started_at", "pk")[: MOST_ALERTS + 1])
    if not rows or len(rows) > MOST_ALERTS:
        raise NotPossible(f"Name 1 to {MOST_ALERTS} alerts.")
    row = _fresh(_named(name, rows), rows, now)
    for alert in rows:
        _put(alert, row, actor, now)
    told_of(row, "opened", actor=actor, reason=reason, now=now, alerts=[alert.pk for alert in rows])
    audit(actor, "incident.create", row, after=_described(row), now=now)
    return row


def _put(alert: Alert, row: Incident, actor: Actor, now: datetime) -> None:
    """Put an alert into an incident by hand, and take it out of the one it is in."""
    earlier = IncidentMember.objects.filter(alert=alert, current=True).select_related("incident").first()
    if earlier is not None:
        because = f"{actor.label} put it into incident #{row.pk}"
        IncidentMember.objects.filter(pk=earlier.pk).update(
            current=False, listed=False, left_at=now, left_because=because[:300], taken_out=True
        )
        left = earlier.incident
        recount(left, now, because="no alert of it is left that fires")
        left.version, left.updated_at = left.version + 1, now
        left.save()
        told_of(left, "left", actor=actor, reason=because, now=now, alert_number=alert.pk)
    IncidentMember.objects.bulk_create(
        [IncidentMember(
            incident=row, alert=alert, joined_at=now, reason=f"put here by {actor.label}", added_by=actor.label
        )],
        update_conflicts=True, unique_fields=["incident", "alert"], update_fields=JOINED,
    )  # fmt: skip


def incident_add(
    *, incident_id: int, version: int, actor: Actor, alerts: Sequence[int], reason: str = "", now: datetime
) -> Incident:
    """Put alerts into an incident; they leave those they are in."""
    wanted = sorted(set(alerts))

    def change(row: Incident) -> dict[str, Any]:
        found = {alert.pk: alert for alert in Alert.objects.filter(pk__in=wanted[: MOST_ALERTS + 1])}
        here = set(IncidentMember.objects.filter(incident=row, current=True).values_list("alert_id", flat=True))
        unknown = [pk for pk in wanted if pk not in found]
        if not wanted or unknown:
            raise NotPossible(f"There is no alert #{unknown[0]}." if unknown else "Name the number of an alert.")
        if here.issuperset(wanted):
            raise NotPossible(f"Alert #{wanted[0]} is in the incident already.")
        if len(here.union(wanted)) > MOST_ALERTS:
            raise NotPossible(f"By hand an incident takes no more than {MOST_ALERTS} alerts.")
        for pk in wanted:
            if pk not in here:
                _put(found[pk], row, actor, now)
        recount(row, now)
        return {"alerts": wanted}

    return _act(incident_id, version, actor, "added", reason, now, change)


def incident_remove(
    *, incident_id: int, version: int, actor: Actor, alerts: Sequence[int], reason: str = "", now: datetime
) -> Incident:
    """Take alerts out of an incident; they do not come back by themselves."""

    def change(row: Incident) -> dict[str, Any]:
        because = f"{actor.label} took it out" + (f": {reason}" if reason else "")
        out = IncidentMember.objects.filter(incident=row, alert__in=set(alerts), current=True).update(
            current=False, listed=False, left_at=now, left_because=because[:300], taken_out=True
        )
        if not out:
            raise NotPossible("None of these alerts is in the incident.")
        recount(row, now, because="no alert of it is left that fires")
        return {"alerts": sorted(set(alerts))}

    return _act(incident_id, version, actor, "removed", reason, now, change)
