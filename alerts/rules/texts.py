"""What a rule says of one label set."""

from collections.abc import Mapping

from aivillage_console.lib.templating import Values, render
from alerts.models import Rule


def annotations_of(rule: Rule, labels: Mapping[str, str], value: float | None, severity: str) -> dict[str, str]:
    """Return the rule's description and annotations with their templates filled in."""
    texts = {"description": rule.description, **rule.annotations}
    known = Values(labels, value, {"rule": rule.name, "severity": severity})
    return {key: render(text, known) for key, text in texts.items() if text}
