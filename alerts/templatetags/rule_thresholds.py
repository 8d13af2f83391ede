"""Draws the thresholds of a rule that follow the past; nothing for other rules."""

from collections.abc import Mapping
from typing import Any

from django import template

from aivillage_console.lib import clock
from alerts.models import Rule
from alerts.thresholds.history import HEIGHT, WEEKDAYS, WIDTH, panel_of

register = template.Library()


@register.inclusion_tag("alerts/_thresholds.html")
def rule_thresholds(rule: Rule | None, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the panel needs; for one series where its labels are given."""
    panel = panel_of(rule, clock.now(), labels)
    return {"panel": panel, "width": WIDTH, "height": HEIGHT, "weekdays": WEEKDAYS} if panel else {"panel": None}
