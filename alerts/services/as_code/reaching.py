"""Whose alerts reach somebody: the open ones, and one of each rule, by the policies and channels as they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.engine import escalation
from alerts.engine.configuration import rules
from alerts.engine.configuration.merging import GONE
from alerts.models import Alert, Rule
from alerts.services.as_code.state import State
from alerts.services.routes import Routes

OPEN = ("firing", "unknown", "pending")
MOST_ALERTS = 10_000


@dataclass(frozen=True, slots=True)
class Lost:
    """An alert, or the alerts of a rule, that somebody is told of today and nobody would be."""

    what: str
    labels: Mapping[str, str]
    was: str
    why: str


@dataclass(slots=True)
class Reach:
    """Who is told of what: the policy for each alert asked about, and what is lost against before."""

    told: dict[str, str] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    routes: Any = None


def routed(labels: Mapping[str, str], name: str, severity: str, routes: Routes) -> tuple[str, str]:
    """Return the policy that tells somebody of an alert, or nothing and the reason."""
    facts = {**labels, "alertname": name, "severity": severity}
    listed = [policy for policy in routes.policies if not policy.is_default]
    policy = next((policy for policy in listed if escalation.matches(policy.triggers, facts)), None)
    policy = policy or next((policy for policy in routes.policies if policy.is_default), None)
    if policy is None:
        return "", "no policy matches, and there is no default one"
    everyone = routes.everyone(facts) if policy.is_default else ()
    told = {channel for step in policy.steps for channel in (step.channels or everyone)}
    if not told & set(routes.channels):
        return "", f"the policy {policy.name} tells no channel that is on"
    return policy.name, ""


def reach_of(state: State, *, before: Reach | None = None) -> Reach:
    """Return whom alerts reach now; against `before`, also those that no longer do."""
    routes = Routes()
    found = Reach(routes=routes)
    for what, labels, name, severity in (*_open_alerts(), *_of_rules(state)):
        policy, why = routed(labels, name, severity, routes)
        found.told[what] = policy
        if not policy and before is not None and before.told.get(what, GONE):
            was = before.told.get(what, "")
            found.lost.append(Lost(what, labels, was, why))
    return found


def _open_alerts() -> Iterable[tuple[str, Mapping[str, str], str, str]]:
    rows = Alert.objects.filter(state__in=OPEN).order_by("id").values_list("id", "labels", "name", "severity")
    return [(f"#{number} {name}", labels, name, severity) for number, labels, name, severity in rows[:MOST_ALERTS]]


def _of_rules(state: State) -> Iterable[tuple[str, Mapping[str, str], str, str]]:
    """Return an alert of each rule that is on: with the labels the rule itself sets."""
    for (section, _), row in state.rows.items():
        if section == rules.SECTION and isinstance(row, Rule) and row.enabled and row.kind != "recording":
            plain = {name: text for name, text in row.all_labels.items() if "{{" not in text}
            yield f"alerts of {row.name}", plain, row.alertname, row.severity
