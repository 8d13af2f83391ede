"""The tree of a query as it was written: with its parentheses, and durations that are not yet worked out."""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from metrics.promql.nodes import NOWHERE, Anchor, Matching, Place, Smoothing
from metrics.promql.syntax.functions import Function, ValueType
from metrics.promql.types import Matcher

DurationOp = Literal["+", "-", "*", "/", "%", "^", "step", "range", "min_of", "max_of"]
COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">="})
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class NumberLiteral:
    """A number; `duration` where it was written as one."""

    value: float
    duration: bool = False
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return "scalar"


@dataclass(frozen=True, slots=True)
class DurationExpr:
    """Arithmetic in the place of a duration; without a left side it is a sign, without any side a name."""

    op: DurationOp
    left: "Duration | None" = None
    right: "Duration | None" = None
    wrapped: bool = False
    place: Place = field(default=NOWHERE, compare=False)


Duration: TypeAlias = NumberLiteral | DurationExpr
# Milliseconds where they are known without the query's range and step.
Span: TypeAlias = int | DurationExpr


@dataclass(frozen=True, slots=True)
class StringLiteral:
    """A text."""

    value: str
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return "string"


@dataclass(frozen=True, slots=True)
class VectorSelector:
    """Series by name and matchers; the name's own matcher is not among the alternatives."""

    name: str
    alternatives: tuple[tuple[Matcher, ...], ...]
    offset: Span = 0
    anchor: Anchor = None
    smoothing: Smoothing = ""
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return "vector"


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    """A window of each series."""

    selector: VectorSelector
    range: Span
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return "matrix"


@dataclass(frozen=True, slots=True)
class SubqueryExpr:
    """A window over an expression; a step of 0 means the default."""

    expr: "Expr"
    range: Span
    step: Span = 0
    offset: Span = 0
    anchor: Anchor = None
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return "matrix"


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function with its arguments."""

    function: Function
    arguments: tuple["Expr", ...]
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return self.function.returns


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregation."""

    op: str
    expr: "Expr"
    parameter: "Expr | None"
    grouping: tuple[str, ...]
    without: bool
    place: Place = field(default=NOWHERE, compare=False)

    @property
    def type(self) -> ValueType:
        """Return the type of its value."""
        return "vector"


@dataclass(frozen=True, slots=True)
class BinaryExpr:
    """An operator between two sides, with its modifiers as written."""

    op: str
    left: "Expr"
    right: "Expr"
    modifiers: Matching
    returns_bool: bool
    type: ValueType
    place: Place = field(default=NOWHERE, compare=False)
    op_place: Place = field(default=NOWHERE, compare=False)

    @property
    def matching(self) -> Matching | None:
        """Return how the sides find each other; None where one of them is a number."""
        both = self.left.type == "vector" and self.right.type == "vector"
        return self.modifiers if both else None


@dataclass(frozen=True, slots=True)
class UnaryExpr:
    """A sign before an expression."""

    op: Literal["+", "-"]
    expr: "Expr"
    type: ValueType
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class ParenExpr:
    """An expression in parentheses."""

    expr: "Expr"
    type: ValueType
    place: Place = field(default=NOWHERE, compare=False)


Expr: TypeAlias = (
    NumberLiteral
    | StringLiteral
    | VectorSelector
    | MatrixSelector
    | SubqueryExpr
    | FunctionCall
    | Aggregation
    | BinaryExpr
    | UnaryExpr
    | ParenExpr
)
