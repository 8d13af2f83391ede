"""A rule as the texts of a form, and back; what cannot be read is said beside its field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from aivillage_console.lib.durations import BadDuration, format_seconds, parse_ms
from alerts.models import Rule, RuleGroup
from alerts.rules.fields import LEVEL_FIELDS, KindShape, SpecField
from alerts.rules.kinds import shapes

Values = dict[str, str]
TEXTS = ("name", "alert_name", "description", "severity", "kind")
DURATIONS = {
    "for": "for_seconds", "keep_firing_for": "keep_firing_for_seconds", "window": "window_seconds",
    "cooldown": "cooldown_seconds",
}  # fmt: skip
# Annotations with a box of their own; the rest is written a line each.
NOTES = ("summary", "impact", "runbook", "runbook_url")
MOST_LEVELS = 3
LONGEST = 20_000
LONGEST_SECONDS = 2**31 - 1
NUMBERS = {"number", "integer"}


class BadText(ValueError):
    """A text of a field that means nothing; the sentence says what to write instead."""


@dataclass(slots=True)
class Reading:
    """What was read of a form: the fields of a rule by column, and what could not be read by field of the form."""

    fields: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def take(self, column: str, name: str, reads: Any, text: str) -> None:
        """Read one text into a column."""
        try:
            self.fields[column] = reads(text)
        except BadText as error:
            self.problems[name] = str(error)


def values_of(rule: Rule) -> Values:
    """Return a rule as the texts of its form."""
    notes = dict(rule.annotations)
    values = {name: str(getattr(rule, name)) for name in TEXTS}
    values |= {name: format_seconds(getattr(rule, column)) for name, column in DURATIONS.items()}
    values |= {name: notes.pop(name, "") for name in NOTES}
    values |= {"group": str(getattr(rule, "group_id", None) or ""), "enabled": "on" if rule.enabled else ""}
    values |= {"labels": lines_of(rule.labels), "annotations": lines_of(notes)}
    shape = shapes().get(rule.kind)
    return values | (_spec_values(shape, rule.spec) if shape else {})


def _spec_values(shape: KindShape, spec: Mapping[str, Any]) -> Values:
    values: Values = {}
    for each in shape.fields:
        name, value = f"{shape.kind}.{each.name}", spec.get(each.name)
        if each.type == "levels":
            values |= _level_values(name, value)
        elif each.type == "boolean":
            values[name] = "on" if (each.default if value is None else value) else ""
        else:
            values[name] = _text_of(each, value)
    return values


def _level_values(name: str, levels: Any) -> Values:
    rows = [row for row in levels if isinstance(row, Mapping)] if isinstance(levels, list) else []
    return {
        f"{name}.{place}.{each.name}": _text_of(each, rows[place].get(each.name) if place < len(rows) else None)
        for place in range(MOST_LEVELS) for each in LEVEL_FIELDS
    }  # fmt: skip


def _text_of(each: SpecField, value: Any) -> str:
    if value is None or value == "":
        return ""
    if each.type == "seconds" and isinstance(value, int | float) and not isinstance(value, bool):
        return format_seconds(value)
    if each.type == "names" and isinstance(value, list | tuple) and all(_is_plain(one) for one in value):
        return ", ".join(value)
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and bool(text) and text == text.strip() and not set(text) & set(',"[]')


def read(values: Mapping[str, str]) -> Reading:
    """Return the fields of a rule that the texts of its form mean."""
    found = Reading({name: values.get(name, "").strip() for name in TEXTS})
    for name, column in DURATIONS.items():
        found.take(column, name, whole_seconds, values.get(name, ""))
    found.fields["enabled"] = values.get("enabled") == "on"
    found.take("labels", "labels", mapping_of, values.get("labels", ""))
    found.take("annotations", "annotations", mapping_of, values.get("annotations", ""))
    notes = {name: values.get(name, "").strip() for name in NOTES}
    found.fields["annotations"] = found.fields.get("annotations", {}) | {
        name: text for name, text in notes.items() if text
    }
    found.take("group_id", "group", _group, values.get("group", ""))
    _read_spec(found, values)
    return found


def _read_spec(found: Reading, values: Mapping[str, str]) -> None:
    shape = shapes().get(found.fields["kind"])
    found.fields["spec"] = spec = {}
    if shape is None:
        found.problems["kind"] = "Choose what the rule is about."
        return
    if not shape.makes_alerts:
        found.fields["annotations"] = {}
    for each in shape.fields:
        name = f"{shape.kind}.{each.name}"
        try:
            value = _levels(name, values) if each.type == "levels" else _value(each, values.get(name, ""))
        except BadText as error:
            found.problems[name] = str(error)
            continue
        if value is None and each.required:
            found.problems[name] = f"{each.label} is needed."
        # What is usual is left out, so that a change of the usual reaches the rule.
        if value is not None and (each.required or value != _plain_default(each)):
            spec[each.name] = value


def _plain_default(each: SpecField) -> Any:
    return list(each.default) if isinstance(each.default, tuple) else each.default


def _levels(name: str, values: Mapping[str, str]) -> list[dict[str, Any]] | None:
    rows = []
    for place in range(MOST_LEVELS):
        texts = {each.name: values.get(f"{name}.{place}.{each.name}", "").strip() for each in LEVEL_FIELDS}
        if any(texts.values()):
            missing = [each.label for each in LEVEL_FIELDS if each.required and not texts[each.name]]
            if missing:
                raise BadText(f"Severity {place + 1}: {' and '.join(missing)} missing.")
            read_row = {each.name: _value(each, texts[each.name]) for each in LEVEL_FIELDS}
            rows.append({key: value for key, value in read_row.items() if value is not None})
    return rows or None


def _value(each: SpecField, text: str) -> Any:
    if each.type == "boolean":
        return text == "on"
    text = text.strip()
    if not text:
        return None
    if each.type in NUMBERS:
        return number(text, whole=each.type == "integer")
    if each.type == "seconds":
        return whole_seconds(text)
    if each.type == "names":
        return names_of(text)
    return _json(text) if each.type == "json" else text


def number(text: str, *, whole: bool = False) -> int | float:
    """Read a number; an integer stays one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if whole or found - found != 0:
        raise BadText(f"{text[:40]!r} is no {'whole ' if whole else ''}number.")
    return found


