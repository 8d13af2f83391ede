"""Texts with holes: `{{ $labels.instance }}`, `{{ $value }}`, one formatter a hole, and nothing else.

Whoever writes a rule writes such a text, so it must not be a language: no attributes, no calls, no loops, and what
is filled in is never read again.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_BYTES = 65_536
HOLE = re.compile(r"\{\{-?([^{}]{0,500}?)-?\}\}")  # noqa: TID251 - our own constant, linear
INSIDE = re.compile(  # noqa: TID251 - our own constant, linear
    r"\s*(?:\$value|\$labels\.(?P<label>[a-zA-Z_]\w{0,199})|\$(?P<name>externalURL|threshold|rule|severity|since))"
    r"(?:\s*\|\s*(?P<format>[a-zA-Z0-9]{1,30}))?\s*",
    re.ASCII,
)
BEFORE = re.compile(  # noqa: TID251 - our own constant, linear
    r"\s*(?P<format>[a-zA-Z0-9]{1,30})\s+(?P<rest>\$[a-zA-Z_.0-9]{1,220})\s*", re.ASCII
)


class BadTemplate(ValueError):
    """A text with a hole that cannot be filled; the message names the hole."""


@dataclass(frozen=True, slots=True)
class Values:
    """What the holes may ask for."""

    labels: Mapping[str, str]
    value: float | None = None
    extra: Mapping[str, str] | None = None


def _plain(value: float) -> str:
    return f"{value:.15g}" if value.is_integer() else f"{value:.4g}"


def _scaled(value: float, base: float, units: tuple[str, ...]) -> str:
    size, step = value, 0
    while abs(size) >= base and step < len(units) - 1:
        size, step = size / base, step + 1
    return f"{size:.4g}{units[step]}"


def _duration(value: float) -> str:
    if not math.isfinite(value) or abs(value) < 60:
        return f"{value:.4g}s"
    minutes, seconds = divmod(round(abs(value)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count or unit == "m"]
    return ("-" if value < 0 else "") + " ".join([*parts, f"{seconds}s"])


FORMATS: dict[str, Callable[[float], str]] = {
    "humanize": lambda value: _scaled(value, 1000, ("", "k", "M", "G", "T", "P")),
    "humanize1024": lambda value: _scaled(value, 1024, ("", "ki", "Mi", "Gi", "Ti", "Pi")),
    "humanizeDuration": _duration,
    "humanizePercentage": lambda value: f"{value * 100:.4g}%",
}


def _value(inside: re.Match[str], values: Values) -> str | float:
    if label := inside["label"]:
        return values.labels.get(label, "")
    if name := inside["name"]:
        return (values.extra or {}).get(name, "")
    return "" if values.value is None else float(values.value)


def _parsed(hole: str) -> re.Match[str]:
    # Prometheus writes the formatter before the value, pipes write it after: both mean the same.
    before = BEFORE.fullmatch(hole)
    inside = INSIDE.fullmatch(f"{before['rest']}|{before['format']}" if before else hole)
    if inside is None:
        raise BadTemplate(f"{{{{{hole[:60]}}}}} is not known; use $value, $labels.name and one formatter")
    if inside["format"] and inside["format"] not in FORMATS:
        raise BadTemplate(f"there is no formatter {inside['format']!r}; there are {', '.join(FORMATS)}")
    return inside


def _filled(hole: str, values: Values) -> str:
    inside = _parsed(hole)
    found = _value(inside, values)
    if inside["format"] is None:
        return found if isinstance(found, str) else _plain(found)
    try:
        return FORMATS[inside["format"]](float(found))
    except (ValueError, OverflowError):
        return str(found)


def validate(text: str) -> None:
    """Raise BadTemplate when the text is too long or has a hole that cannot be filled."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise BadTemplate(f"longer than {MAX_BYTES} bytes")
    for hole in HOLE.finditer(text):
        _parsed(hole[1])
    if "{{" in HOLE.sub("", text):
        raise BadTemplate("a {{ is not closed, or one stands inside another")


def _filled_or_left(hole: re.Match[str], values: Values) -> str:
    try:
        return _filled(hole[1], values)
    except BadTemplate:
        return hole[0]


def render(text: str, values: Values) -> str:
    """Return the text with its holes filled, cut at 64 KB; a hole `validate` would refuse stays as it stands."""
    filled = HOLE.sub(lambda hole: _filled_or_left(hole, values), text[:MAX_BYTES])
    return filled.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore")
