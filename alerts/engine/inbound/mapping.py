"""A mapping: what people say about a payload of theirs; what they leave out is guessed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerts.engine.inbound import guessing, words
from alerts.engine.inbound.keys import derived_key
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.paths import BadPath, parsed, text_at, value_at
from alerts.engine.inbound.told import (
    LONGEST_KEY,
    LONGEST_NAME,
    MOST_ALERTS,
    Changed,
    Hints,
    Reading,
    Status,
    Told,
    Unreadable,
    labels_of,
    texts_of,
    url_of,
)
from alerts.engine.severity import SYNONYMS

# Each of these is one expression.
SINGLE = (
    "items",
    "name",
    "severity",
    "status",
    "key",
    "started_at",
    "ended_at",
    "url",
    "summary",
    "description",
    "kind",
)
TABLES = ("labels", "annotations")
MEANINGS = {"status": tuple(status.value for status in Status), "severity": tuple(sorted(SYNONYMS))}
MOST_ENTRIES = 50


def problems(mapping: Any) -> dict[str, str]:
    """Return what is wrong with a mapping, by field."""
    if not isinstance(mapping, Mapping):
        return {"mapping": "A mapping is an object."}
    known = (*SINGLE, *TABLES, "values")
    found = {str(key): f"There is no such field; there are {', '.join(known)}." for key in mapping if key not in known}
    for name in SINGLE:
        if name in mapping and (problem := _expression_problem(mapping[name])):
            found[name] = problem
    for name in TABLES:
        found |= _table_problems(name, mapping.get(name))
    found |= _values_problems(mapping.get("values"))
    return found


def _expression_problem(expression: Any) -> str:
    if not isinstance(expression, str):
        return "An expression is a text."
    try:
        parsed(expression)
    except BadPath as error:
        return str(error)
    return ""


def _table_problems(name: str, table: Any) -> dict[str, str]:
    if table is None:
        return {}
    if isinstance(table, str) and name == "labels":
        problem = _expression_problem(table)
        return {name: problem} if problem else {}
    if not isinstance(table, Mapping) or len(table) > MOST_ENTRIES:
        return {name: f"An object of at most {MOST_ENTRIES} names and expressions."}
    checked = {f"{name}.{key}": _expression_problem(expression) for key, expression in table.items()}
    return {where: problem for where, problem in checked.items() if problem}


def _values_problems(values: Any) -> dict[str, str]:
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not set(values) <= set(MEANINGS):
        return {"values": f"An object with {' and '.join(MEANINGS)}: what the sender says, and what it means."}
    found = {}
    for name, table in values.items():
        wrong = (
            [str(key) for key, meaning in table.items() if meaning not in MEANINGS[name]]
            if isinstance(table, Mapping)
            else [""]
        )
        if wrong:
            found[f"values.{name}"] = f"{wrong[0][:60]!r} means none of {', '.join(MEANINGS[name])}."
    return found


def read(payload: Any, hints: Hints) -> Reading:
    """Return the alerts of a payload as the mapping says, item by item; a bad item is named, the others are taken."""
    mapping = hints.mapping
    items = _items(payload, mapping)
    told: list[Told] = []
    wrong: list[str] = []
    for number, item in enumerate(items[:MOST_ALERTS]):
        try:
            told.append(_mapped(item, payload, hints))
        except Unreadable as error:
            wrong.append(f"item {number}: {error}")
    if len(items) > MOST_ALERTS:
        wrong.append(f"{len(items) - MOST_ALERTS} more than {MOST_ALERTS} alerts in one message were left out")
    if not told:
        raise Unreadable("; ".join(wrong) or "The message is empty: there is nothing in it to make an alert of.")
    return Reading(alerts=tuple(told), problems=tuple(wrong), reader="generic")


def _items(payload: Any, mapping: Mapping[str, Any]) -> list[Any]:
    if not mapping.get("items"):
        return guessing.items_of(payload)
    found = value_at(mapping["items"], payload)
    if isinstance(found, list):
        return found
    if found is None:
        raise Unreadable(f"Nothing stands at {mapping['items']!r}, where the mapping's items should be.")
    return [found]


def _mapped(item: Any, payload: Any, hints: Hints) -> Told:
    """Return one alert; a path is looked for in the item, then in the whole message."""
    if not isinstance(item, Mapping) or not item:
        raise Unreadable("is not an object")
    mapping = hints.mapping
    guess = guessing.guessed(item, hints)

    def at(name: str) -> str:
        expression = mapping.get(name)
        return (text_at(expression, item) or text_at(expression, payload)) if expression else ""

    status, severity_text = _status(at("status"), mapping) or guess.status, at("severity") or guess.severity_text
    name = (at("name") or guess.name)[:LONGEST_NAME]
    labels = _labels(item, payload, mapping, guess)
    more = {
        key: text_at(text, item) or text_at(text, payload) for key, text in (mapping.get("annotations") or {}).items()
    }
    spoken = {key: at(key) for key in ("summary", "description")}
    return replace(
        guess, name=name, status=status, severity_text=severity_text, labels=labels,
        severity=_severity(at("severity"), mapping) or guess.severity,
        annotations=texts_of({**guess.annotations, **{key: text for key, text in {**spoken, **more}.items() if text}}),
        key=_key(at("key"), mapping, guess, name, labels), url=url_of(at("url")) or guess.url,
        started_at=_moment(at("started_at")) or guess.started_at, ended_at=_moment(at("ended_at")) or guess.ended_at,
    )  # fmt: skip


def _key(said: str, mapping: Mapping[str, Any], guess: Told, name: str, labels: Mapping[str, str]) -> str:
    if said:
        return said[:LONGEST_KEY]
    told_anew = {"name", "labels"} & set(mapping)
    return derived_key(name, labels) if told_anew and guess.key.startswith("=") else guess.key


def _moment(text: str) -> datetime | None:
    return moment(text) if text else None


def _meaning(text: str, mapping: Mapping[str, Any], name: str) -> str:
    table = (mapping.get("values") or {}).get(name) or {}
    return str(table.get(text) or {str(key).lower(): meaning for key, meaning in table.items()}.get(text.lower()) or "")


def _status(text: str, mapping: Mapping[str, Any]) -> Status | None:
    meant = _meaning(text, mapping, "status")
    return Status(meant) if meant else words.status_in(text) if text else None


def _severity(text: str, mapping: Mapping[str, Any]) -> Any:
    meant = _meaning(text, mapping, "severity")
    return SYNONYMS[meant] if meant else words.severity_in(text) if text else None


def _labels(item: Any, payload: Any, mapping: Mapping[str, Any], guess: Told) -> dict[str, str]:
    """Return the labels: all that stands in one place, or what is named beside what was found."""
    table = mapping.get("labels")
    if isinstance(table, str):
        found = value_at(table, item) or value_at(table, payload)
        return labels_of(found) if isinstance(found, Mapping) else dict(guess.labels)
    named = {key: text_at(text, item) or text_at(text, payload) for key, text in (table or {}).items()}
    return labels_of(
        {
            **{key: text for key, text in named.items() if text},
            **{key: text for key, text in guess.labels.items() if key not in named},
        }
    )


def changes_of(reading: Reading, payload: Any, hints: Hints) -> Reading:
    """Return the same message as changes: an integration may be told that what it brings are deploys, no alerts."""
    said = {name: text_at(hints.mapping[name], payload) for name in ("kind", "status") if hints.mapping.get(name)}
    changes = tuple(
        Changed(
            kind=(said.get("kind") or "change")[:40], name=told.name, at=told.started_at, url=told.url,
            labels=told.labels, summary=told.annotations.get("summary", ""), status=said.get("status", "")[:60],
            key=told.key if not told.key.startswith("=") else "",
        )
        for told in reading.alerts
    )  # fmt: skip
    return replace(reading, alerts=(), changes=(*reading.changes, *changes))
