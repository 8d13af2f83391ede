"""From a tree back to text: on one line, and in lines of at most 100 characters as Prometheus lays queries out."""

import re
from collections.abc import Iterable

from metrics.promql.nodes import Anchor, Matching
from metrics.promql.syntax.numbers import duration_text, number_text, short_number_text
from metrics.promql.syntax.strings import quoted
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

LINE_BYTES = 100
INDENT = "  "
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear


def text_of(expr: Expr) -> str:
    """Return an expression on one line."""
    match expr:
        case NumberLiteral() | StringLiteral():
            return quoted(expr.value) if isinstance(expr, StringLiteral) else _number(expr)
        case VectorSelector():
            return _selected(expr) + _at(expr.anchor) + _smoothing(expr) + _offset(expr.offset)
        case MatrixSelector(selector=selector, range=span):
            window = f"[{_span(span)}]"
            return _selected(selector) + window + _smoothing(selector) + _at(selector.anchor) + _offset(selector.offset)
        case SubqueryExpr(expr=inner):
            return text_of(inner) + _window(expr)
        case FunctionCall(function=function, arguments=arguments):
            return f"{function.name}({', '.join(map(text_of, arguments))})"
        case Aggregation(expr=inner, parameter=parameter):
            first = "" if parameter is None else f"{text_of(parameter)}, "
            return f"{_aggregator(expr)}({first}{text_of(inner)})"
        case BinaryExpr(left=left, right=right):
            return f"{text_of(left)} {_operator(expr)} {text_of(right)}"
        case UnaryExpr(op=op, expr=inner):
            return op + text_of(inner)
        case ParenExpr(expr=inner):
            return f"({text_of(inner)})"


def pretty(expr: Expr, level: int = 0) -> str:
    """Return an expression laid out in lines, each level indented by two spaces."""
    margin = INDENT * level
    if isinstance(expr, UnaryExpr):
        return margin + expr.op + pretty(expr.expr, level).strip()
    text = text_of(expr)
    if len(text.encode()) <= LINE_BYTES:
        return text if isinstance(expr, SubqueryExpr) else margin + text
    match expr:
        case Aggregation(expr=inner, parameter=parameter):
            first = "" if parameter is None else f"{pretty(parameter, level + 1)},\n"
            return f"{margin}{_aggregator(expr)}(\n{first}{pretty(inner, level + 1)}\n{margin})"
        case BinaryExpr(left=left, right=right):
            return f"{pretty(left, level + 1)}\n{margin}{_operator(expr)}\n{pretty(right, level + 1)}"
        case FunctionCall(function=function, arguments=arguments):
            lines = ",\n".join(pretty(argument, level + 1) for argument in arguments)
            return f"{margin}{function.name}(\n{lines}\n{margin})"
        case ParenExpr(expr=inner):
            return f"{margin}(\n{pretty(inner, level + 1)}\n{margin})"
        case SubqueryExpr(expr=inner):
            return pretty(inner, level) + _window(expr)
        case _:
            return margin + text


def _number(node: NumberLiteral) -> str:
    return duration_text(int(node.value * 1000)) if node.duration else number_text(node.value)


def _selected(selector: VectorSelector) -> str:
    groups = [",".join(sorted(map(_matcher, matchers))) for matchers in selector.alternatives]
    inside = " or ".join(groups)
    return f"{selector.name}{{{inside}}}" if inside or not selector.name else selector.name


def _matcher(matcher: Matcher) -> str:
    name = matcher.name if LABEL.fullmatch(matcher.name) else quoted(matcher.name)
    return f"{name}{matcher.op}{quoted(matcher.value)}"


def _at(anchor: Anchor) -> str:
    if anchor is None:
        return ""
    return f" @ {anchor / 1000:.3f}" if isinstance(anchor, int) else f" @ {anchor}()"


def _smoothing(selector: VectorSelector) -> str:
    return f" {selector.smoothing}" if selector.smoothing else ""


def _offset(span: Span) -> str:
    return f" offset {_span(span)}" if span != 0 else ""


def _window(node: SubqueryExpr) -> str:
    step = _span(node.step) if node.step != 0 else ""
    return f"[{_span(node.range)}:{step}]{_at(node.anchor)}{_offset(node.offset)}"


def _span(span: Span) -> str:
    return duration_text(span) if isinstance(span, int) else _duration(span)


def _duration(node: Duration) -> str:
    if isinstance(node, NumberLiteral):
        return _number(node)
    sides = [_duration(side) for side in (node.left, node.right) if side is not None]
    if len(sides) == 1:
        text = ("-" if node.op == "-" else "") + sides[0]
    elif node.op in {"step", "range", "min_of", "max_of"}:
        text = f"{node.op}({', '.join(sides)})"
    else:
        text = f" {node.op} ".join(sides)
    return f"({text})" if node.wrapped else text


def _names(labels: Iterable[str]) -> str:
    return ", ".join(label if LABEL.fullmatch(label) else quoted(label) for label in labels)


def _aggregator(node: Aggregation) -> str:
    if node.without:
        return f"{node.op} without ({_names(node.grouping)}) "
    return f"{node.op} by ({_names(node.grouping)}) " if node.grouping else node.op


def _operator(node: BinaryExpr) -> str:
    matching = "" if node.matching is None else _matching(node.matching)
    return f"{node.op}{' bool' if node.returns_bool else ''}{matching}"


def _matching(matching: Matching) -> str:
    grouped = matching.side in {"many-to-one", "one-to-many"}
    text = ""
    if matching.labels or matching.on or grouped:
        text = f" {'on' if matching.on else 'ignoring'} ({_names(matching.labels)})"
    if grouped:
        text += f" group_{'left' if matching.side == 'many-to-one' else 'right'} ({_names(matching.include)})"
    return text + _fills(matching.fill_left, matching.fill_right)


def _fills(left: float | None, right: float | None) -> str:
    if left is not None and left == right:
        return f" fill ({short_number_text(left)})"
    first = "" if left is None else f" fill_left ({short_number_text(left)})"
    return first if right is None else f"{first} fill_right ({short_number_text(right)})"
