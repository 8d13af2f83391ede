"""Numbers as the query language writes them."""

import math
from decimal import Decimal


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
