"""Expressions: operands, operators with their modifiers, calls and aggregations."""

from dataclasses import replace
from typing import Final, Literal, NamedTuple

from metrics.promql.nodes import Matching, MatchSide
from metrics.promql.syntax.checking import check
from metrics.promql.syntax.cursor import Cursor
from metrics.promql.syntax.durations import literal
from metrics.promql.syntax.functions import FUNCTIONS
from metrics.promql.syntax.infix import Language, infix
from metrics.promql.syntax.selecting import modified, vector_selector
from metrics.promql.syntax.strings import quoted
from metrics.promql.syntax.tokens import EXPERIMENTAL_AGGREGATORS, FILLS, PARAMETERISED, WORDS, Token
from metrics.promql.syntax.tree import (
    SET_OPERATORS,
    Aggregation,
    BinaryExpr,
    Expr,
    FunctionCall,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    UnaryExpr,
)

PRECEDENCES: Final = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">=", "</", ">/"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
# Words that mean something to the grammar and may still name a metric, or a label to group by.
NOT_METRICS: Final = frozenset({"bool", "on", "ignoring", "group_left", "group_right", "atan2"})
METRIC_WORDS: Final = frozenset(word for word, kind in WORDS.items() if kind != "number") - NOT_METRICS
LABEL_WORDS: Final = frozenset(word for word, kind in WORDS.items() if kind != "number") - {"without"}
# What may stand behind the name of an aggregator for it to be the name of a metric.
AFTER_METRIC: Final = frozenset(PRECEDENCES) | {
    "", "{", "[", "]", ")", ",", "@", "offset", "anchored", "smoothed",
}  # fmt: skip
GROUPING: Final = "grouping opts"


def expression_of(query: str, *, experimental: bool) -> Expr:
    """Return the checked tree of a query; raises QueryError."""
    cursor = Cursor(query, experimental=experimental)
    if cursor.at_end():
        raise cursor.fail(0, "no expression found in input")
    expr = infix(cursor, LANGUAGE)
    if not cursor.at_end():
        raise cursor.unexpected()
    check(expr, query)
    return expr


def _operand(cursor: Cursor) -> Expr:
    return modified(cursor, _primary(cursor))


def _primary(cursor: Cursor) -> Expr:
    token = cursor.token
    if token.kind in {"number", "duration"}:
        return literal(cursor)
    if token.kind == "string":
        return StringLiteral(cursor.text_of(cursor.advance(), keep_bytes=True), (token.start, token.end))
    if token.name == "(":
        return _parenthesis(cursor)
    if token.kind == "aggregator" and _aggregates(cursor):
        return _aggregation(cursor)
    if token.kind in {"identifier", "context"} and cursor.peek() == "(":
        return _call(cursor)
    if token.kind in {"identifier", "metric identifier"} or token.name == "{" or token.name in METRIC_WORDS:
        return vector_selector(cursor)
    raise cursor.unexpected()


def _parenthesis(cursor: Cursor) -> ParenExpr:
    start = cursor.advance().start
    inside = infix(cursor, LANGUAGE)
    end = cursor.expect(")", "", "").end
    return ParenExpr(inside, inside.type, (start, end))


def _arguments(cursor: Cursor) -> list[Expr]:
    cursor.advance()
    found: list[Expr] = []
    if cursor.take(")"):
        return found
    while True:
        found.append(infix(cursor, LANGUAGE))
        if cursor.take(")"):
            return found
        comma = cursor.expect(",", "", "")
        if cursor.at(")"):
            raise cursor.fail(comma.start, "trailing commas not allowed in function call args")


def _call(cursor: Cursor) -> FunctionCall:
    name = cursor.advance()
    arguments = tuple(_arguments(cursor))
    function = FUNCTIONS.get(name.text)
    if function is None:
        raise cursor.fail(name.start, f"unknown function with name {quoted(name.text)}")
    if function.experimental and not cursor.experimental:
        raise cursor.fail(name.start, f"function {quoted(name.text)} is not enabled")
    return FunctionCall(function, arguments, (name.start, cursor.last_end))


def _aggregates(cursor: Cursor) -> bool:
    return cursor.peek() not in AFTER_METRIC


class _Grouping(NamedTuple):
    labels: tuple[str, ...] = ()
    without: bool = False


def _grouping(cursor: Cursor) -> _Grouping | None:
    if cursor.token.name not in {"by", "without"}:
        return None
    without = cursor.advance().name == "without"
    return _Grouping(_labels(cursor), without)


