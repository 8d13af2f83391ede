"""What a rule asks, in words."""

from collections.abc import Callable, Mapping
from typing import Any

from aivillage_console.lib.durations import format_seconds
from alerts.engine.threshold import BadThreshold, operator_from
from alerts.models import Rule, RuleKind
from alerts.rules.fields import ABSENCE, DYNAMIC
from alerts.rules.kinds import ASKED_KINDS

LONGEST = 300


def condition_of(rule: Rule) -> str:
    """Return what a rule asks on one line, as its row in the list shows it."""
    spec = rule.spec if isinstance(rule.spec, Mapping) else {}
    if rule.kind == RuleKind.PROMQL:
        return _line(spec.get("expr"))
    if rule.kind == RuleKind.RECORDING:
        return _line(f"{spec.get('record')} = {spec.get('expr')}")
    if rule.kind == RuleKind.THRESHOLD:
        return _line(f"{_path(spec)} {_operator(spec)} {spec.get('threshold')} over {_span(rule.window_seconds)}")
    if rule.kind in WORDED:
        return _line(WORDED[rule.kind](spec))
    return _line(", ".join(f"{name}: {_value(value)}" for name, value in spec.items() if value != []))


def _dynamic(spec: Mapping[str, Any]) -> str:
    said = {**DYNAMIC.defaults, **spec}
    what, side = said.get("expr") or _path(said), "below" if said["condition"] == "less_than" else "above"
    return f"{what} {side} {said['factor']} × p{said['percentile']} of its last {_span(said['baseline_seconds'])}"


def _absence(spec: Mapping[str, Any]) -> str:
    return f"{spec.get('selector')} missing for {_span({**ABSENCE.defaults, **spec}['missing_seconds'])}"


WORDED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "dynamic": _dynamic, "absence": _absence, "composite": lambda spec: str(spec.get("expression")),
}  # fmt: skip


def _line(text: object) -> str:
    return " ".join(str(text or "").split())[:LONGEST]


def _path(spec: Mapping[str, Any]) -> str:
    below = spec.get("denominator_path")
    return f"{spec.get('metric_path')} / {below}" if below else str(spec.get("metric_path"))


def _operator(spec: Mapping[str, Any]) -> str:
    try:
        return operator_from(str(spec.get("condition", "")))
    except BadThreshold:
        return "?"


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_value(each)}" for name, each in value.items())
    return str(value)


def _span(seconds: float) -> str:
    return format_seconds(seconds)


def sentences(rule: Rule) -> list[str]:
    """Return what a rule does, a sentence each: what it looks at, when it fires, when it ends, who hears how often."""
    if rule.kind == RuleKind.RECORDING:
        every = _span(rule.group.interval_seconds)
        return [f"Every {every} it writes what its expression answers as {rule.spec.get('record')}. It makes no alert."]
    found = [f"It looks every {_span(rule.group.interval_seconds)} {_looks_at(rule)}."]
    held = f"has held for {_span(rule.for_seconds)}" if rule.for_seconds else "holds"
    found.append(f"Each label set for which that {held} has an alert {rule.alertname}, {rule.severity}.")
    if rule.keep_firing_for_seconds:
        found.append(f"It ends once that has not held for {_span(rule.keep_firing_for_seconds)}.")
    if rule.cooldown_seconds:
        found.append(f"Who was told is told again {_span(rule.cooldown_seconds)} later at the earliest.")
    if not rule.enabled:
        found.append("It is switched off: nothing is asked and nobody is told.")
    elif not rule.group.enabled:
        found.append(f"Its group {rule.group.name} is switched off: nothing is asked and nobody is told.")
    return found


def _looks_at(rule: Rule) -> str:
    if rule.kind == RuleKind.PROMQL:
        return "at what its query answers"
    if rule.kind == RuleKind.THRESHOLD:
        return f"whether {condition_of(rule)}; a series needs three samples in that time"
    if rule.kind == "composite":
        return f"whether these rules fire: {condition_of(rule)}"
    if rule.kind in WORDED:
        return f"whether {condition_of(rule)}"
    owner = ASKED_KINDS.get(rule.kind) if rule.kind in ASKED_KINDS.slots else None
    what = owner.label if owner else rule.get_kind_display()
    return f"at stored rows of the kind {what} of the last {_span(rule.window_seconds)} ({condition_of(rule)})"
