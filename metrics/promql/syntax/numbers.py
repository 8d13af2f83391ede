"""Numbers and durations: how they are read and how they are written."""

import math
import re
from decimal import Decimal
from typing import Final

DURATION = re.compile(  # noqa: TID251 - our own constant, linear
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"
)
OCTAL = re.compile(r"0[0-7]+")  # noqa: TID251 - our own constant, linear
YEAR_MS, WEEK_MS, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS = (
    31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000,
)  # fmt: skip
UNITS_MS: Final = (YEAR_MS, WEEK_MS, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, 1)
WRITTEN_UNITS: Final = (
    ("y", YEAR_MS, True),
    ("w", WEEK_MS, True),
    ("d", DAY_MS, False),
    ("h", HOUR_MS, False),
    ("m", MINUTE_MS, False),
    ("s", SECOND_MS, False),
    ("ms", 1, False),
)
# Durations are held in 64 bits of nanoseconds by Prometheus; the bound is part of the language.
LONGEST_SECONDS = (1 << 63) / 1e9
LONGEST_DIGITS = 19
LARGEST_INTEGER = (1 << 63) - 1
SMALLEST_PLAIN, SMALLEST_LONG = 1e-4, 1e21


def number_of(text: str) -> float:
    """Return the value of a number literal; raises ValueError."""
    lower = text.lower().replace("_", "")
    if lower.startswith("0x"):
        value = int(lower, 16)
        if value > LARGEST_INTEGER:
            raise ValueError(f'error parsing number: "{text}" is out of range')
        return float(value)
    if OCTAL.fullmatch(lower):
        return float(int(lower, 8))
    number = float(lower)
    if math.isinf(number) and lower != "inf":
        raise ValueError(f'error parsing number: "{text}" is out of range')
    return number


def seconds_of(text: str) -> float:
    """Return the value of a duration literal in seconds; raises ValueError."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f'not a valid duration string: "{text}"')
    parts = [(digits or "0", unit) for digits, unit in zip(found.groups(), UNITS_MS, strict=True)]
    if any(len(digits) > LONGEST_DIGITS for digits, _ in parts):
        raise ValueError("duration out of range")
    milliseconds = sum(int(digits) * unit for digits, unit in parts)
    if out_of_range(milliseconds / 1000):
        raise ValueError("duration out of range")
    return milliseconds / 1000


def out_of_range(seconds: float) -> bool:
    """Tell whether a duration is longer than any may be."""
    return not -LONGEST_SECONDS <= seconds <= LONGEST_SECONDS


def milliseconds_of(seconds: float) -> int:
    """Return a literal's seconds as milliseconds, as Prometheus rounds them: first to nanoseconds, then down."""
    return int(round(seconds * 1e9) / 1e6)


def duration_text(milliseconds: int) -> str:
    """Return a duration in the usual notation, longest unit first."""
    if milliseconds == 0:
        return "0s"
    sign, rest = ("-", -milliseconds) if milliseconds < 0 else ("", milliseconds)
    out = [sign]
    for name, unit, exact in WRITTEN_UNITS:
        if exact and rest % unit:
            continue
        count, rest = divmod(rest, unit)
        out.append(f"{count}{name}" if count else "")
    return "".join(out)


def number_text(value: float) -> str:
    """Return a number in full, without an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def short_number_text(value: float) -> str:
    """Return a number with an exponent where it would be long."""
    if value == 0 or not math.isfinite(value) or SMALLEST_PLAIN <= abs(value) < SMALLEST_LONG:
        return number_text(value)
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0').rjust(2, '0')}"
