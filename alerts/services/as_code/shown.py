"""A plan in words, for the command and for REST."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from alerts.engine.configuration.merging import GONE, Conflict
from alerts.services.as_code.plans import Plan, Step
from alerts.services.as_code.state import shown_value

SIGNS: Mapping[str, str] = {"create": "+", "change": "~", "delete": "-", "gone": "!", "left": "?"}
NOUNS: Mapping[str, str] = {
    "alert_rules": "rule", "channels": "channel", "escalation": "escalation", "mute_times": "mute time",
    "inhibitions": "inhibition", "correlation": "correlation rule", "groups": "group", "settings": "settings of",
    "alerts": "thresholds of", "order": "order of",
}  # fmt: skip
WORDS: Mapping[str, str] = {
    "create": "to create", "change": "to change", "delete": "to delete", "keep": "unchanged",
    "gone": "deleted here, unchanged in the file", "left": "no longer in the file",
}  # fmt: skip
LONGEST = 300


def plain(value: Any) -> Any:
    """Return a value as JSON can say it: None for what is not there."""
    return None if value is GONE else value


def as_text(value: Any) -> str:
    """Return a value as people read it."""
    text = "(absent)" if value is GONE else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text or "(empty)"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def differences_of(step: Step) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, old and new value of what changes, secrets hidden."""
    for one in step.differences:
        yield one.path, *(shown_value(step.section, one.path, value) for value in (one.old, one.new))


def conflict_values(step: Step, one: Conflict) -> dict[str, Any]:
    """Return the three values of a conflict, secrets hidden."""
    sides = {"base": one.base, "console": one.console, "file": one.file}
    return {name: shown_value(step.section, one.path, value) for name, value in sides.items()}


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield a plan line by line."""
    for step in plan.steps:
        if step.action != "keep":
            noted = f" ({WORDS[step.action]})" if step.action in ("gone", "left") else ""
            yield f"{SIGNS[step.action]} {NOUNS[step.section]} {step.name}{noted}"
        if step.action == "change":
            for path, old, new in differences_of(step):
                yield f"    {path}: {as_text(old)} -> {as_text(new)}"
        for one in step.conflicts:
            values = conflict_values(step, one)
            decided = f"; taken: {one.chosen}" if one.chosen else "; choose one: --prefer file or --prefer console"
            yield (f"  conflict {NOUNS[step.section]} {step.name}, {one.path}: was {as_text(values['base'])}, "
                   f"console {as_text(values['console'])}, file {as_text(values['file'])}{decided}")  # fmt: skip
    for lost in plan.reach.lost:
        yield f"! {lost.what} would now reach nobody: {lost.why} (until now: {lost.was or 'somebody'})"
    counts = ", ".join(f"{count} {WORDS[name]}" for name, count in plan.counts.items() if count)
    yield counts or "nothing is in the file"


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON."""
    return {
        "digest": plan.digest,
        "counts": plan.counts,
        "mistakes": plan.mistakes,
        "steps": [_step_json(step) for step in plan.steps if step.action != "keep" or step.conflicts],
        "undecided": len(plan.conflicts),
        "reaches_nobody": [
            {"what": one.what, "labels": one.labels, "was": one.was, "why": one.why} for one in plan.reach.lost
        ],
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "action": step.action, "section": step.section, "name": step.name,
        "changes": [{"path": path, "old": plain(old), "new": plain(new)} for path, old, new in differences_of(step)],
        "conflicts": [
            {"path": one.path, "chosen": one.chosen}
            | {name: plain(value) for name, value in conflict_values(step, one).items()}
            for one in step.conflicts
        ],
    }  # fmt: skip
