"""Durations in configuration files: 1h30m with whole units, and Go's own with fractions."""

import re

from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.quoting import quote

UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
GO_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
PIECE = re.compile(r"([0-9]+)([^0-9]+)")  # noqa: TID251 - our own constant, linear
GO_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.]+)")  # noqa: TID251 - our own constant, linear
MAX_MS = (1 << 63) // 1_000_000


def parse_span(text: str) -> float:
    """Return the seconds of a duration, units from the largest down; raises BadConfig."""
    if text == "0":
        return 0.0
    if not text:
        raise BadConfig("empty duration string")
    bad = BadConfig(f"not a valid duration string: {quote(text)}")
    order, total_ms, at, last = list(UNITS_MS), 0, 0, -1
    while at < len(text):
        found = PIECE.match(text, at)
        if found is None:
            raise bad
        if found[2] not in UNITS_MS:
            raise BadConfig(f"unknown unit {quote(found[2])} in duration {quote(text)}")
        place = order.index(found[2])
        if place <= last:
            raise bad
        total_ms += int(found[1][:20]) * UNITS_MS[found[2]]
        if total_ms > MAX_MS or len(found[1]) > len(str(MAX_MS)):
            raise BadConfig("duration out of range")
        last, at = place, found.end()
    return total_ms / 1000


def parse_go(text: str) -> float | None:
    """Return the seconds of a duration such as 1.5s or -2m, None where it is none."""
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text[1:] if text[:1] in {"-", "+"} else text
    if rest == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(rest):
        found = GO_PIECE.match(rest, at)
        if found is None or found[2] not in GO_SECONDS:
            return None
        total += float(found[1]) * GO_SECONDS[found[2]]
        at = found.end()
    return sign * total if rest else None


def show(seconds: float) -> str:
    """Return the shortest spelling of a duration."""
    rest = round(seconds * 1000)
    if rest == 0:
        return "0s"
    parts = []
    for unit, size in UNITS_MS.items():
        # Weeks, days and years only where nothing remains, so that 90m does not read 1h30m oddly split by days.
        if unit in {"y", "w", "d"} and rest % size:
            continue
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts)