def _aggregation(cursor: Cursor) -> Aggregation:
    op = cursor.advance()
    grouping = _grouping(cursor)
    if not cursor.at("("):
        raise cursor.unexpected("aggregation")
    arguments = _arguments(cursor)
    grouping = grouping or _grouping(cursor) or _Grouping()
    wanted = 2 if op.name in PARAMETERISED else 1
    if not arguments:
        raise cursor.fail(op.start, "no arguments for aggregate expression provided")
    if op.name in EXPERIMENTAL_AGGREGATORS and not cursor.experimental:
        raise cursor.fail(op.start, f"{op.name}() is experimental and must be enabled with PROMQL_EXPERIMENTAL")
    if len(arguments) != wanted:
        raise cursor.fail(
            op.start,
            "wrong number of arguments for aggregate expression provided, "
            f"expected {wanted}, got {len(arguments)}",
        )  # fmt: skip
    parameter = arguments[0] if wanted > 1 else None
    place = (op.start, cursor.last_end)
    return Aggregation(op.name, arguments[-1], parameter, grouping.labels, grouping.without, place)


def _labels(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect("(", GROUPING, '"("')
    found: list[str] = []
    while not cursor.take(")"):
        found.append(_label(cursor))
        if not cursor.take(",") and not cursor.at(")"):
            raise cursor.unexpected(GROUPING, '"," or ")"')
    return tuple(found)


def _label(cursor: Cursor) -> str:
    token = cursor.token
    if token.kind == "string":
        name = cursor.text_of(cursor.advance())
    elif token.kind in {"identifier", "metric identifier"} or token.name in LABEL_WORDS:
        name = cursor.advance().text
    else:
        raise cursor.unexpected(GROUPING, "label")
    if not name:
        raise cursor.fail(token.start, 'invalid label name for grouping: ""')
    return name


class _Modifiers(NamedTuple):
    matching: Matching
    returns_bool: bool


ONE_TO_ONE: Final = _Modifiers(Matching(), returns_bool=False)


def _modifiers(cursor: Cursor, _operator: Token) -> _Modifiers:
    if cursor.token.kind != "keyword":
        return ONE_TO_ONE
    returns_bool = cursor.take("bool") is not None
    matching = Matching()
    if cursor.token.name in {"on", "ignoring"}:
        on = cursor.advance().name == "on"
        matching = Matching(on=on, labels=_labels(cursor))
        if cursor.token.name in {"group_left", "group_right"}:
            side: MatchSide = "many-to-one" if cursor.advance().name == "group_left" else "one-to-many"
            matching = replace(matching, side=side, include=_labels(cursor) if cursor.at("(") else ())
    return _Modifiers(_filled(cursor, matching), returns_bool)


def _filled(cursor: Cursor, matching: Matching) -> Matching:
    seen: set[str] = set()
    while cursor.token.name in FILLS - seen and "fill" not in seen and not (seen and cursor.at("fill")):
        name = cursor.advance().name
        seen.add(name)
        value = _fill_value(cursor)
        if name != "fill_right":
            matching = replace(matching, fill_left=value)
        if name != "fill_left":
            matching = replace(matching, fill_right=value)
    return matching


def _fill_value(cursor: Cursor) -> float:
    cursor.advance()
    sign = -1.0 if cursor.at("-") else 1.0
    if cursor.token.name in {"+", "-"}:
        cursor.advance()
    if not cursor.at("number"):
        raise cursor.unexpected("fill modifier", "number")
    value = literal(cursor).value
    cursor.expect(")", "fill modifier", '")"')
    return sign * value


def _signed(_cursor: Cursor, sign: Token, expr: Expr) -> Expr:
    place = (sign.start, expr.place[1])
    if isinstance(expr, NumberLiteral):
        return replace(expr, value=-expr.value if sign.name == "-" else expr.value, place=place)
    op: Literal["+", "-"] = "-" if sign.name == "-" else "+"
    return UnaryExpr(op, expr, expr.type, place)


def _combined(cursor: Cursor, left: Expr, operator: Token, modifiers: _Modifiers, right: Expr) -> BinaryExpr:
    matching, returns_bool = modifiers
    place = (left.place[0], right.place[1])
    filled = matching.fill_left is not None or matching.fill_right is not None
    if filled and not cursor.experimental:
        raise cursor.fail(place[0], "binop fill modifiers are experimental and not enabled")
    if operator.name in SET_OPERATORS and matching.side == "one-to-one":
        matching = replace(matching, side="many-to-many")
    kind: Literal["scalar", "vector"] = "scalar" if left.type == right.type == "scalar" else "vector"
    op_place = (operator.start, operator.end)
    return BinaryExpr(operator.name, left, right, matching, returns_bool, kind, place, op_place)


LANGUAGE: Language[Expr] = Language(_operand, PRECEDENCES, _modifiers, _signed, _combined)
