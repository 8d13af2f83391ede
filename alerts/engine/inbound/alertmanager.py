"""Alertmanager's webhook: version 4, and what is close to it."""

from collections.abc import Mapping
from typing import Any

from alerts.engine.inbound import words
from alerts.engine.inbound.keys import derived_key
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import (
    LONGEST_KEY,
    LONGEST_NAME,
    MOST_ALERTS,
    Hints,
    Reading,
    Status,
    Told,
    Unreadable,
    labels_of,
    text_of,
    texts_of,
    url_of,
)

EXPECTED = 'a list "alerts" of objects with "labels"'


def read(payload: Any, hints: Hints) -> Reading:
    """Return an alert for each entry of `alerts`; a bad entry is named and the others are taken."""
    items = items_of(payload)
    told: list[Told] = []
    problems: list[str] = []
    group = payload if isinstance(payload, Mapping) else {}
    for number, item in enumerate(items[:MOST_ALERTS]):
        try:
            told.append(alert_of(item, group, hints))
        except Unreadable as error:
            problems.append(f"alert {number}: {error}")
    left_out = max(0, len(items) - MOST_ALERTS) + _truncated(group)
    if left_out:
        problems.append(f"{left_out} alerts of this group are not in the message")
    return Reading(
        alerts=tuple(told), problems=tuple(problems), reader="alertmanager", said="" if items else "no alerts in it"
    )


def _truncated(group: Mapping[str, Any]) -> int:
    count = group.get("truncatedAlerts")
    return count if isinstance(count, int) and count > 0 else 0


def items_of(payload: Any) -> list[Any]:
    """Return the alerts of a message; a list of alerts and a single one are taken too."""
    if isinstance(payload, list):
        return payload
    if not isinstance(payload, Mapping):
        raise Unreadable(f"The message is no JSON object; expected {EXPECTED}.")
    alerts = payload.get("alerts")
    if isinstance(alerts, list):
        return alerts
    if isinstance(payload.get("labels"), Mapping):
        return [payload]
    raise Unreadable(f"The message has no alerts; expected {EXPECTED}.")


def alert_of(item: Any, group: Mapping[str, Any], hints: Hints) -> Told:
    """Return one alert of a group."""
    if not isinstance(item, Mapping):
        raise Unreadable("is not an object")
    received = item.get("labels")
    if not isinstance(received, Mapping):
        raise Unreadable("has no labels")
    labels = labels_of(received)
    annotations = texts_of(_map(item, "annotations") or _map(group, "commonAnnotations"))
    for text in ("summary", "description"):
        annotations.setdefault(text, text_of(item.get(text)))
    name = labels.pop("alertname", "") or annotations["summary"] or annotations["description"]
    if not name:
        raise Unreadable("has no label alertname")
    status = status_of(item.get("status") or group.get("status"), item)
    severity_text = labels.pop("severity", "")
    return Told(
        name=name[:LONGEST_NAME], status=status, labels=labels, severity_text=severity_text,
        severity=words.severity_in(severity_text) or hints.severity,
        annotations={key: text for key, text in annotations.items() if text},
        key=text_of(item.get("fingerprint"), LONGEST_KEY) or derived_key(name, labels),
        started_at=moment(item.get("startsAt")), url=url_of(item.get("generatorURL")),
        ended_at=moment(item.get("endsAt")) if status is Status.RESOLVED else None,
    )  # fmt: skip


def status_of(said: Any, item: Mapping[str, Any]) -> Status:
    """Return where an alert stands; `status` may be an object with a state, as the API has it."""
    if isinstance(said, Mapping):
        said = said.get("state")
    if isinstance(said, str):
        return words.status_in(said) or Status.FIRING
    return Status.RESOLVED if moment(item.get("endsAt")) else Status.FIRING


def _map(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = item.get(name)
    return found if isinstance(found, Mapping) else {}
