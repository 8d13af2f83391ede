"""The plan of a query: the parser's tree in our own immutable words."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from metrics.promql.types import Matcher

Anchor: TypeAlias = int | Literal["start", "end"] | None
MatchSide: TypeAlias = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A literal string."""

    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """The newest sample of each matching series; `alternatives` are joined by `or`."""

    alternatives: tuple[tuple[Matcher, ...], ...]
    offset_ms: int
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class RangeSelector:
    """All samples of a window of each matching series."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """A window filled by evaluating an expression on its own grid; a step of 0 means the default."""

    expr: "Node"
    range_ms: int
    step_ms: int
    offset_ms: int
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over groups of series."""

    op: str
    expr: "Node"
    parameter: "Node | None"
    grouping: tuple[str, ...]
    without: bool


@dataclass(frozen=True, slots=True)
class Matching:
    """How the two sides of a binary operator find each other."""

    side: MatchSide = "one-to-one"
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two sides; `returns_bool` turns a comparison from a filter into 0 or 1."""

    op: str
    left: "Node"
    right: "Node"
    matching: Matching
    returns_bool: bool


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    expr: "Node"


Node: TypeAlias = Number | Text | Selector | RangeSelector | Subquery | Call | Aggregate | Binary | Negate


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct sub-expressions of a node, in the order they are written."""
    match node:
        case RangeSelector(selector=selector):
            return (selector,)
        case Subquery(expr=expr) | Negate(expr=expr):
            return (expr,)
        case Call(arguments=arguments):
            return arguments
        case Aggregate(expr=expr, parameter=parameter):
            return (expr,) if parameter is None else (parameter, expr)
        case Binary(left=left, right=right):
            return (left, right)
        case _:
            return ()
