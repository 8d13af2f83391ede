"""Opsgenie: alerts as senders create and close them over its API, and the webhooks Opsgenie sends itself."""

from collections.abc import Mapping
from typing import Any

from alerts.engine.inbound import words
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import (
    LONGEST_KEY,
    LONGEST_NAME,
    Hints,
    Reading,
    Status,
    Told,
    Unreadable,
    labels_of,
    text_of,
    texts_of,
)

# What the address of an action says, and what a webhook calls it.
ACTIONS = {
    "create": Status.FIRING, "close": Status.RESOLVED, "acknowledge": Status.ACKNOWLEDGED,
    "unacknowledge": Status.FIRING, "delete": Status.RESOLVED,
}  # fmt: skip
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")
LONGEST_MESSAGE, LONGEST_ALIAS = 130, 512


def problems(alert: Any) -> list[str]:
    """Return what is wrong with the body that creates an alert."""
    if not isinstance(alert, Mapping):
        return ["The body is not a JSON object"]
    found = []
    if not text_of(alert.get("message")):
        found.append("message can not be empty")
    if alert.get("priority") and alert["priority"] not in PRIORITIES:
        found.append(f"priority must be one of {', '.join(PRIORITIES)}")
    if len(text_of(alert.get("alias"))) > LONGEST_ALIAS:
        found.append(f"alias is longer than {LONGEST_ALIAS} characters")
    for name, kind in (("tags", list), ("details", Mapping)):
        if alert.get(name) is not None and not isinstance(alert[name], kind):
            found.append(f"{name} has the wrong type")
    return found


def read(payload: Any, hints: Hints) -> Reading:
    """Return what a request or a webhook says of one alert."""
    if not isinstance(payload, Mapping):
        raise Unreadable("The message is no JSON object.")
    inner = payload.get("alert")
    alert = inner if isinstance(inner, Mapping) else payload
    action = (hints.event or text_of(payload.get("action")) or "create").lower()
    status = ACTIONS.get(action)
    if status is None:
        return Reading(said=f"the action {action[:60]} changes no alert", reader="opsgenie")
    key = hints.key or text_of(alert.get("alias"), LONGEST_ALIAS) or text_of(alert.get("alertId"), LONGEST_KEY)
    message = text_of(alert.get("message"))
    if not message and (status is Status.FIRING or not key):
        raise Unreadable("The alert has no message.")
    severity_text = text_of(alert.get("priority"), 100)
    told = Told(
        name=message[:LONGEST_NAME], status=status, key=key[:LONGEST_KEY], severity_text=severity_text,
        severity=words.severity_in(severity_text) or hints.severity, labels=_labels(alert),
        annotations=texts_of({
            "summary": message, "description": alert.get("description"),
            "note": alert.get("note") or payload.get("note"),
        }),
        started_at=moment(alert.get("createdAt")), by=text_of(payload.get("user") or alert.get("username"), 200),
    )  # fmt: skip
    return Reading(alerts=(told,), reader="opsgenie")


def _labels(alert: Mapping[str, Any]) -> dict[str, str]:
    details = alert.get("details")
    tags = alert.get("tags")
    pairs: list[tuple[Any, Any]] = [("entity", alert.get("entity")), ("source", alert.get("source"))]
    pairs += list(details.items()) if isinstance(details, Mapping) else []
    loose = []
    for tag in tags if isinstance(tags, list) else []:
        name, found, value = text_of(tag).partition(":")
        if found and value:
            pairs.append((name, value))
        elif name:
            loose.append(name)
    return labels_of([*pairs, ("tags", ",".join(sorted(loose)))])
