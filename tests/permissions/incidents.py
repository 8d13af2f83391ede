"""An incident of two alerts, another to be merged and an alert to be added; nothing is audited as they are made."""

from dataclasses import dataclass
from typing import Any

from aivillage_console.lib import clock
from alerts.models import Alert, CorrelationRule, Incident, IncidentMember


@dataclass(frozen=True)
class Incidents:
    """The objects that actions on incidents name."""

    incident: Incident
    other: Incident
    second: Alert
    free: Alert

    def bodies(self, assignee: str) -> dict[str, dict[str, Any]]:
        """Return a proper body for each action."""
        act = {"version": self.incident.version, "reason": "looked at it"}
        more: dict[str, dict[str, Any]] = {
            "acknowledge": {}, "resolve": {}, "note": {}, "rename": {"name": "x"}, "assign": {"assignee": assignee},
            "merge": {"others": [self.other.pk]}, "split": {"alerts": [self.second.pk]},
            "add": {"alerts": [self.free.pk]}, "remove": {"alerts": [self.second.pk]},
        }  # fmt: skip
        found = {f"incidents/<pk>/{verb}/": {**act, **given} for verb, given in more.items()}
        rule = {"name": "hosts", "group_key": ["host"]}
        return {
            **found, "incidents/": {"alerts": [self.free.pk]}, "correlation-rules/": rule,
            "correlation-rules/<pk>/": {"enabled": False},
        }  # fmt: skip


def _alert(name: str) -> Alert:
    now = clock.now()
    facts = {"name": name, "state": "firing", "severity": "low", "started_at": now, "updated_at": now}
    return Alert.objects.get_or_create(fingerprint=name * 60, defaults=facts)[0]


def _incident(name: str, *alerts: Alert) -> Incident:
    now = clock.now()
    facts = {"severity": "low", "opened_at": now, "active_at": now, "updated_at": now, "alerts": len(alerts)}
    row, made = Incident.objects.get_or_create(name=name, defaults=facts)
    if made:
        for alert in alerts:
            IncidentMember.objects.create(incident=row, alert=alert, joined_at=now, reason="put here by test")
        row.events.create(at=now, kind="opened")
    return row


def incidents_of(alert: Alert) -> Incidents:
    """Return the incidents there are, or make them."""
    second, free = _alert("s"), _alert("f")
    return Incidents(_incident("one", alert, second), _incident("two", _alert("t")), second, free)


def correlation_rule() -> CorrelationRule:
    """Return the correlation rule there is, or make it."""
    return CorrelationRule.objects.get_or_create(name="component", group_key=["component"])[0]
