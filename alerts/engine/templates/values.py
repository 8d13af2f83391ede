"""The kinds of values templates work with, beside numbers, texts, truth values and lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NANOSECONDS = 1_000_000_000


class Struct(dict[str, Any]):
    """Fields that are known: one that is missing is a mistake of the template."""

    type_name = (
        "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
    )


class AnyMap(dict[str, Any]):
    """A map of values of any kind: what is missing in it is no value, where a map of texts has the empty text."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a query's answer."""

    labels: Mapping[str, str] = field(default_factory=dict)
    value: Any = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, in nanoseconds since 1970, shown in UTC."""

    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time in nanoseconds."""

    nanoseconds: int


class Safe(str):
    """A text that is HTML already."""

    __slots__ = ()


TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float64"),
    (Safe, "template.HTML"),
    (str, "string"),
    (AnyMap, "map[string]interface {}"),
    (dict, "map[string]string"),
    (list, "template.queryResult"),
    (Sample, "*template.sample"),
    (Moment, "*time.Time"),
    (Span, "*time.Duration"),
)


def type_name(value: object) -> str:
    """Return what Go calls the kind of a value."""
    if isinstance(value, Struct):
        return value.type_name
    if value is None:
        return "<nil>"
    return next((name for kind, name in TYPE_NAMES if isinstance(value, kind)), "*histogram.FloatHistogram")


def truth(value: object) -> bool:
    """Say whether a value counts as true: what is not zero, not empty and not missing."""
    if isinstance(value, Struct):
        return True
    if isinstance(value, bool | int | float | str | list | dict):
        return bool(value)
    return value is not None
