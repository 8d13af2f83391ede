"""The order in which rules of a file can be stored: a rule that joins others comes after those."""

from collections.abc import Sequence

from alerts.engine.configuration import rules
from alerts.models import RuleKind
from alerts.rules.composites import joined_depths
from alerts.services.as_code.plans import Step


def joined_last(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with each composite rule after what it joins; in which order they are evaluated stays."""
    places = [place for place, step in enumerate(steps) if step.section == rules.SECTION]
    joins = {
        steps[place].name: steps[place].fields.get("spec") or {}
        for place in places
        if steps[place].fields.get("kind") == RuleKind.COMPOSITE
    }
    after = joined_depths(joins)
    found = list(steps)
    ordered = sorted((steps[place] for place in places), key=lambda step: after.get(step.name, 0))
    for place, step in zip(places, ordered, strict=True):
        found[place] = step
    return found
