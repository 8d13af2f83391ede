"""From a tree to the plan the engine evaluates: no parentheses, every duration in milliseconds."""

from typing import NamedTuple

from metrics.promql.labels import NAME
from metrics.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Matching,
    Negate,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
)
from metrics.promql.syntax.durations import worked_out
from metrics.promql.syntax.tree import (
    Aggregation,
    BinaryExpr,
    DurationExpr,
    Expr,
    FunctionCall,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    Span,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)
from metrics.promql.types import Matcher

NO_MATCHING = Matching()


class Times(NamedTuple):
    """Step and range of the query a plan is made for."""

    step_ms: int
    range_ms: int


def planned(expr: Expr, times: Times | None) -> Node:
    """Return the plan of a tree; without times, durations that depend on them stand at 0."""
    match expr:
        case NumberLiteral() | StringLiteral():
            return _literal(expr)
        case VectorSelector():
            return _selector(expr, times)
        case MatrixSelector(selector=selector, range=span, place=place):
            return RangeSelector(_selector(selector, times), _span(span, times), place)
        case SubqueryExpr():
            return _subquery(expr, times)
        case FunctionCall(function=function, arguments=arguments, place=place):
            return Call(function.name, tuple(planned(argument, times) for argument in arguments), place)
        case Aggregation():
            return _aggregate(expr, times)
        case BinaryExpr():
            return _binary(expr, times)
        case UnaryExpr(op=op, expr=inner):
            return Negate(planned(inner, times), expr.place) if op == "-" else planned(inner, times)
        case ParenExpr(expr=inner):
            return planned(inner, times)


def _literal(node: NumberLiteral | StringLiteral) -> Number | Text:
    return Number(node.value, node.place) if isinstance(node, NumberLiteral) else Text(node.value, node.place)


def _span(span: Span, times: Times | None, *, may_be_negative: bool = False) -> int:
    if isinstance(span, DurationExpr) and times is None:
        return 0
    step_ms, range_ms = times or (0, 0)
    return worked_out(span, step_ms, range_ms, may_be_negative=may_be_negative)


def _selector(node: VectorSelector, times: Times | None) -> Selector:
    name = (Matcher(NAME, "=", node.name),) if node.name else ()
    alternatives = tuple((*name, *matchers) for matchers in node.alternatives)
    offset_ms = _span(node.offset, times, may_be_negative=True)
    return Selector(alternatives, offset_ms, node.anchor, node.smoothing, node.place)


def _subquery(node: SubqueryExpr, times: Times | None) -> Subquery:
    return Subquery(
        expr=planned(node.expr, times),
        range_ms=_span(node.range, times),
        step_ms=_span(node.step, times),
        offset_ms=_span(node.offset, times, may_be_negative=True),
        anchor=node.anchor,
        place=node.place,
    )


def _aggregate(node: Aggregation, times: Times | None) -> Aggregate:
    parameter = None if node.parameter is None else planned(node.parameter, times)
    return Aggregate(node.op, planned(node.expr, times), parameter, node.grouping, node.without, node.place)


def _binary(node: BinaryExpr, times: Times | None) -> Binary:
    left, right = planned(node.left, times), planned(node.right, times)
    return Binary(node.op, left, right, node.matching or NO_MATCHING, node.returns_bool, node.place)


def depends_on_times(expr: Expr) -> bool:
    """Tell whether a tree holds a duration that is not worked out yet."""
    waiting: list[Expr] = [expr]
    while waiting:
        node = waiting.pop()
        if any(isinstance(span, DurationExpr) for span in _spans(node)):
            return True
        waiting += parts(node)
    return False


def _spans(expr: Expr) -> tuple[Span, ...]:
    match expr:
        case VectorSelector(offset=offset):
            return (offset,)
        case MatrixSelector(range=span):
            return (span,)
        case SubqueryExpr(range=span, step=step, offset=offset):
            return (span, step, offset)
        case _:
            return ()


def parts(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions an expression is made of."""
    match expr:
        case MatrixSelector(selector=selector):
            return (selector,)
        case SubqueryExpr(expr=inner) | UnaryExpr(expr=inner) | ParenExpr(expr=inner):
            return (inner,)
        case FunctionCall(arguments=arguments):
            return arguments
        case Aggregation(expr=inner, parameter=parameter):
            return (inner,) if parameter is None else (parameter, inner)
        case BinaryExpr(left=left, right=right):
            return (left, right)
        case _:
            return ()
