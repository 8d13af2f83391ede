"""The rule kind `component`: a component is unhealthy, or no better than partial."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.rules.fields import SpecField
from alerts.rules.kinds import AskedKind, Case
from health.scoring import component_scores, impacts
from health.selectors import because, facts_at

KEYS = frozenset({"status", "components"})
STATUSES = {"unhealthy": ("unhealthy",), "partial": ("unhealthy", "partial")}
MOST_NAMES = 100
REMEMBERED = timedelta(days=1)


def problems(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a spec, by key."""
    found = {}
    if spec.get("status", "unhealthy") not in STATUSES:
        found["status"] = "must be unhealthy, or partial for partial and worse"
    names = spec.get("components", [])
    good = isinstance(names, list) and len(names) <= MOST_NAMES and all(isinstance(name, str) for name in names)
    if not good:
        found["components"] = f"must be a list of at most {MOST_NAMES} names; empty means all components"
    return found


def ask(spec: Mapping[str, Any], _window_seconds: int, at: datetime) -> Sequence[Case]:
    """Return the components for which the condition held at a time, by the results stored until then."""
    bands, wanted = STATUSES[spec.get("status", "unhealthy")], set(spec.get("components") or ())
    facts = facts_at(at, since=at - REMEMBERED)
    scores, reach = component_scores(facts, None), impacts(facts)
    return [
        Case(
            labels={"component": name}, value=round((score.value or 0.0) * 100, 1),
            annotations={"band": score.band, "because": because(score),
                         "impact": f"{reach[name].count} components depend on it ({reach[name].level})"},
            evidence={"inputs": [{"name": one.name, "status": one.status, "weight": one.weight, "note": one.note}
                                 for one in score.inputs]},
        )
        for name, score in scores.items() if score.band in bands and (not wanted or name in wanted)
    ]  # fmt: skip


FIELDS = (
    SpecField(
        name="status", type="choice", label="Status", default="unhealthy", choices=tuple(STATUSES),
        help="unhealthy, or partial for partial and worse.",
    ),
    SpecField(
        name="components", type="json", label="Components", example='["database"]',
        help="A list of their names; empty for all.",
    ),
)  # fmt: skip
COMPONENT = AskedKind(
    label="A component is unhealthy", keys=KEYS, problems=problems, ask=ask, over="the component is better",
    fields=FIELDS, uses_window=False, help="A component's health is bad, by the checks and what it depends on.",
    threshold=lambda spec: 70.0 if spec.get("status") == "partial" else 30.0, operator="≤",
    evidence_template="health/_alert_evidence.html",
)  # fmt: skip
