"""Selectors: names, label matchers, windows and the modifiers behind them."""

import math
from dataclasses import replace
from typing import Final, Literal, TypeVar, cast

from metrics.promql.labels import NAME, pattern_of
from metrics.promql.nodes import Anchor
from metrics.promql.syntax.cursor import Cursor
from metrics.promql.syntax.durations import WANTED_OFFSET, WANTED_STEP, literal, offset, window
from metrics.promql.syntax.tokens import MATCH_OPERATORS, Token
from metrics.promql.syntax.tree import Expr, MatrixSelector, Span, SubqueryExpr, VectorSelector
from metrics.promql.types import Matcher, QueryError

S = TypeVar("S", VectorSelector, SubqueryExpr)
LABELS: Final = "label matching"
NEEDS_SELECTOR: Final = "modifier must be preceded by an instant vector selector or range vector selector or a subquery"
# Each is held against every metric that the name leaves.
MAX_MATCHERS = 200
# Beyond any real sample and within what dates and 64 bits of milliseconds can hold.
LATEST_SECONDS = 100_000_000_000


def vector_selector(cursor: Cursor) -> VectorSelector:
    """Read a name with its matchers, or matchers alone."""
    start = cursor.token.start
    name = "" if cursor.at("{") else cursor.advance().text
    alternatives = _in_braces(cursor) if cursor.at("{") else ((),)
    return VectorSelector(name, alternatives, place=(start, cursor.last_end))


def _in_braces(cursor: Cursor) -> tuple[tuple[Matcher, ...], ...]:
    cursor.advance()
    groups: list[list[Matcher]] = [[]]
    while not cursor.take("}"):
        groups[-1].append(_matcher(cursor))
        if sum(map(len, groups)) > MAX_MATCHERS:
            raise cursor.fail(cursor.last_end, f"a selector has more than {MAX_MATCHERS} label matchers")
        if _is_or(cursor):
            cursor.advance()
            groups.append([])
            if not cursor.at("}"):
                continue
            raise cursor.unexpected(LABELS, "identifier")
        if not cursor.take(",") and not cursor.at("}"):
            raise cursor.unexpected(LABELS, '"," or "}"')
    return tuple(map(tuple, groups))


def _is_or(cursor: Cursor) -> bool:
    return cursor.token.text == "or" and cursor.peek() not in MATCH_OPERATORS


def _matcher(cursor: Cursor) -> Matcher:
    label = cursor.token
    if label.kind == "string":
        name = cursor.text_of(cursor.advance())
        if cursor.token.name not in MATCH_OPERATORS:
            return Matcher(NAME, "=", name)
    elif label.kind == "identifier":
        name = cursor.advance().text
        if cursor.token.name not in MATCH_OPERATORS:
            raise cursor.unexpected(LABELS, "label matching operator")
    else:
        raise cursor.unexpected(LABELS, 'identifier or "}"')
    operator = cursor.advance()
    if cursor.token.kind != "string":
        raise cursor.unexpected(LABELS, "string")
    value = cursor.text_of(cursor.advance())
    return _checked(cursor, label, Matcher(name, cast("Literal['=', '!=', '=~', '!~']", operator.name), value))


def _checked(cursor: Cursor, label: Token, matcher: Matcher) -> Matcher:
    if matcher.op in {"=~", "!~"}:
        try:
            pattern_of(matcher.value)
        except QueryError as problem:
            raise cursor.fail(label.start, str(problem)) from problem
    return matcher


def modified(cursor: Cursor, expr: Expr) -> Expr:
    """Read the windows and modifiers behind an operand."""
    while True:
        match cursor.token.name:
            case "[":
                expr = _window(cursor, expr)
            case "offset":
                cursor.advance()
                expr = _offset(cursor, expr, offset(cursor))
            case "@":
                cursor.advance()
                expr = _anchored_at(cursor, expr)
            case "anchored" | "smoothed":
                expr = _smoothed(cursor, expr)
            case _:
                return expr


