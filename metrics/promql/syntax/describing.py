"""A tree as JSON values, in the shape of Prometheus' /api/v1/parse_query."""

from typing import Any

from metrics.promql.labels import NAME
from metrics.promql.nodes import Anchor
from metrics.promql.syntax.numbers import number_text
from metrics.promql.syntax.strings import sound
from metrics.promql.syntax.tree import (
    Aggregation,
    BinaryExpr,
    Duration,
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

Json = dict[str, Any]


def described(expr: Expr) -> Json:
    """Return a tree as dictionaries and lists."""
    match expr:
        case NumberLiteral() | StringLiteral():
            return _literal(expr)
        case VectorSelector():
            return {"type": "vectorSelector"} | _selector(expr)
        case MatrixSelector(selector=selector, range=span):
            return {"type": "matrixSelector"} | _selector(selector) | _span("range", span)
        case SubqueryExpr():
            return _subquery(expr)
        case FunctionCall():
            return _call(expr)
        case Aggregation():
            return _aggregation(expr)
        case BinaryExpr():
            return _binary(expr)
        case UnaryExpr(op=op, expr=inner):
            return {"type": "unaryExpr", "op": op, "expr": described(inner)}
        case ParenExpr(expr=inner):
            return {"type": "parenExpr", "expr": described(inner)}


def _literal(node: NumberLiteral | StringLiteral) -> Json:
    if isinstance(node, NumberLiteral):
        return {"type": "numberLiteral", "val": number_text(node.value)}
    return {"type": "stringLiteral", "val": sound(node.value)}


def _span(name: str, span: Span) -> Json:
    known = isinstance(span, int)
    return {name: span if known else 0, f"{name}Expr": None if known else _duration(span)}


def _duration(node: Span | Duration | None) -> Json | None:
    if node is None or isinstance(node, int):
        return None
    if isinstance(node, NumberLiteral):
        return {"type": "numberLiteral", "val": number_text(node.value), "duration": node.duration}
    return {
        "type": "durationExpr",
        "op": node.op,
        "lhs": _duration(node.left),
        "rhs": _duration(node.right),
        "wrapped": node.wrapped,
    }


def _anchor(anchor: Anchor) -> Json:
    fixed = isinstance(anchor, int)
    return {"timestamp": anchor if fixed else None, "startOrEnd": None if fixed else anchor}


def _matchers(matchers: tuple[Matcher, ...], name: str) -> list[Json]:
    named = (*matchers, Matcher(NAME, "=", name)) if name else matchers
    return [{"name": matcher.name, "value": matcher.value, "type": matcher.op} for matcher in named]


def _selector(node: VectorSelector) -> Json:
    every = [_matchers(matchers, node.name) for matchers in node.alternatives]
    # Prometheus knows no `or` between matchers: only who uses ours gets a key more.
    more = {"alternatives": every} if len(every) > 1 else {}
    return {
        "name": node.name,
        "matchers": every[0],
        "anchored": node.smoothing == "anchored",
        "smoothed": node.smoothing == "smoothed",
        **_span("offset", node.offset),
        **_anchor(node.anchor),
        **more,
    }


def _subquery(node: SubqueryExpr) -> Json:
    times = _span("range", node.range) | _span("offset", node.offset) | _span("step", node.step)
    return {"type": "subquery", "expr": described(node.expr), **times, **_anchor(node.anchor)}


def _call(node: FunctionCall) -> Json:
    function = node.function
    return {
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": list(function.takes),
            "variadic": function.variadic,
            "returnType": function.returns,
        },
        "args": [described(argument) for argument in node.arguments],
    }


def _aggregation(node: Aggregation) -> Json:
    return {
        "type": "aggregation",
        "op": node.op,
        "expr": described(node.expr),
        "param": None if node.parameter is None else described(node.parameter),
        "grouping": list(node.grouping),
        "without": node.without,
    }


def _binary(node: BinaryExpr) -> Json:
    matching = node.matching
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": described(node.left),
        "rhs": described(node.right),
        "bool": node.returns_bool,
        "matching": None
        if matching is None
        else {
            "card": matching.side,
            "labels": list(matching.labels),
            "on": matching.on,
            "include": list(matching.include),
            "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
        },
    }
