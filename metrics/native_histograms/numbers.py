"""Arithmetic of floats that answers with infinities and NaN where Python raises."""

import math


def divided(dividend: float, divisor: float) -> float:
    """Divide; by zero there is an infinity or NaN."""
    if divisor:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend) or math.isnan(divisor):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def log2_of(value: float) -> float:
    """Return the binary logarithm; of zero it is minus infinity."""
    return math.log2(value) if value > 0 else -math.inf if value == 0 else math.nan


def exp2_of(value: float) -> float:
    """Return 2 to a power; beyond all numbers it is infinite."""
    try:
        return math.exp2(value)
    except OverflowError:
        return math.inf


def root_of(value: float) -> float:
    """Return the square root; of a negative number it is NaN."""
    return math.sqrt(value) if value >= 0 else math.nan
