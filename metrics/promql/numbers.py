"""Numbers as the query language writes them."""

import math
from decimal import Decimal

# From this power of ten on a number is written with an exponent, whatever its digits.
GENERAL_DIGITS = 6


def shortest_decimal(value: float) -> str:
    """Write a number with the fewest digits that read back the same, never with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def bound_of(text: str) -> float | None:
    """Read a bucket's upper bound; None where it is no number."""
    # Python reads spaces around and underscores within a number, Prometheus does not.
    if "_" in text or text != text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def general(value: float) -> str:
    """Write a number as Prometheus does in its messages: the fewest digits, from a million on with an exponent."""
    if math.isnan(value) or math.isinf(value) or value == 0:
        return shortest_decimal(value)
    exponent = Decimal(repr(value)).adjusted()
    if -4 <= exponent < GENERAL_DIGITS:
        return shortest_decimal(value)
    sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    texts = [str(digit) for digit in digits]
    mantissa = ".".join(part for part in (texts[0], "".join(texts[1:])) if part)
    return f"{'-' if sign else ''}{mantissa}e{exponent:+03d}"
