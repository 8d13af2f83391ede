"""Numbers for people, to the letter as Prometheus' templates show them."""

import math
from typing import Any

from alerts.engine.templates.formatting import float_text, shown
from alerts.engine.templates.mistakes import TemplateFailed
from alerts.engine.templates.times import moment_text
from alerts.engine.templates.values import NANOSECONDS, Moment, Span, type_name

LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")
MOST_NANOSECONDS = 2**63 - 1
DAY, HOUR, MINUTE = 86_400, 3600, 60


def number(value: Any) -> float:
    """Return a number, or one that is written as a text."""
    if isinstance(value, Span):
        return value.nanoseconds / NANOSECONDS
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise TemplateFailed(f"can't convert {type_name(value)} to float")
    try:
        if value != value.strip() or (value.count("_") and not value.lower().startswith("0x")):
            raise ValueError(value)
        return float(value)
    except ValueError:
        raise TemplateFailed(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def four(value: float) -> str:
    """Return a number with four digits."""
    return float_text(value, "g", 4)


def _raised(value: float, step: float, prefixes: tuple[str, ...]) -> tuple[float, str]:
    found = ""
    for prefix in prefixes:
        if abs(value) < step:
            break
        value, found = value / step, prefix
    return value, found


def _lowered(value: float) -> tuple[float, str]:
    found = ""
    for prefix in SMALL:
        if abs(value) >= 1:
            break
        value, found = value * 1000, prefix
    return value, found


def humanize(given: Any) -> str:
    """Return a number with a metric prefix."""
    value = number(given)
    if value == 0 or not math.isfinite(value):
        return four(value)
    value, prefix = _raised(value, 1000.0, LARGE) if abs(value) >= 1 else _lowered(value)
    return four(value) + prefix


def humanize1024(given: Any) -> str:
    """Return a number with a binary prefix."""
    value = number(given)
    if abs(value) <= 1 or not math.isfinite(value):
        return four(value)
    value, prefix = _raised(value, 1024.0, BINARY)
    return four(value) + prefix


def humanize_percentage(given: Any) -> str:
    """Return a share as a percentage."""
    return f"{four(number(given) * 100)}%"


def humanize_duration(given: Any) -> str:
    """Return seconds as days, hours, minutes and seconds."""
    value = number(given)
    if not math.isfinite(value):
        return four(value)
    if value == 0:
        return f"{four(value)}s"
    if abs(value) < 1:
        value, prefix = _lowered(value)
        return f"{four(value)}{prefix}s"
    return ("-" if value < 0 else "") + _parts(abs(value))


def _parts(value: float) -> str:
    whole = int(value)
    days, hours, minutes, seconds = whole // DAY, whole // HOUR % 24, whole // MINUTE % 60, whole % 60
    if days:
        return f"{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{hours}h {minutes}m {seconds}s"
    return f"{minutes}m {seconds}s" if minutes else f"{four(value)}s"


def _moment(value: float) -> Moment | None:
    nanoseconds = value * 1e9
    if not -MOST_NANOSECONDS <= nanoseconds <= MOST_NANOSECONDS:
        return None
    return Moment(int(nanoseconds / 1e6) * 1_000_000)


def humanize_timestamp(given: Any) -> str:
    """Return seconds since 1970 as a date."""
    value = number(given)
    found = _moment(value) if math.isfinite(value) else None
    return four(value) if found is None else moment_text(found)


def to_time(given: Any) -> Moment:
    """Return seconds since 1970 as a time."""
    value = number(given)
    if not math.isfinite(value):
        raise TemplateFailed("value is NaN or Inf")
    found = _moment(value)
    if found is None:
        raise TemplateFailed(
            f"{shown(value)} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )
    return found


def to_duration(given: Any) -> Span:
    """Return seconds as a length of time."""
    value = number(given)
    if not math.isfinite(value) or abs(value * 1e9) > MOST_NANOSECONDS:
        raise TemplateFailed(f"{shown(value)} is no length of time")
    return Span(int(value * 1e9))
