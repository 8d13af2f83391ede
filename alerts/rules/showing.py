"""The rules of this app as Prometheus' API lists them."""

from datetime import datetime

from aivillage_console.lib import clock
from alerts import selectors
from alerts.engine.states import RuleStateName
from alerts.engine.threshold import BadThreshold
from alerts.models import Rule, RuleState
from alerts.models.rules import RuleHealth, RuleKind
from alerts.rules.fields import SHAPES
from alerts.rules.queries import compiled
from alerts.rules.texts import annotations_of
from metrics.registry import RuleAlert, RuleGroupShown, RuleShown

FILE = "console"
HEALTH = {RuleHealth.OK: "ok", RuleHealth.UNKNOWN: "err", RuleHealth.NEVER: "unknown"}


def _kept_since(state: RuleState) -> datetime | None:
    return state.kept_since_at if state.state == RuleStateName.KEEP_FIRING else None


def _plain_labels(rule: Rule) -> dict[str, str]:
    """Return the labels that are the same for every alert of a rule."""
    return {name: text for name, text in rule.all_labels.items() if "{{" not in text}


def _alert(rule: Rule, state: RuleState) -> RuleAlert:
    return RuleAlert(
        labels={"alertname": rule.alertname, "severity": rule.severity, **_plain_labels(rule), **state.labels},
        annotations=annotations_of(
            rule, state.labels, state.last_value, rule.severity, state.last_evaluated_at or clock.now()
        ),
        state="pending" if state.fired_at is None else "firing",
        active_at=state.active_at,
        value=state.last_value or 0.0,
        keeps_firing_since=_kept_since(state),
    )


def _query(rule: Rule) -> str:
    if rule.kind == RuleKind.COMPOSITE:
        return str(rule.spec.get("expression", ""))
    if rule.kind not in SHAPES:
        return f"{rule.kind}()"
    try:
        return compiled(rule).query
    except BadThreshold:
        return ""


def _recording(rule: Rule) -> RuleShown:
    return RuleShown(
        name=str(rule.spec.get("record", "")),
        query=_query(rule),
        labels=rule.all_labels,
        health=HEALTH.get(RuleHealth(rule.health), "unknown"),
        last_error=rule.last_error,
        last_evaluated_at=rule.last_evaluated_at,
        evaluation_seconds=rule.evaluation_seconds,
        records=True,
    )


def _rule(rule: Rule) -> RuleShown:
    if rule.kind == RuleKind.RECORDING:
        return _recording(rule)
    return RuleShown(
        name=rule.alertname,
        query=_query(rule),
        labels={"severity": rule.severity, **rule.all_labels},
        annotations=rule.annotations,
        alerts=[_alert(rule, state) for state in rule.states.all()],
        health=HEALTH.get(RuleHealth(rule.health), "unknown"),
        last_error=rule.last_error,
        last_evaluated_at=rule.last_evaluated_at,
        evaluation_seconds=rule.evaluation_seconds,
        for_seconds=rule.for_seconds,
        keep_firing_for_seconds=rule.keep_firing_for_seconds,
    )


def groups_shown(viewer: object) -> list[RuleGroupShown]:
    """Return every group that is switched on, with its rules and what they found."""
    return [
        RuleGroupShown(
            name=group.name,
            file=group.file or FILE,
            interval_seconds=group.interval_seconds,
            last_evaluated_at=group.last_evaluated_at,
            evaluation_seconds=group.evaluation_seconds,
            rules=[_rule(rule) for rule in group.rules.all() if rule.enabled],
        )
        for group in selectors.rule_groups_with_states(viewer)
    ]
