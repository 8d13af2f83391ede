"""What stood around an alert when it began, as its page shows it; all of it was kept with the alert."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template

from alerts.models import Alert

register = template.Library()
OWN = ("from", "to", "changes", "similar")


@register.simple_tag
def around(alert: Alert) -> dict[str, Any]:
    """Return the kept changes, similar alerts, operands and what wings told, with times as times."""
    kept: Mapping[str, Any] = alert.context or {}
    operands = (alert.evidence or {}).get("operands", [])
    others = [(name, _timed(items, "at")) for name, items in kept.items() if name not in OWN and items]
    return {
        "changes": _timed(kept.get("changes", []), "at"), "similar": _timed(kept.get("similar", []), "ended_at"),
        "operands": operands, "others": others, "any": bool(operands),
    }  # fmt: skip


def _timed(items: list[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    return [{**item, "at": datetime.fromisoformat(str(item[key]))} for item in items if item.get(key)]
