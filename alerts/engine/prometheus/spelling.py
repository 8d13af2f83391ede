"""Durations and names as Prometheus writes them."""

import re

PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear
DAY_MS = 86_400_000
# Years and weeks only where nothing remains: 90d reads better than 12w6d.
WHOLE_MS = (("y", 365 * DAY_MS), ("w", 7 * DAY_MS))
UNITS_MS = (("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def duration_text(duration_ms: int) -> str:
    """Return a duration: `1h30m`, `0s`."""
    if duration_ms == 0:
        return "0s"
    for unit, size_ms in WHOLE_MS:
        if duration_ms % size_ms == 0:
            return f"{duration_ms // size_ms}{unit}"
    pieces, rest = [], abs(duration_ms)
    for unit, size_ms in UNITS_MS:
        count, rest = divmod(rest, size_ms)
        if count:
            pieces.append(f"{count}{unit}")
    return ("-" if duration_ms < 0 else "") + "".join(pieces)


def is_plain_label(name: str) -> bool:
    """Say whether a label name needs no quotes."""
    return PLAIN_LABEL.fullmatch(name) is not None
