"""Puts alerts that begin into incidents, in the transaction that decides of them.

Transactions that put alerts into incidents take turns, by one lock that each holds until it commits: of two alerts at
once the second sees the incident that the first opened. Alerts are locked before it and never after it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef

from aivillage_console.lib import clock, live
from alerts.engine import correlation as engine
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.correlation import IncidentState, Joining, Notify, Own, Question, Verb
from alerts.engine.severity import worse
from alerts.models import Alert, Incident, IncidentEvent, IncidentMember, Notification
from alerts.pipeline import Case, Observation

LOCK = 7_203_117_002
OPEN = ("firing", "unknown")
LONGEST_CHAIN = 10
# What joining anew writes over.
JOINED = [
    "joined_at", "rule_name", "values", "distance_seconds", "reason", "added_by", "current", "listed", "left_at",
    "left_because", "taken_out",
]  # fmt: skip
KINDS = {Verb.OPENS: "opened", Verb.JOINS: "joined", Verb.REOPENS: "reopened"}


def hold() -> None:
    """Wait until no other transaction changes incidents; held until this one ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def tellers() -> Exists:
    """Return the condition that an alert of an incident fires of which somebody was, or is just being, told."""
    told = Notification.objects.filter(
        alert=OuterRef("alert"), episode=OuterRef("alert__episode"), kind__in=["fire", "repeat"],
        state__in=["due", "done"],
    )  # fmt: skip
    members = IncidentMember.objects.filter(incident=OuterRef("pk"), current=True, listed=False, alert__state__in=OPEN)
    return Exists(members.filter(Exists(told)))


def bearing(row: Incident) -> engine.Incident:
    """Return an incident as it bears on the next alert."""
    sparing = row.notify == Notify.FIRST_AND_GROWTH
    told = sparing and Incident.objects.filter(tellers(), pk=row.pk).exists()
    active_at = max(row.active_at, row.resolved_at or row.active_at)
    return engine.Incident(
        id=row.pk, is_open=row.state == IncidentState.OPEN, active_at=active_at.timestamp(), severity=row.severity,
        members=row.alerts, window_seconds=row.window_seconds, notify=Notify(row.notify), told_members=row.told_alerts,
        told_severity=row.told_severity, has_teller=told,
    )  # fmt: skip


@dataclass
class Correlating:
    """The incidents that the alerts of one transaction bear on, as they are after the ones decided so far."""

    rules: Sequence[engine.Rule]
    any_incident: bool
    _known: dict[int, engine.Incident] = field(default_factory=dict)
    _taking: dict[str, int] = field(default_factory=dict)
    _holds: bool = False

    def question(self, alert: Alert, seen: Observation) -> Question | None:
        """Return what the pipeline has to ask of an alert that may begin; None where no incident is concerned."""
        if not self.rules and not self.any_incident:
            return None
        fit = engine.fit_of(self.rules, as_sent(seen.name, seen.labels))
        if fit is None and not (self.any_incident and alert.pk):
            return None
        if not self._holds:
            hold()
            self._holds = True
        own = self._own(alert) if alert.pk and self.any_incident else Own()
        return Question(fit, self._taken_by(fit.key) if fit else None, own)

    def _incident(self, row: Incident) -> engine.Incident:
        if row.pk not in self._known:
            self._known[row.pk] = bearing(row)
        return self._known[row.pk]

    def _own(self, alert: Alert) -> Own:
        rows = list(IncidentMember.objects.filter(alert=alert).select_related("incident"))
        current = next((row for row in rows if row.current), None)
        taken_out_of = frozenset(row.incident_id for row in rows if row.taken_out)
        if current is None:
            return Own(taken_out_of=taken_out_of)
        return Own(self._incident(current.incident), current.listed, taken_out_of)

    def _taken_by(self, key: str) -> engine.Incident | None:
        if key in self._taking:
            return self._known[self._taking[key]]
        row = Incident.objects.filter(open_key=key).select_related("merged_into").first()
        for _ in range(LONGEST_CHAIN):
            if row is None or row.merged_into is None:
                break
            row = row.merged_into
        if row is None:
            return None
        self._taking[key] = row.pk
        return self._incident(row)

    def took(self, case: Case, now: datetime) -> None:
        """Remember what the pipeline decided, for the alerts that follow; one that opened gets its number."""
        joining = case.joining
        if joining is None or joining.after is None:
            return
        after = joining.after
        if joining.verb is Verb.OPENS and joining.fit is not None:
            after = replace(after, id=_opened(case, joining.fit, now).pk)
            self.any_incident = True
        tells = case.policy is not None and case.notify_step is not None and bool(case.policy.steps[0].channels)
        if tells and not joining.listed:
            after = replace(after, has_teller=True)
        case.joining = replace(joining, after=after)
        self._known[after.id] = after
        if joining.fit is not None and joining.verb is not Verb.STAYS:
            self._taking.setdefault(joining.fit.key, after.id)
            if joining.verb is Verb.OPENS:
                self._taking[joining.fit.key] = after.id


