"""Grafana's webhooks: unified alerting, and the dashboard alerts before it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alerts.engine.inbound import alertmanager, guessing, words
from alerts.engine.inbound.told import (
    LONGEST_NAME,
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

LINKS = {"dashboardURL": "dashboard_url", "panelURL": "panel_url", "silenceURL": "silence_url", "imageURL": "image_url"}
LEGACY = {"alerting": Status.FIRING, "no_data": Status.FIRING, "ok": Status.RESOLVED, "paused": Status.RESOLVED}


def read(payload: Any, hints: Hints) -> Reading:
    """Return the alerts of either kind of message, told apart by what they hold."""
    if isinstance(payload, Mapping) and ("ruleName" in payload or "evalMatches" in payload):
        return _legacy(payload, hints)
    if isinstance(payload, Mapping) and "alerts" not in payload and payload.get("title") and "labels" in payload:
        return Reading(alerts=(guessing.guessed(payload, hints),), reader="grafana")
    found = alertmanager.read(payload, hints)
    items = [item for item in alertmanager.items_of(payload) if isinstance(item, Mapping)]
    if len(items) != len(found.alerts):
        return replace(found, reader="grafana")
    told = tuple(_with_links(alert, item) for alert, item in zip(found.alerts, items, strict=True))
    return replace(found, alerts=told, reader="grafana")


def _with_links(told: Told, item: Mapping[str, Any]) -> Told:
    more = {name: url_of(item.get(key)) for key, name in LINKS.items()}
    values = item.get("values")
    if isinstance(values, Mapping):
        more["value"] = ", ".join(f"{name}={text_of(value)}" for name, value in sorted(values.items()))
    more["value"] = more.get("value") or text_of(item.get("valueString"))
    return replace(told, annotations=texts_of({**more, **told.annotations}), url=told.url or more["panel_url"])


def _legacy(payload: Mapping[str, Any], hints: Hints) -> Reading:
    name = text_of(payload.get("ruleName") or payload.get("title"), LONGEST_NAME)
    if not name:
        raise Unreadable("The message has neither ruleName nor title.")
    state = text_of(payload.get("state")).lower()
    if state == "pending":
        return Reading(said="the rule waits for its time (pending)", reader="grafana")
    tags = payload.get("tags")
    labels = labels_of(tags if isinstance(tags, Mapping) else {})
    severity_text = labels.pop("severity", "")
    matches = payload.get("evalMatches") or []
    value = ", ".join(
        f"{text_of(match.get('metric'))}={text_of(match.get('value'))}"
        for match in matches
        if isinstance(match, Mapping)
    )
    ids = (text_of(payload.get(name)) for name in ("orgId", "dashboardId", "panelId", "ruleId"))
    annotations = {
        "summary": text_of(payload.get("title")), "description": text_of(payload.get("message")), "value": value,
        "image_url": url_of(payload.get("imageUrl")),
    }  # fmt: skip
    told = Told(
        name=name, status=LEGACY.get(state) or words.status_in(state) or Status.FIRING, labels=labels,
        severity=words.severity_in(severity_text) or hints.severity, severity_text=severity_text,
        annotations=texts_of(annotations), key="rule:" + ":".join(ids), url=url_of(payload.get("ruleUrl")),
    )  # fmt: skip
    return Reading(alerts=(told,), reader="grafana")
