"""Durations as the scripts write them: `1h30m`, `10s`, `0`."""

import re

UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
DURATION = re.compile(  # noqa: TID251 - our own constant, linear
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?"
)
LONGEST_DIGITS = 18


class BadScript(ValueError):
    """A line of a script that cannot be understood."""


def duration_ms(text: str) -> int:
    """Return a duration in milliseconds."""
    if text == "0":
        return 0
    found = DURATION.fullmatch(text)
    if not text or found is None or len(text) > LONGEST_DIGITS:
        raise BadScript(f"not a valid duration string: {text!r}")
    return sum(int(count) * unit for count, unit in zip(found.groups(), UNITS_MS.values(), strict=True) if count)
