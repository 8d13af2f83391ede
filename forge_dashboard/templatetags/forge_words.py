"""The words Agent Forge's pages are written in: how long something took, and phases by their names."""

from django import template

from forge_dashboard.catalogue import display
from forge_dashboard.panels.words import spoken, took

register = template.Library()
register.filter("spoken", spoken)


@register.filter("took")
def taken(seconds: float | None) -> str:
    """Return how long something took, exact enough to compare."""
    return "–" if seconds is None else took(seconds)


@register.filter
def phase_name(phase: str) -> str:
    """Return what people call a phase; what nobody knows is shown as it is."""
    return display(phase) if phase else ""