def _window(cursor: Cursor, expr: Expr) -> Expr:
    bracket = cursor.advance()
    if cursor.at(":"):
        raise cursor.fail(cursor.token.start, "unexpected colon before duration in duration expression")
    span = window(cursor, "subquery or range selector", WANTED_OFFSET)
    if cursor.take("]"):
        return _matrix(cursor, bracket, expr, span)
    cursor.expect(":", "subquery or range", '":" or "]"')
    step: Span = 0
    if not cursor.at("]"):
        step = window(cursor, "subquery selector", WANTED_STEP)
    cursor.expect("]", "subquery selector", '"]"')
    return SubqueryExpr(expr, span, step, place=(expr.place[0], cursor.last_end))


def _matrix(cursor: Cursor, bracket: Token, expr: Expr, span: Span) -> MatrixSelector:
    if not isinstance(expr, VectorSelector):
        raise cursor.fail(bracket.start, "ranges only allowed for vector selectors")
    if expr.offset != 0:
        raise cursor.fail(bracket.start, "no offset modifiers allowed before range")
    if expr.anchor is not None:
        raise cursor.fail(bracket.start, "no @ modifiers allowed before range")
    return MatrixSelector(expr, span, (expr.place[0], cursor.last_end))


def _offset(cursor: Cursor, expr: Expr, span: Span) -> Expr:
    place = (expr.place[0], cursor.last_end)
    match expr:
        case MatrixSelector(selector=inner):
            return replace(expr, selector=_shifted(cursor, expr, inner, span), place=place)
        case VectorSelector():
            return replace(_shifted(cursor, expr, expr, span), place=place)
        case SubqueryExpr():
            return replace(_shifted(cursor, expr, expr, span), place=place)
    raise cursor.fail(expr.place[0], f"offset {NEEDS_SELECTOR}")


def _shifted(cursor: Cursor, whole: Expr, selector: S, span: Span) -> S:
    if selector.offset != 0:
        raise cursor.fail(whole.place[0], "offset may not be set multiple times")
    return replace(selector, offset=span)


def _anchored_at(cursor: Cursor, expr: Expr) -> Expr:
    anchor = _instant(cursor)
    place = (expr.place[0], cursor.last_end)
    match expr:
        case MatrixSelector(selector=inner):
            return replace(expr, selector=_fixed(cursor, expr, inner, anchor), place=place)
        case VectorSelector():
            return replace(_fixed(cursor, expr, expr, anchor), place=place)
        case SubqueryExpr():
            return replace(_fixed(cursor, expr, expr, anchor), place=place)
    raise cursor.fail(expr.place[0], f"@ {NEEDS_SELECTOR}")


def _fixed(cursor: Cursor, whole: Expr, selector: S, anchor: Anchor) -> S:
    if selector.anchor is not None:
        raise cursor.fail(whole.place[0], "@ <timestamp> may not be set multiple times")
    return replace(selector, anchor=anchor)


def _instant(cursor: Cursor) -> Anchor:
    token = cursor.token
    if token.name in {"start", "end"}:
        cursor.advance()
        cursor.expect("(", "@", "timestamp")
        cursor.expect(")", "@", "timestamp")
        return "start" if token.name == "start" else "end"
    if token.name in {"+", "-"}:
        cursor.advance()
    if not cursor.at("number"):
        raise cursor.unexpected("@", "timestamp")
    seconds = literal(cursor).value * (-1 if token.name == "-" else 1)
    if math.isnan(seconds) or abs(seconds) >= LATEST_SECONDS:
        raise cursor.fail(token.start, f"timestamp out of bounds for @ modifier: {seconds:f}")
    return math.floor(abs(seconds) * 1000 + 0.5) * (-1 if seconds < 0 else 1)


def _smoothed(cursor: Cursor, expr: Expr) -> Expr:
    name = cursor.advance().name
    start = expr.place[0]
    if not cursor.experimental:
        raise cursor.fail(start, f"{name} modifier is experimental and not enabled")
    if isinstance(expr, SubqueryExpr):
        raise cursor.fail(start, f"{name} modifier is not supported for subqueries")
    selector = expr.selector if isinstance(expr, MatrixSelector) else expr
    if not isinstance(selector, VectorSelector):
        raise cursor.fail(start, f"{name} modifier must follow an instant or range vector selector")
    if selector.smoothing not in {"", name}:
        raise cursor.fail(start, "anchored and smoothed modifiers cannot be used together")
    smooth = replace(selector, smoothing="anchored" if name == "anchored" else "smoothed")
    return replace(expr, selector=smooth) if isinstance(expr, MatrixSelector) else smooth
