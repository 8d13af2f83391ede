"""The newer syntax of matchers: any label name, quotes around what is not plain."""

from collections.abc import Callable

from alerts.engine.alertmanager.lexing import Kind, Lexer, Token
from alerts.engine.alertmanager.matching import BadMatcher, Matcher, matcher

NO_OPERATOR = "expected an operator such as '=', '!=', '=~' or '!~'"
END = "end of input"


class _Ended(BadMatcher):
    """The text ended where more was wanted."""

    def __init__(self) -> None:
        super().__init__(END)


def parse_matchers(text: str) -> list[Matcher]:
    """Read any number of matchers; raises BadMatcher."""
    lexer = Lexer(text)
    if lexer.peek().kind == "end":
        return []
    opened = lexer.peek().kind == "{"
    if opened:
        lexer.take()
    found = [] if lexer.peek().kind in {"}", "end"} else _matchers(lexer)
    _close(lexer, opened=opened)
    token = _said(lexer.take, "expected end of input")
    if token.kind != "end":
        raise BadMatcher(f"{token.place()}: {token.text}: expected end of input")
    return found


def parse_matcher(text: str) -> Matcher:
    """Read exactly one matcher; raises BadMatcher."""
    found = parse_matchers(text)
    if not found:
        raise BadMatcher("no matchers")
    if len(found) > 1:
        raise BadMatcher(f"expected 1 matcher, found {len(found)}")
    return found[0]


def _matchers(lexer: Lexer) -> list[Matcher]:
    """Read matchers to the close brace or the end, either left to be read."""
    found = []
    while True:
        found.append(_matcher(lexer))
        token = _wanted(lexer, "expected a comma or close brace", ",", "}", "end")
        if token.kind != ",":
            return found
        lexer.take()
        token = _wanted(lexer, "expected a matcher or close brace after comma", "}", "unquoted", "quoted", "end")
        if token.kind in {"}", "end"}:
            return found


def _matcher(lexer: Lexer) -> Matcher:
    name = _taken(lexer, "expected label name", "quoted", "unquoted").value()
    op = _taken(lexer, NO_OPERATOR, "=", "!=", "=~", "!~").kind
    value = _taken(lexer, "expected label value", "unquoted", "quoted").value()
    try:
        return matcher(op, name, value)
    except BadMatcher as problem:
        raise BadMatcher(f"failed to create matcher: {problem}") from problem


def _close(lexer: Lexer, *, opened: bool) -> None:
    if opened:
        try:
            _expected(lexer, "}")
        except BadMatcher as problem:
            raise BadMatcher(f"0:{lexer.seen}: {problem}: expected close brace") from problem
        lexer.take()
    elif lexer.peek().kind == "}":
        raise BadMatcher(f"0:{lexer.peek().end}: }}: expected opening brace")


def _expected(lexer: Lexer, *kinds: Kind) -> Token:
    """Return the next token if it is one of these kinds; raises BadMatcher."""
    token = lexer.peek()
    if token.kind in kinds:
        return token
    if token.kind == "end":
        raise _Ended
    raise BadMatcher(f"{token.place()}: unexpected {token.text}")


def _wanted(lexer: Lexer, want: str, *kinds: Kind) -> Token:
    return _said(lambda: _expected(lexer, *kinds), want)


def _taken(lexer: Lexer, want: str, *kinds: Kind) -> Token:
    _wanted(lexer, want, *kinds)
    return lexer.take()


def _said(read: Callable[[], Token], want: str) -> Token:
    try:
        return read()
    except BadMatcher as problem:
        raise BadMatcher(f"{problem}: {want}") from problem
