"""`GET /api/v1/rules` and `/api/v1/alerts`: the rules of the apps above, in Prometheus' words."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics.compat.answers import Asked, data_answer, endpoint
from metrics.compat.parameters import NUMBER, bad, matcher_sets
from metrics.promql.types import Matcher
from metrics.registry import RuleAlert, RuleGroupShown, RuleShown, rule_groups
from metrics.store.catalogue import accepts
from metrics.wire.answers.numbers import exponent_text

NEVER = "0001-01-01T00:00:00Z"
TRUE, FALSE = ("1", "t", "true"), ("0", "f", "false")
KINDS = ("", "alert", "record")


def _time(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else NEVER


def _alert(alert: RuleAlert) -> dict[str, Any]:
    shown = {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": alert.state,
        "activeAt": _time(alert.active_at),
        "value": exponent_text(alert.value),
    }
    if alert.keeps_firing_since is not None:
        shown["keepFiringSince"] = _time(alert.keeps_firing_since)
    return shown


def _rule(rule: RuleShown, *, with_alerts: bool) -> dict[str, Any]:
    found = {alert.state for alert in rule.alerts}
    shown = {
        "name": rule.name,
        "query": rule.query,
        "labels": rule.labels,
        "health": rule.health,
        "evaluationTime": rule.evaluation_seconds,
        "lastEvaluation": _time(rule.last_evaluated_at),
        "type": "recording" if rule.records else "alerting",
        **({"lastError": rule.last_error} if rule.last_error else {}),
    }
    if rule.records:
        return shown
    return {
        "state": "firing" if "firing" in found else "pending" if found else "inactive",
        "duration": rule.for_seconds,
        "keepFiringFor": rule.keep_firing_for_seconds,
        "annotations": rule.annotations,
        "alerts": [_alert(alert) for alert in rule.alerts] if with_alerts else None,
        **shown,
    }


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which groups and rules are asked for."""

    names: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    matchers: Sequence[Sequence[Matcher]]
    kind: str
    with_alerts: bool

    def takes_group(self, group: RuleGroupShown) -> bool:
        return (not self.groups or group.name in self.groups) and (not self.files or group.file in self.files)

    def takes(self, rule: RuleShown) -> bool:
        kind = "record" if rule.records else "alert"
        matched = any(all(accepts(m, [rule.labels.get(m.name, "")])[0] for m in matchers) for matchers in self.matchers)
        return matched and self.kind in ("", kind) and (not self.names or rule.name in self.names)


def _wanted(asked: Asked) -> _Wanted:
    address, values = asked.request.GET, asked.values
    kind = address.get("type", "").lower()
    if kind not in KINDS:
        raise bad("type", f'not supported value "{kind[:40]}"')
    exclude = address.get("exclude_alerts", "").lower()
    if exclude and exclude not in (*TRUE, *FALSE):
        raise bad("exclude_alerts", f'error converting exclude_alerts: "{exclude[:40]}" is not true or false')
    names, groups, files = (frozenset(values.getlist(f"{key}[]")) for key in ("rule_name", "rule_group", "file"))
    return _Wanted(names, groups, files, matcher_sets(values), kind, exclude not in TRUE)


def _page_of(asked: Asked) -> tuple[int, str]:
    limit, token = asked.request.GET.get("group_limit", ""), asked.request.GET.get("group_next_token", "")
    if token and not limit:
        raise bad("group_next_token", "group_limit needs to be present in order to paginate over the groups")
    if limit and not NUMBER.fullmatch(limit):
        raise bad("group_limit", f'group_limit needs to be a valid number: "{limit[:40]}"')
    if limit and int(limit) <= 0:
        raise bad("group_limit", "group_limit needs to be greater than 0")
    return int(limit or 0), token


def _token(group: RuleGroupShown) -> str:
    return hashlib.sha256(f"{group.file};{group.name}".encode()).hexdigest()


def _group(group: RuleGroupShown, wanted: _Wanted) -> dict[str, Any]:
    return {
        "name": group.name,
        "file": group.file,
        "rules": [_rule(rule, with_alerts=wanted.with_alerts) for rule in group.rules if wanted.takes(rule)],
        "interval": group.interval_seconds,
        "limit": 0,
        "evaluationTime": group.evaluation_seconds,
        "lastEvaluation": _time(group.last_evaluated_at),
    }


def _from(groups: list[RuleGroupShown], token: str) -> list[RuleGroupShown]:
    if not token:
        return groups
    places = [place for place, group in enumerate(groups) if _token(group) == token]
    if not places:
        raise bad("group_next_token", f"invalid group_next_token '{token[:80]}'. were rule groups changed?")
    return groups[places[0] :]


@endpoint("GET")
def rules(asked: Asked) -> bytes:
    """GET /api/v1/rules."""
    wanted, (limit, token) = _wanted(asked), _page_of(asked)
    shown: list[dict[str, Any]] = []
    data: dict[str, Any] = {"groups": shown}
    for group in _from(rule_groups(asked.viewer), token):
        found = _group(group, wanted) if wanted.takes_group(group) else {"rules": []}
        if not found["rules"]:
            continue
        if limit and len(shown) == limit:
            data["groupNextToken"] = _token(group)
            break
        shown.append(found)
    return data_answer(data)


@endpoint("GET")
def alerts(asked: Asked) -> bytes:
    """GET /api/v1/alerts: what the rules found, pending or firing."""
    rules_shown = [rule for group in rule_groups(asked.viewer) for rule in group.rules]
    return data_answer({"alerts": [_alert(alert) for rule in rules_shown for alert in rule.alerts]})
