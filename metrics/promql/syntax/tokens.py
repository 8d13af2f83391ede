"""Cuts a query into tokens; what a character means depends on the bracket it stands in."""

import re
from typing import Final, Literal, NamedTuple

from metrics.promql.syntax.mistakes import mistake
from metrics.promql.syntax.strings import quoted

Kind = Literal[
    "identifier", "metric identifier", "string", "number", "duration", "operator", "aggregator", "keyword",
    "context", "mark", "end of input", "error",
]  # fmt: skip

MAX_QUERY_BYTES = 65_536
MAX_OPERATORS = 200
MAX_NESTING = 50

PARAMETERISED: Final = frozenset({"topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"})
AGGREGATORS: Final = PARAMETERISED | {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"}
EXPERIMENTAL_AGGREGATORS: Final = frozenset({"limitk", "limit_ratio"})
FILLS: Final = frozenset({"fill", "fill_left", "fill_right"})
WORDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("and", "or", "unless", "atan2"), "operator"),
    **dict.fromkeys(sorted(AGGREGATORS), "aggregator"),
    **dict.fromkeys(
        ("offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"),
        "keyword",
    ),
    **dict.fromkeys(sorted(FILLS), "keyword"),
    **dict.fromkeys(("start", "end", "step", "range", "max_of", "min_of"), "context"),
    **dict.fromkeys(("inf", "nan"), "number"),
}
IN_DURATIONS: Final = frozenset({"step", "range", "max_of", "min_of"})

SKIPPED = re.compile(r"(?:[ \t\r\n]|\#[^\r\n]*)*")  # noqa: TID251 - our own constant, linear
TOKEN = re.compile(  # noqa: TID251 - our own constant, linear
    r"""(?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<number>0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*(?![A-Za-z0-9_.])
        |(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)
         (?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?(?![A-Za-z0-9_.]))
    |(?P<duration>[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdw]))*(?![A-Za-z0-9_]))
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'|`[^`]*`)
    |(?P<mark>[=!]~|==|!=|<=|>=|</|>/|[-+*/%^<>=@(){}\[\],:])""",
    re.VERBOSE,
)
UNREADABLE_NUMBER = re.compile(r"[0-9A-Za-z_.]+")  # noqa: TID251 - our own constant, linear
PAREN_NEXT = re.compile(r"[ \t\r\n]*\(")  # noqa: TID251 - our own constant, linear
OPERATORS: Final = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", "<=", ">=", "<", ">", "</", ">/", "@"})
MATCH_OPERATORS: Final = frozenset({"=", "!=", "=~", "!~"})
IN_BRACES: Final = MATCH_OPERATORS | {",", "}", "=="}
CLOSING: Final = {")": "(", "]": "[", "}": "{"}
BRACKETS: Final = {"(": "left parenthesis", "[": "left bracket", "{": "left brace"}
LONGEST_SHOWN = 10


class Token(NamedTuple):
    """One word or mark; `name` is what the grammar calls it, `text` what the query says."""

    kind: Kind
    name: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Return the offset behind it."""
        return self.start + len(self.text)


def described(token: Token) -> str:
    """Return how an error message calls a token."""
    match token.kind:
        case "end of input":
            return "end of input"
        case "keyword":
            return f"<{token.text}>"
        case "operator":
            return f"<op:{token.text}>"
        case "aggregator":
            return f"<aggr:{token.text}>"
        case "mark" | "context":
            return quoted(token.text)
        case "identifier" | "metric identifier":
            return f"{token.kind} {quoted(token.text)}"
    text = token.text
    return f"{token.kind} {quoted(text[:LONGEST_SHOWN])}{'...' if len(text) > LONGEST_SHOWN else ''}"


class _Unreadable(ValueError):
    """Something that is no token; `at` is its offset."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def tokens_of(query: str) -> list[Token]:
    """Return the tokens; what cannot be read ends them as an error, for a mistake before it to be told first."""
    if len(query) > MAX_QUERY_BYTES or len(query.encode("utf-8", "surrogatepass")) > MAX_QUERY_BYTES:
        raise mistake(query, 0, f"the query is longer than {MAX_QUERY_BYTES} bytes")
    lexer = _Lexer(query)
    try:
        lexer.run()
    except _Unreadable as problem:
        lexer.found.append(Token("error", "error", str(problem), problem.at))
    return lexer.found


