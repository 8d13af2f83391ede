"""Durations as people write them: `5m`, `1h30m`, `250ms`, or a bare number of seconds."""

import re

UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
# Units once each, largest first, as Prometheus wants them.
FORM = re.compile(  # noqa: TID251 - our own constant, linear
    r"(?:(\d{1,12})y)?(?:(\d{1,12})w)?(?:(\d{1,12})d)?(?:(\d{1,12})h)?(?:(\d{1,12})m)?(?:(\d{1,12})s)?(?:(\d{1,12})ms)?"
)
SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,9})?")  # noqa: TID251 - our own constant, linear
MAX_MS = 100 * UNITS_MS["y"]


class BadDuration(ValueError):
    """Not a duration; the text shows what one looks like."""


def parse_ms(text: str) -> int:
    """Return a duration in milliseconds."""
    cleaned = text.strip()
    if SECONDS.fullmatch(cleaned):
        total = round(float(cleaned) * 1000)
    else:
        found = FORM.fullmatch(cleaned)
        if not cleaned or found is None:
            raise BadDuration(f"{text[:40]!r} is not a duration; examples are 30s, 5m, 1h30m, 250ms")
        total = sum(int(count) * unit for count, unit in zip(found.groups(), UNITS_MS.values(), strict=True) if count)
    if total > MAX_MS:
        raise BadDuration(f"{text[:40]!r} is longer than 100 years")
    return total


def parse_seconds(text: str) -> float:
    """Return a duration in seconds."""
    return parse_ms(text) / 1000


def format_ms(duration_ms: int) -> str:
    """Return the shortest spelling `parse_ms` reads back."""
    if duration_ms == 0:
        return "0s"
    parts, rest = [], duration_ms
    for unit, size_ms in UNITS_MS.items():
        count, rest = divmod(rest, size_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def format_seconds(duration_seconds: float) -> str:
    """Return the shortest spelling of so many seconds."""
    return format_ms(round(duration_seconds * 1000))
