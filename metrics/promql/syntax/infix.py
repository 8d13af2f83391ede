"""Operators by precedence, without recursion: a long chain costs no stack."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from metrics.promql.syntax.cursor import Cursor
from metrics.promql.syntax.tokens import Token

Tree = TypeVar("Tree")


class Language(NamedTuple, Generic[Tree]):
    """What one kind of expression is made of."""

    operand: Callable[[Cursor], Tree]
    precedences: dict[str, int]
    modifiers: Callable[[Cursor, Token], Any]
    sign: Callable[[Cursor, Token, Tree], Tree]
    binary: Callable[[Cursor, Tree, Token, Any, Tree], Tree]


class _Waiting(NamedTuple):
    token: Token
    precedence: int
    modifiers: Any
    is_sign: bool


POWER = "^"
SIGN_LIKE = "*"


def infix(cursor: Cursor, language: Language[Tree]) -> Tree:
    """Read operands and operators up to the first token that is neither; `^` binds to the right."""
    values: list[Tree] = []
    waiting: list[_Waiting] = []
    while True:
        while cursor.token.name in {"+", "-"}:
            waiting.append(_Waiting(cursor.advance(), language.precedences[SIGN_LIKE], None, is_sign=True))
        values.append(language.operand(cursor))
        precedence = language.precedences.get(cursor.token.name)
        if precedence is None:
            break
        token = cursor.advance()
        while waiting and _binds(waiting[-1], precedence, token):
            _reduce(cursor, language, values, waiting.pop())
        waiting.append(_Waiting(token, precedence, language.modifiers(cursor, token), is_sign=False))
    while waiting:
        _reduce(cursor, language, values, waiting.pop())
    return values[0]


def _binds(before: _Waiting, precedence: int, token: Token) -> bool:
    return before.precedence > precedence or (before.precedence == precedence and token.name != POWER)


def _reduce(cursor: Cursor, language: Language[Tree], values: list[Tree], waiting: _Waiting) -> None:
    right = values.pop()
    if waiting.is_sign:
        values.append(language.sign(cursor, waiting.token, right))
    else:
        values.append(language.binary(cursor, values.pop(), waiting.token, waiting.modifiers, right))