def whole_seconds(text: str) -> int:
    """Read a duration of whole seconds; nothing is none."""
    try:
        found_ms = parse_ms(text) if text.strip() else 0
    except BadDuration as error:
        raise BadText(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    if found_ms % 1000 or found_ms > LONGEST_SECONDS * 1000:
        raise BadText("Whole seconds, and less than 68 years.")
    return found_ms // 1000


def names_of(text: str) -> list[str]:
    """Read names with commas between them, or a list as JSON."""
    if text.startswith("["):
        found = _json(text)
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise BadText('Names with commas between them, or a list such as ["a", "b"].')
        return found
    return [part for part in (each.strip() for each in text.split(",")) if part]


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadText(f"This is no JSON: {error}.") from None


def lines_of(mapping: Mapping[str, Any]) -> str:
    """Return texts by name, a line each; a text that would not survive that is written as JSON."""
    return "\n".join(f"{name} = {_line_text(text)}" for name, text in mapping.items())


def _line_text(text: Any) -> str:
    fits = isinstance(text, str) and text == text.strip() and text.isprintable() and not text.startswith('"')
    return str(text) if fits else orjson.dumps(text).decode()


def mapping_of(text: str) -> dict[str, Any]:
    """Read texts by name, a line each: name = text."""
    found: dict[str, Any] = {}
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not name:
            raise BadText(f"Line {place}: write name = text.")
        if name in found:
            raise BadText(f"Line {place}: {name} is there already.")
        found[name] = _json(value) if value.startswith('"') else value
    return found


def _group(text: str) -> UUID:
    try:
        found = UUID(text)
    except ValueError:
        raise BadText("Choose the group it is evaluated in.") from None
    if not RuleGroup.objects.filter(pk=found).exists():
        raise BadText("This group is gone: choose another one.")
    return found


def posted(data: Mapping[str, Any]) -> Values:
    """Return the texts of a form as they were sent, bounded and without what no text holds."""
    return {
        name: str(value).replace("\x00", "").replace("\r\n", "\n")[:LONGEST]
        for name, value in data.items() if len(name) < 100
    }  # fmt: skip
