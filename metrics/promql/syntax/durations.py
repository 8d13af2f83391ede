"""Durations: literals, and arithmetic over them that may ask for the query's step and range."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from metrics.promql.syntax.cursor import Cursor
from metrics.promql.syntax.infix import Language, infix
from metrics.promql.syntax.numbers import milliseconds_of, number_of, out_of_range, seconds_of
from metrics.promql.syntax.tokens import IN_DURATIONS, Token
from metrics.promql.syntax.tree import Duration, DurationExpr, DurationOp, NumberLiteral, Span
from metrics.promql.types import QueryError

PRECEDENCES: Final = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 3}
STARTS: Final = IN_DURATIONS | {"number", "(", "+", "-"}
WANTED_OFFSET = "number, duration, step(), or range()"
WANTED_STEP = 'number, duration, step(), range(), or "]"'


def literal(cursor: Cursor) -> NumberLiteral:
    """Read a number or a duration."""
    token = cursor.advance()
    try:
        value = seconds_of(token.text) if token.kind == "duration" else number_of(token.text)
    except ValueError as problem:
        raise cursor.fail(token.start, str(problem)) from problem
    return NumberLiteral(value, token.kind == "duration", (token.start, token.end))


def window(cursor: Cursor, context: str, wanted: str) -> Span:
    """Read the duration of a window or its step, which must be above zero."""
    duration = _duration(cursor, context, wanted)
    if isinstance(duration, DurationExpr):
        return duration
    if not duration.value > 0:
        raise cursor.fail(duration.place[0], "duration must be greater than 0")
    return max(milliseconds_of(duration.value), 1)


def offset(cursor: Cursor) -> Span:
    """Read what follows `offset`; only in parentheses does arithmetic belong to it."""
    signs = []
    while cursor.token.name in {"+", "-"}:
        signs.append(cursor.advance())
    if cursor.token.name not in STARTS:
        raise cursor.unexpected("offset", WANTED_OFFSET)
    duration = _after_parenthesis(cursor) if cursor.at("(") and not signs else _operand(cursor)
    for sign in reversed(signs):
        duration = _signed(cursor, sign, duration)
    return milliseconds_of(duration.value) if isinstance(duration, NumberLiteral) else duration


def _after_parenthesis(cursor: Cursor) -> Duration:
    # `offset (5m) + 1m` goes on as a duration; before what can be none the sign is an operator of the query.
    language = LANGUAGE._replace(precedences={}) if _leads_elsewhere(cursor) else LANGUAGE
    return infix(cursor, language)


def _leads_elsewhere(cursor: Cursor) -> bool:
    depth, ahead = 0, 0
    while True:
        name = cursor.peek(ahead)
        depth += (name == "(") - (name == ")")
        ahead += 1
        if depth == 0 or not name:
            return cursor.peek(ahead) in PRECEDENCES and not _begins_duration(cursor, ahead + 1)


def _begins_duration(cursor: Cursor, ahead: int) -> bool:
    while cursor.peek(ahead) in {"(", "+", "-"}:
        ahead += 1
    name = cursor.peek(ahead)
    return name == "number" or (name in IN_DURATIONS and cursor.peek(ahead + 1) == "(")


def _duration(cursor: Cursor, context: str, wanted: str) -> Duration:
    if cursor.token.name not in STARTS:
        raise cursor.unexpected(context, wanted)
    return infix(cursor, LANGUAGE)


def _operand(cursor: Cursor) -> Duration:
    token = cursor.token
    if token.name == "number":
        found = literal(cursor)
        if out_of_range(found.value):
            raise cursor.fail(token.start, "duration out of range")
        return found
    if token.name == "(":
        return _parenthesis(cursor)
    if token.name in IN_DURATIONS:
        return _named(cursor)
    raise cursor.unexpected("duration expression", WANTED_OFFSET)


def _refuse(cursor: Cursor, position: int) -> None:
    if not cursor.experimental:
        raise cursor.fail(position, "experimental duration expression is not enabled")


def _parenthesis(cursor: Cursor) -> DurationExpr:
    start = cursor.advance().start
    inside = infix(cursor, LANGUAGE)
    end = cursor.expect(")", "duration expression", '")"').end
    _refuse(cursor, inside.place[0])
    if isinstance(inside, DurationExpr):
        return replace(inside, wrapped=True)
    return DurationExpr("+", None, inside, wrapped=True, place=(start, end))


def _named(cursor: Cursor) -> DurationExpr:
    token = cursor.advance()
    cursor.expect("(", "duration expression", '"("')
    left = right = None
    if token.name in {"min_of", "max_of"}:
        left = infix(cursor, LANGUAGE)
        cursor.expect(",", "duration expression", '","')
        right = infix(cursor, LANGUAGE)
    end = cursor.expect(")", "duration expression", '")"').end
    _refuse(cursor, token.start)
    return DurationExpr(cast("DurationOp", token.name), left, right, place=(token.start, end))


def _signed(_cursor: Cursor, sign: Token, duration: Duration) -> Duration:
    place = (sign.start, duration.place[1])
    if isinstance(duration, NumberLiteral):
        return replace(duration, value=-duration.value if sign.name == "-" else duration.value, place=place)
    return duration if sign.name == "+" else DurationExpr("-", None, duration, place=place)


def _combined(cursor: Cursor, left: Duration, operator: Token, _: None, right: Duration) -> Duration:
    _refuse(cursor, left.place[0])
    if operator.name in {"/", "%"} and isinstance(right, NumberLiteral) and right.value == 0:
        raise cursor.fail(operator.start, f"{'division' if operator.name == '/' else 'modulo'} by zero")
    place = (left.place[0], right.place[1])
    return DurationExpr(cast("DurationOp", operator.name), left, right, place=place)


def _plain(_cursor: Cursor, _token: Token) -> None:
    return None


LANGUAGE: Language[Duration] = Language(_operand, PRECEDENCES, _plain, _signed, _combined)


def _divided(left: float, right: float) -> float:
    if right == 0:
        raise ZeroDivisionError("division by zero")
    return left / right


def _rest(left: float, right: float) -> float:
    if right == 0:
        raise ZeroDivisionError("modulo by zero")
    return math.fmod(left, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf


CALCULATIONS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "%": _rest,
    "^": _power,
    "min_of": min,
    "max_of": max,
}


def worked_out(span: Span, step_ms: int, range_ms: int, *, may_be_negative: bool = False) -> int:
    """Return a duration in milliseconds, given the step and the range of the query."""
    if isinstance(span, int):
        return span
    try:
        seconds = _seconds(span, step_ms / 1000, range_ms / 1000)
    except (ZeroDivisionError, ValueError) as problem:
        text = str(problem) if isinstance(problem, ZeroDivisionError) else "duration is NaN or infinite"
        raise _impossible(span, text) from problem
    if not math.isfinite(seconds):
        raise _impossible(span, "duration is NaN or infinite")
    if seconds <= 0 and not may_be_negative:
        raise _impossible(span, "duration must be greater than 0")
    if out_of_range(seconds):
        raise _impossible(span, "duration is out of range")
    milliseconds = int(seconds * 1000)
    return milliseconds if may_be_negative else max(milliseconds, 1)


def _impossible(span: DurationExpr, text: str) -> QueryError:
    start, end = span.place
    return QueryError(f"{start}:{end}: {text}", "bad_data", start)


def _seconds(duration: Duration, step_seconds: float, range_seconds: float) -> float:
    if isinstance(duration, NumberLiteral):
        return duration.value
    if duration.op in {"step", "range"}:
        return step_seconds if duration.op == "step" else range_seconds
    left, right = (
        0.0 if side is None else _seconds(side, step_seconds, range_seconds) for side in (duration.left, duration.right)
    )
    return CALCULATIONS[duration.op](left, right)