def _opened(case: Case, fit: engine.Fit, now: datetime) -> Incident:
    """Store an incident without members; the one that had its key takes no more alerts."""
    Incident.objects.filter(open_key=fit.key).update(open_key="")
    severity = case.observation.severity
    what = " · ".join(value for _, value in fit.values) or case.observation.name
    return Incident.objects.create(
        name=f"{fit.rule.name}: {what}"[:200], severity=severity, opened_at=now, active_at=now, updated_at=now,
        rule_id=fit.rule.id, rule_name=fit.rule.name, notify=fit.rule.notify.value,
        window_seconds=fit.rule.window_seconds, key=dict(fit.values), open_key=fit.key,
    )  # fmt: skip


Joined = tuple[Alert, Joining]


def store(decided: Iterable[tuple[Alert, Case]], now: datetime) -> None:
    """Store who is in which incident by what was decided of stored alerts, and what that changes there."""
    pairs: list[Joined] = [
        (alert, case.joining) for alert, case in decided if case.joining is not None and case.joining.after is not None
    ]
    if not pairs:
        return
    before = {
        row.alert_id: row
        for row in IncidentMember.objects.filter(alert__in=[alert.pk for alert, _ in pairs], current=True)
    }
    _leave([(alert, joining, before[alert.pk]) for alert, joining in pairs if alert.pk in before], now)
    stays = [(alert, joining) for alert, joining in pairs if _is_in(joining, before.get(alert.pk))]
    for listed in (True, False):
        same = [alert.pk for alert, joining in stays if joining.listed is listed and before[alert.pk].listed != listed]
        if same:
            IncidentMember.objects.filter(alert__in=same, current=True).update(listed=listed)
    comes = [pair for pair in pairs if not _is_in(pair[1], before.get(pair[0].pk))]
    IncidentMember.objects.bulk_create(
        [_member(alert, joining, now) for alert, joining in comes],
        update_conflicts=True, unique_fields=["incident", "alert"], update_fields=JOINED,
    )  # fmt: skip
    IncidentEvent.objects.bulk_create(filter(None, (_event(alert, joining, now) for alert, joining in pairs)))
    _grown(pairs, now)


def _is_in(joining: Joining, before: IncidentMember | None) -> bool:
    return before is not None and joining.after is not None and before.incident_id == joining.after.id


def _leave(pairs: Sequence[tuple[Alert, Joining, IncidentMember]], now: datetime) -> None:
    """End the membership in an earlier incident of alerts that are in another one now."""
    for _, joining, row in pairs:
        if joining.after is not None and row.incident_id != joining.after.id:
            because = f"it fired anew, in incident #{joining.after.id}"
            IncidentMember.objects.filter(pk=row.pk).update(
                current=False, listed=False, left_at=now, left_because=because
            )


def _member(alert: Alert, joining: Joining, now: datetime) -> IncidentMember:
    fit = joining.fit
    return IncidentMember(
        incident_id=joining.after.id if joining.after is not None else 0, alert=alert, joined_at=now,
        rule_name=fit.rule.name if fit else "", values=dict(fit.values) if fit else {},
        distance_seconds=joining.distance_seconds, reason=joining.reason, listed=joining.listed,
    )  # fmt: skip


def _event(alert: Alert, joining: Joining, now: datetime) -> IncidentEvent | None:
    kind = KINDS.get(joining.verb)
    if kind is None or joining.after is None:
        return None
    data: dict[str, Any] = {"name": alert.name, "severity": alert.severity, "listed": joining.listed}
    return IncidentEvent(
        incident_id=joining.after.id, at=now, kind=kind, reason=joining.reason, data=data, alert_number=alert.pk
    )


def _grown(pairs: Sequence[Joined], now: datetime) -> None:
    latest: dict[int, engine.Incident] = {}
    for _, joining in pairs:
        if joining.after is not None:
            latest[joining.after.id] = engine.furthest(joining.after, latest.get(joining.after.id, joining.after))
    for pk, after in latest.items():
        Incident.objects.filter(pk=pk).update(
            state=IncidentState.OPEN.value, resolved_at=None, resolved_because="", settle_at=None,
            severity=after.severity, alerts=after.members, active_at=clock.at_seconds(after.active_at),
            told_alerts=after.told_members, told_severity=after.told_severity, version=F("version") + 1,
            updated_at=now,
        )  # fmt: skip
        live.ring(f"incident:{pk}")
    live.ring("incidents")
    names = dict(Incident.objects.filter(pk__in=latest).values_list("pk", "name"))
    for alert, joining in pairs:
        if joining.after is not None:
            after = latest[joining.after.id]
            alert.told_incident = told(after.id, names.get(after.id, ""), after.members)


def told(incident_id: int, name: str, alerts: int) -> dict[str, Any]:
    """Return what messages say of the incident of their alert."""
    return {"id": incident_id, "name": name, "alerts": alerts, "url": url_of(incident_id)}


def url_of(incident_id: int) -> str:
    """Return the page of an incident."""
    return f"{settings.CONFIG.public_url.rstrip('/')}/incidents/{incident_id}/"


def incident_told(alert: Alert) -> dict[str, Any] | None:
    """Return what messages say of the incident an alert is in, None where it is in none."""
    row = IncidentMember.objects.filter(alert=alert, current=True).select_related("incident").first()
    return None if row is None else told(row.incident_id, row.incident.name, row.incident.alerts)


def worst(severities: Iterable[str], default: str) -> str:
    """Return the worst of some severities."""
    found = ""
    for severity in severities:
        found = severity if not found or worse(severity, found) else found
    return found or default
