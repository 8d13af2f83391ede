"""Comparison as Go's templates do it: within one kind of value only."""

from typing import Any

from alerts.engine.templates.mistakes import TemplateFailed
from alerts.engine.templates.values import type_name


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "string" if isinstance(value, str) else ""


def equal(first: Any, second: Any) -> bool:
    """Say whether two values are equal; refuses those of different kinds."""
    if first is None or second is None:
        return first is second
    kinds = _kind(first), _kind(second)
    if kinds[0] != kinds[1]:
        raise TemplateFailed("incompatible types for comparison")
    if not kinds[0]:
        raise TemplateFailed(f"non-comparable type {type_name(first)}")
    return bool(first == second)


def less(first: Any, second: Any) -> bool:
    """Say whether the first of two numbers or texts is the lesser."""
    kinds = _kind(first), _kind(second)
    if kinds[0] in ("", "bool"):
        raise TemplateFailed("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise TemplateFailed("incompatible types for comparison")
    return bool(first < second)
