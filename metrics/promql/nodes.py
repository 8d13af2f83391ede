"""The plan of a query: the parser's tree in our own immutable words."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from metrics.promql.types import Matcher

Anchor: TypeAlias = int | Literal["start", "end"] | None
Smoothing: TypeAlias = Literal["", "anchored", "smoothed"]
# Where a node stands in the query: offsets of its first character and past its last.
Place: TypeAlias = tuple[int, int]
NOWHERE: Place = (0, 0)
MatchSide: TypeAlias = Literal["one-to-one", "many-to-one", "one-to-many", "many-to-many"]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number."""

    value: float
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A literal string."""

    value: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Selector:
    """The newest sample of each matching series; `alternatives` are joined by `or`."""

    alternatives: tuple[tuple[Matcher, ...], ...]
    offset_ms: int
    anchor: Anchor
    smoothing: Smoothing = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class RangeSelector:
    """All samples of a window of each matching series."""

    selector: Selector
    range_ms: int
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Subquery:
    """A window filled by evaluating an expression on its own grid; a step of 0 means the default."""

    expr: "Node"
    range_ms: int
    step_ms: int
    offset_ms: int
    anchor: Anchor
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple["Node", ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over groups of series."""

    op: str
    expr: "Node"
    parameter: "Node | None"
    grouping: tuple[str, ...]
    without: bool
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Matching:
    """How the two sides of a binary operator find each other; a fill stands in for the side that is missing."""

    side: MatchSide = "one-to-one"
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two sides; `returns_bool` turns a comparison from a filter into 0 or 1."""

    op: str
    left: "Node"
    right: "Node"
    matching: Matching
    returns_bool: bool
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    expr: "Node"
    place: Place = field(default=NOWHERE, compare=False)


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


def place_of(node: Node) -> Place:
    """Return where a node stands in the query; one that does not say stands where its first child does."""
    while node.place == NOWHERE:
        below = children(node)
        if not below:
            break
        node = below[0]
    return node.place
