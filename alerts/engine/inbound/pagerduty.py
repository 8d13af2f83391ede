"""PagerDuty: Events v2 and its changes as senders post them, version 1, and the webhooks PagerDuty sends itself."""

from collections.abc import Mapping
from typing import Any

from alerts.engine.inbound import words
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import (
    LONGEST_KEY,
    LONGEST_NAME,
    Changed,
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

ACTIONS = {"trigger": Status.FIRING, "acknowledge": Status.ACKNOWLEDGED, "resolve": Status.RESOLVED}
SEVERITIES = ("critical", "error", "warning", "info")
PLACES = ("source", "component", "group", "class")
LONGEST_SUMMARY = 1024


def problems(event: Any) -> list[str]:
    """Return what is wrong with an event of version 2, in the words its clients know."""
    if not isinstance(event, Mapping):
        return ["The body is not a JSON object"]
    found = []
    action = event.get("event_action")
    if action not in ACTIONS:
        found.append("'event_action' must be one of: trigger, acknowledge, resolve")
    key = event.get("dedup_key")
    if key is not None and (not isinstance(key, str) or len(key) > LONGEST_KEY):
        found.append(f"'dedup_key' must be a string of at most {LONGEST_KEY} characters")
    if action in ("acknowledge", "resolve") and not key:
        found.append(f"'dedup_key' is missing: it says what to {action}")
    if action == "trigger":
        found += _payload_problems(event.get("payload"), ("summary", "source", "severity"))
    return found


def change_problems(event: Any) -> list[str]:
    """Return what is wrong with a change event."""
    if not isinstance(event, Mapping):
        return ["The body is not a JSON object"]
    return _payload_problems(event.get("payload"), ("summary",))


def _payload_problems(payload: Any, needed: tuple[str, ...]) -> list[str]:
    if not isinstance(payload, Mapping):
        return ["'payload' is missing or is no object"]
    found = [f"'payload.{name}' is missing or blank" for name in needed if not text_of(payload.get(name))]
    severity = payload.get("severity")
    if severity and severity not in SEVERITIES:
        found.append(f"'payload.severity' must be one of: {', '.join(SEVERITIES)}")
    return found


def read(payload: Any, hints: Hints) -> Reading:
    """Return what an event says: of version 2, of a change, of version 1, or of a webhook."""
    if not isinstance(payload, Mapping):
        raise Unreadable("The message is no JSON object.")
    event = payload.get("event")
    if isinstance(event, Mapping) and isinstance(event.get("data"), Mapping):
        return Reading(alerts=(_incident(event, event["data"], hints),), reader="pagerduty")
    if "event_action" in payload:
        return Reading(alerts=(_event(payload, hints),), reader="pagerduty")
    if payload.get("service_key") or "incident_key" in payload:
        return Reading(alerts=(_version_1(payload, hints),), reader="pagerduty")
    inner = payload.get("payload", payload)
    if isinstance(inner, Mapping) and inner.get("summary"):
        if "severity" not in inner and inner is not payload:
            return Reading(changes=(change_of(payload, hints),), reader="pagerduty")
        return Reading(
            alerts=(_event({"event_action": "trigger", **payload, "payload": inner}, hints),), reader="pagerduty"
        )
    raise Unreadable("The message has neither event_action and payload, nor event.data, nor service_key.")


def _event(event: Mapping[str, Any], hints: Hints) -> Told:
    given = event.get("payload")
    payload = given if isinstance(given, Mapping) else {}
    action = text_of(event.get("event_action")).lower()
    status = ACTIONS.get(action) or words.status_in(action)
    if status is None:
        raise Unreadable("'event_action' must be one of: trigger, acknowledge, resolve.")
    key = text_of(event.get("dedup_key"), LONGEST_KEY) or hints.key
    summary = text_of(payload.get("summary"), LONGEST_SUMMARY)
    if not summary and (status is Status.FIRING or not key):
        raise Unreadable("'payload.summary' is missing.")
    severity_text = text_of(payload.get("severity"), 100)
    links = (link for link in event.get("links") or [] if isinstance(link, Mapping))
    url = url_of(event.get("client_url")) or next((url_of(link.get("href")) for link in links), "")
    return Told(
        name=summary[:LONGEST_NAME], status=status, key=key, url=url,
        severity=words.severity_in(severity_text) or hints.severity, severity_text=severity_text,
        labels=labels_of({name: payload.get(name) for name in PLACES}),
        annotations=texts_of({
            "summary": summary, "client": event.get("client"), **details(payload.get("custom_details")),
        }),
        started_at=moment(payload.get("timestamp")),
    )  # fmt: skip


def details(given: Any) -> dict[str, str]:
    """Return details as texts: of an object its scalars, of a text itself."""
    if isinstance(given, Mapping):
        return texts_of(given)
    return {"details": text_of(given)} if text_of(given) else {}


def change_of(event: Mapping[str, Any], hints: Hints) -> Changed:
    """Return a change event."""
    payload = event["payload"]
    links = [link for link in event.get("links") or [] if isinstance(link, Mapping)]
    summary = text_of(payload.get("summary"), LONGEST_SUMMARY)
    labels = labels_of({"source": payload.get("source"), **details(payload.get("custom_details"))})
    return Changed(
        kind="change", name=summary[:LONGEST_NAME], at=moment(payload.get("timestamp")), summary=summary, labels=labels,
        url=next((url_of(link.get("href")) for link in links), ""), key=hints.key,
    )  # fmt: skip


def _version_1(event: Mapping[str, Any], hints: Hints) -> Told:
    status = ACTIONS.get(text_of(event.get("event_type")).lower(), Status.FIRING)
    description = text_of(event.get("description"), LONGEST_SUMMARY)
    key = text_of(event.get("incident_key"), LONGEST_KEY) or hints.key
    if not description and (status is Status.FIRING or not key):
        raise Unreadable("'description' is missing.")
    return Told(
        name=description[:LONGEST_NAME], status=status, key=key, severity=hints.severity,
        labels=labels_of({"source": event.get("client")}), url=url_of(event.get("client_url")),
        annotations=texts_of({"summary": description, **details(event.get("details"))}),
    )  # fmt: skip


def _incident(event: Mapping[str, Any], data: Mapping[str, Any], hints: Hints) -> Told:
    said = text_of(data.get("status")) or text_of(event.get("event_type"))
    title = text_of(data.get("title") or data.get("summary"), LONGEST_SUMMARY)
    priority = data.get("priority")
    severity_text = text_of(priority.get("summary")) if isinstance(priority, Mapping) else ""
    severity_text = severity_text or text_of(data.get("urgency"))
    service, agent = (
        found if isinstance(found, Mapping) else {} for found in (data.get("service"), event.get("agent"))
    )
    if not title:
        raise Unreadable("'event.data.title' is missing.")
    return Told(
        name=title[:LONGEST_NAME], status=words.status_in(said) or Status.FIRING,
        key=text_of(data.get("id"), LONGEST_KEY), severity=words.severity_in(severity_text) or hints.severity,
        severity_text=severity_text,
        labels=labels_of({"service": service.get("summary"), "incident": data.get("number")}),
        annotations={"summary": title}, started_at=moment(data.get("created_at")), url=url_of(data.get("html_url")),
        by=text_of(agent.get("summary"), 200),
    )  # fmt: skip
