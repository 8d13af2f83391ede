"""A mapping as people write it: one `field = expression` a line, and what a reading looks like as lines."""

from collections.abc import Iterator, Mapping
from typing import Any

from alerts.engine.inbound.told import Changed, Reading, Told

LONGEST = 20_000


class BadLine(ValueError):
    """A line cannot be read; the text says which."""


def mapping_of(text: str) -> dict[str, Any]:
    """Return the mapping that lines write, or raise BadLine; empty lines and comments count for nothing."""
    if len(text) > LONGEST:
        raise BadLine(f"A mapping is at most {LONGEST} characters long.")
    found: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()  # noqa: PLW2901 (the line as it counts)
        if not line or line.startswith("#"):
            continue
        name, mark, expression = (part.strip() for part in line.partition("="))
        if not mark or not name or not expression:
            raise BadLine(f"Line {number}: write field = expression, such as name = alert.title.")
        _put(found, name.split(".", 2 if name.startswith("values.") else 1), expression, number)
    return found


def _put(found: dict[str, Any], path: list[str], expression: str, number: int) -> None:
    place = found
    for name in path[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise BadLine(f"Line {number}: {name} is given as a whole already.")
    if path[-1] in place:
        raise BadLine(f"Line {number}: {'.'.join(path)} is given twice.")
    place[path[-1]] = expression


def text_of(mapping: Mapping[str, Any]) -> str:
    """Return a mapping as lines."""
    return "\n".join(f"{name} = {expression}" for name, expression in _flat(mapping))


def _flat(mapping: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)


def described(reading: Reading) -> list[str]:
    """Return a reading as lines for a terminal."""
    lines = [f"read as {reading.reader}"]
    for told in reading.alerts:
        lines += ["", *_alert(told)]
    for change in reading.changes:
        lines += ["", *_change(change)]
    lines += [f"nothing comes of it: {reading.said}"] if reading.said else []
    return [*lines, *(f"problem: {problem}" for problem in reading.problems)]


def _alert(told: Told) -> list[str]:
    received = f" (received as {told.severity_text})" if told.severity_text else ""
    rows = [
        ("name", told.name or "(that of the key)"), ("status", told.status.value),
        ("severity", told.severity.value + received),
        ("key", told.key), ("started", told.started_at), ("ended", told.ended_at), ("url", told.url), ("by", told.by),
    ]  # fmt: skip
    rows += [(f"label {name}", text) for name, text in sorted(told.labels.items())]
    rows += [(name, text.replace("\n", " ")[:200]) for name, text in told.annotations.items()]
    return ["alert", *(f"  {name}: {value}" for name, value in rows if value)]


def _change(change: Changed) -> list[str]:
    rows = [
        ("kind", change.kind), ("name", change.name), ("status", change.status), ("at", change.at), ("key", change.key),
        ("summary", change.summary), ("url", change.url),
    ]  # fmt: skip
    rows += [(f"label {name}", text) for name, text in sorted(change.labels.items())]
    return ["change", *(f"  {name}: {value}" for name, value in rows if value)]