class _Lexer:
    def __init__(self, query: str) -> None:
        self.query = query
        self.found: list[Token] = []
        self.open: list[Token] = []
        self.operators = 0

    def run(self) -> None:
        query, at, size = self.query, 0, len(self.query)
        while True:
            skipped = SKIPPED.match(query, at)
            at = skipped.end() if skipped else at
            if at >= size:
                break
            token = self._next(at)
            self.found.append(token)
            at = token.end
        if self.open:
            bracket = self.open[-1].text
            raise _Unreadable(
                "unexpected end of input inside braces" if bracket == "{" else f"unclosed {BRACKETS[bracket]}", size
            )
        self.found.append(Token("end of input", "", "", size))

    def _next(self, at: int) -> Token:
        inside = self.open[-1].text if self.open else ""
        found = TOKEN.match(self.query, at)
        if found is None:
            raise self._unreadable(at, inside)
        text = found.group()
        match found.lastgroup:
            case "word":
                return self._word(text, at, inside)
            case "mark":
                return self._mark(text, at, inside)
            case "string":
                return Token("string", "string", text, at)
        if inside == "{":
            raise _Unreadable(f"unexpected character inside braces: {text[0]!r}", at)
        return Token("number" if found.lastgroup == "number" else "duration", "number", text, at)

    def _unreadable(self, at: int, inside: str) -> _Unreadable:
        character = self.query[at]
        if character in "\"'":
            return _Unreadable("unterminated quoted string", at)
        if character == "`":
            return _Unreadable("unterminated raw string", at)
        if inside == "{":
            return _Unreadable(f"unexpected character inside braces: {character!r}", at)
        if character == "!":
            after = self.query[at + 1 : at + 2]
            return _Unreadable(f"unexpected character after '!': {after!r}", at)
        number = UNREADABLE_NUMBER.match(self.query, at)
        if number and number.group() != ".":
            return _Unreadable(f"bad number or duration syntax: {quoted(number.group())}", at)
        return _Unreadable(f"unexpected character: {character!r}", at)

    def _word(self, text: str, at: int, inside: str) -> Token:
        if inside == "{":
            name, colon, _ = text.partition(":")
            if not name:
                raise _Unreadable(f"unexpected character inside braces: {colon!r}", at)
            return Token("identifier", "", name, at)
        lower = text.lower()
        if any(bracket.text == "[" for bracket in self.open):
            return self._duration_word(text, at)
        kind = WORDS.get(lower)
        if kind is None or (lower in FILLS and not PAREN_NEXT.match(self.query, at + len(text))):
            return Token("metric identifier" if ":" in text else "identifier", "", text, at)
        self._count(kind == "operator", at)
        return Token(kind, "number" if kind == "number" else lower, text, at)

    def _duration_word(self, text: str, at: int) -> Token:
        if text.startswith(":"):
            return Token("mark", ":", ":", at)
        name = text.partition(":")[0]
        if name.lower() not in IN_DURATIONS:
            raise _Unreadable(f"unexpected character in duration expression: {text[0]!r}", at)
        return Token("context", name.lower(), name, at)

    def _mark(self, text: str, at: int, inside: str) -> Token:
        if inside == "{":
            return self._mark_in_braces(text, at)
        if text in {"=~", "!~"}:
            raise _Unreadable(f"unexpected character after {text[0]!r}: '~'", at + 1)
        self._count(text in OPERATORS or text in "([", at)
        token = Token("operator" if text in OPERATORS else "mark", text, text, at)
        if text in BRACKETS:
            self._enter(token)
        elif text in CLOSING:
            self._leave(text, at, inside)
        return token

    def _mark_in_braces(self, text: str, at: int) -> Token:
        if text == "{":
            raise _Unreadable("unexpected left brace '{'", at)
        if text not in IN_BRACES:
            raise _Unreadable(f"unexpected character inside braces: {text[0]!r}", at)
        if text == "}":
            self.open.pop()
        text = text[:1] if text == "==" else text
        return Token("mark", text, text, at)

    def _enter(self, token: Token) -> None:
        if token.text == "[" and any(bracket.text == "[" for bracket in self.open):
            raise _Unreadable("unexpected left bracket '['", token.start)
        self.open.append(token)
        if len(self.open) > MAX_NESTING:
            raise mistake(self.query, token.start, f"the query is nested deeper than {MAX_NESTING} levels")

    def _leave(self, text: str, at: int, inside: str) -> None:
        if inside != CLOSING[text]:
            name = BRACKETS[CLOSING[text]].replace("left", "right")
            raise _Unreadable(f"unexpected {name} {text!r}", at)
        self.open.pop()

    def _count(self, is_operator: bool, at: int) -> None:
        self.operators += is_operator
        if self.operators > MAX_OPERATORS:
            raise mistake(self.query, at, f"the query has more than {MAX_OPERATORS} operators")
