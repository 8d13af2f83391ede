"""A rule between its text and the console's own fields."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import yaml

from aivillage_console.lib.durations import format_seconds
from alerts.engine.configuration.entries import Entry, Fields
from alerts.engine.configuration.reading import ConfigReading, neat
from alerts.engine.severity import SYNONYMS, severity_from

SECTION = "alert_rules"
DEFAULT_GROUP = "defaults"
DEFAULT_WINDOW_SECONDS, DEFAULT_COOLDOWN_SECONDS = 300, 600
ORIGINAL = "severity_original"
KEYS = (
    "name", "kind", "group", "alert", "description", "severity", "evaluation_window", "cooldown_period", "for",
    "keep_firing_for", "labels", "annotations", "runbook", "runbook_url", "enabled", "spec",
)  # fmt: skip
# A rule that says no kind is of the first whose key it has.
TELLING = {"metric_path": "threshold", "record": "recording", "expr": "promql"}
# What belongs at the top of the rule's own part, in this order; the rest follows by name.
FIRST = ("record", "expr", "metric_path", "denominator_path", "condition", "threshold")
TEXT_TYPES = frozenset({"text", "promql", "path", "rules", "choice"})
BESIDE = ("runbook_url", "runbook")
DURATIONS = (
    ("for", "for_seconds", 0),
    ("keep_firing_for", "keep_firing_for_seconds", 0),
    ("evaluation_window", "window_seconds", DEFAULT_WINDOW_SECONDS),
    ("cooldown_period", "cooldown_seconds", DEFAULT_COOLDOWN_SECONDS),
)
# What each kind's own part knows: its keys, and of which type each is (`alerts.rules.fields`).
Kinds = Mapping[str, Mapping[str, str]]


def read_rule(reading: ConfigReading, node: yaml.Node, kinds: Kinds) -> Entry | None:
    """Return a rule as it is written; None where it cannot even be named."""
    found = reading.pairs(node, "a rule")
    before = len(reading.mistakes)
    kind = _kind(reading, node, found, kinds)
    if kind is None:
        return None
    spec_keys = [key for key in kinds[kind] if key not in KEYS]
    known = (*KEYS, *sorted(spec_keys, key=_place))
    given = reading.fields(node, f"a rule of the kind {kind}", known)
    name = reading.text(given.get("name"))
    if not name.strip():
        reading.wrong(node, "name is missing: each rule needs one of its own")
    own = {key: given[key] for key in spec_keys if key in given}
    if "spec" in given:
        own |= reading.fields(given["spec"], f"the spec of the kind {kind}", tuple(kinds[kind]))
    spec = {key: _spec_value(reading, kinds[kind][key], key, value) for key, value in own.items()}
    fields: Fields = {"kind": kind, "spec": spec} | _common(reading, node, given, kind)
    if len(reading.mistakes) > before and not name:
        return None
    places = {key: (value.start_mark.line + 1, value.start_mark.column + 1) for key, value in given.items()}
    return Entry(SECTION, name, fields, node.start_mark.line + 1, node.start_mark.column + 1, lines=places)


def _kind(reading: ConfigReading, node: yaml.Node, found: Mapping[str, Any], kinds: Kinds) -> str | None:
    if not isinstance(node, yaml.MappingNode):
        if not reading.mistakes:
            reading.wrong(node, "a rule belongs here: a map with a name and a metric_path, an expr or a kind")
        return None
    if "kind" not in found:
        kind = next((kind for key, kind in TELLING.items() if key in found), None)
        if kind is None:
            reading.wrong(node, "what is it about? Write a metric_path, an expr, a record, or a kind")
        return kind
    place = found["kind"][1]
    kind = reading.text(place)
    if kind not in kinds:
        reading.wrong(place, f"unknown kind {kind[:60]!r}; known are {', '.join(sorted(kinds))}")
        return None
    return kind


def _spec_value(reading: ConfigReading, kind: str, key: str, node: yaml.Node) -> Any:
    if kind in TEXT_TYPES:
        return reading.text(node)
    if kind == "number":
        return neat(reading.number(node))
    if kind == "integer":
        return reading.whole(node)
    if kind == "seconds":
        return neat(reading.exact_seconds(node))
    if kind == "names":
        return reading.texts_of(node, key)
    return reading.truth(node) if kind == "boolean" else reading.plain(node, key)


def _common(reading: ConfigReading, node: yaml.Node, given: Mapping[str, yaml.Node], kind: str) -> Fields:
    labels = reading.texts(given.get("labels"), "labels")
    fields: Fields = {
        "group": reading.text(given.get("group")) or DEFAULT_GROUP,
        "alert_name": reading.text(given.get("alert")),
        "description": reading.text(given.get("description")),
        "severity": _severity(reading, node, given, labels, kind),
        "labels": labels,
        "annotations": _annotations(reading, given),
        "enabled": reading.truth(given["enabled"]) if "enabled" in given else True,
    }
    for key, column, default in DURATIONS:
        least = 1 if column == "window_seconds" else 0
        fields[column] = reading.seconds(given[key], default, least=least) if key in given else default
    return fields


def _severity(
    reading: ConfigReading, node: yaml.Node, given: Mapping[str, yaml.Node], labels: dict[str, str], kind: str
) -> str:
    if "severity" not in given:
        if kind == "threshold":
            reading.wrong(node, "severity is missing: critical, high, medium or low")
        return severity_from("").value
    said = reading.text(given["severity"])
    if said.strip().lower() not in SYNONYMS:
        reading.wrong(given["severity"], f"unknown severity {said[:40]!r}: use critical, high, medium or low")
    meant = severity_from(said).value
    if said != meant:
        # The word stays beside what it means here, so what looks for it still finds it.
        labels.setdefault(ORIGINAL, said)
    return meant


def _annotations(reading: ConfigReading, given: Mapping[str, yaml.Node]) -> dict[str, str]:
    found = reading.texts(given.get("annotations"), "annotations")
    for name in BESIDE:
        if name in given:
            if name in found:
                reading.wrong(given[name], f"{name} stands among the annotations already: leave one of them out")
            found[name] = reading.text(given[name])
    return found


def rule_item(name: str, fields: Mapping[str, Any], *, kinds: Kinds) -> dict[str, Any]:
    """Return a rule as it is written: what is usual is left out, and the order is always the same."""
    kind, spec = fields["kind"], {key: _neatly(value) for key, value in fields["spec"].items()}
    item: dict[str, Any] = {"name": name}
    item |= {"alert": fields["alert_name"]} if fields.get("alert_name") else {}
    item |= {"group": fields["group"]} if fields.get("group", DEFAULT_GROUP) != DEFAULT_GROUP else {}
    item |= {"kind": kind} if next((TELLING[key] for key in TELLING if key in spec), "") != kind else {}
    item |= {"description": fields["description"]} if fields["description"] else {}
    inline = [key for key in spec if key not in KEYS and key in kinds.get(kind, ())]
    item |= {key: spec[key] for key in sorted(inline, key=_place)}
    apart = {key: spec[key] for key in sorted(spec) if key not in inline}
    item |= {"spec": apart} if apart else {}
    return item | _common_item(fields)


def _neatly(value: Any) -> Any:
    """Return a value as it is read back: 80.0 is written as 80."""
    if isinstance(value, list):
        return [_neatly(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _neatly(each) for key, each in value.items()}
    return neat(value) if isinstance(value, float) and isfinite(value) else value


def _common_item(fields: Mapping[str, Any]) -> dict[str, Any]:
    labels, annotations = dict(fields["labels"]), dict(fields["annotations"])
    severity = fields["severity"]
    said = labels.get(ORIGINAL, "") if _tells(fields) else ""
    if said and said != severity and said.strip().lower() in SYNONYMS and severity_from(said).value == severity:
        severity = labels.pop(ORIGINAL)
    item: dict[str, Any] = {"severity": severity} if _tells(fields) else {}
    for key, column, default in DURATIONS:
        if fields[column] != default:
            item[key] = format_seconds(fields[column]) if default == 0 else fields[column]
    beside = {name: annotations.pop(name) for name in BESIDE if annotations.get(name)}
    item |= {"labels": dict(sorted(labels.items()))} if labels else {}
    item |= {"annotations": dict(sorted(annotations.items()))} if annotations else {}
    item |= beside
    return item | ({} if fields["enabled"] else {"enabled": False})


def _tells(fields: Mapping[str, Any]) -> bool:
    """Say whether the severity of a rule means anything: what is recorded tells nobody."""
    return bool(fields["kind"] != "recording" or fields["severity"] != severity_from("").value)


def _place(key: str) -> tuple[int, str]:
    return (FIRST.index(key) if key in FIRST else len(FIRST), key)
