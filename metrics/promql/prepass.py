"""What happens to a query's text before the parser sees it.

The parser is compiled code that recurses over the tree: a few thousand nested operators end the process, so size is
bounded here. It also lacks two spellings (digit groups and instants before 1970), which are rewritten.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser

from metrics.promql.types import QueryError

MAX_QUERY_BYTES = 65_536
MAX_OPERATORS = 200
MAX_NESTING = 50
# The parser keeps instants as unsigned seconds: earlier ones travel as this much later, far beyond any real sample.
BEFORE_EPOCH_SECONDS = 100_000_000_000

TOKEN = re.compile(  # noqa: TID251
    r"""(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<comment>\#[^\n]*)
    |(?P<number>(?:\d|\.\d)[\w.]*)
    |(?P<word>[^\W\d][\w:]*)
    |(?P<space>\s+)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
DIGIT_GROUPS = re.compile(r"(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|\d+(?:_\d+)*(?:\.\d+(?:_\d+)*)?(?:[eE]\d*)?)")  # noqa: TID251
CLOSING = {")": "(", "]": "[", "}": "{"}
OPERATORS = frozenset("+-*/%^<>(")
WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})


@dataclass(frozen=True, slots=True)
class Token:
    """One lexical piece with its place in the text."""

    kind: str
    text: str
    start: int


def tokens_of(query: str) -> Iterator[Token]:
    """Cut a query into pieces; joined they give the query back."""
    for found in TOKEN.finditer(query):
        yield Token(found.lastgroup or "mark", found.group(), found.start())


def prepare(query: str) -> str:
    """Return the text for the parser, or raise where the query is too large or wrong on its face."""
    if len(query.encode("utf-8", "surrogatepass")) > MAX_QUERY_BYTES:
        raise QueryError(f"the query is longer than {MAX_QUERY_BYTES} bytes", kind="bad_data")
    tokens = list(tokens_of(query))
    _bound(tokens)
    return "".join(_rewritten(tokens))


def _bound(tokens: list[Token]) -> None:
    open_marks: list[Token] = []
    operators = 0
    for token in tokens:
        in_braces = bool(open_marks) and open_marks[-1].text == "{"
        operators += not in_braces and (token.text in OPERATORS or token.text.lower() in WORD_OPERATORS)
        _track(open_marks, token)
        if operators > MAX_OPERATORS:
            raise QueryError(f"the query has more than {MAX_OPERATORS} operators", "bad_data", token.start)
        if len(open_marks) > MAX_NESTING:
            raise QueryError(f"the query is nested deeper than {MAX_NESTING} levels", "bad_data", token.start)
    if open_marks:
        raise QueryError(f"unclosed {open_marks[-1].text!r}", "bad_data", open_marks[-1].start)


def _track(open_marks: list[Token], token: Token) -> None:
    if token.kind != "mark":
        return
    if token.text in CLOSING.values():
        open_marks.append(token)
    elif token.text in CLOSING:
        if not open_marks or open_marks[-1].text != CLOSING[token.text]:
            raise QueryError(f"unexpected {token.text!r}", "bad_data", token.start)
        open_marks.pop()


def _rewritten(tokens: list[Token]) -> Iterator[str]:
    before: list[Token] = []
    for token in tokens:
        text = token.text
        if token.kind == "number":
            text = _without_digit_groups(token)
            if [mark.text for mark in before[-2:]] == ["@", "-"]:
                text = _before_epoch(text, token.start)
            elif before and before[-1].text in {"@", "+"} and "@" in {mark.text for mark in before[-2:]}:
                _instant_seconds(text, token.start)
        negative_instant = text == "-" and bool(before) and before[-1].text == "@"
        if token.kind not in {"space", "comment"}:
            before.append(token)
        if not negative_instant:
            yield text


def _without_digit_groups(token: Token) -> str:
    if "_" not in token.text:
        return token.text
    if not DIGIT_GROUPS.fullmatch(token.text):
        raise QueryError(f"bad number or duration syntax: {token.text!r}", "bad_data", token.start)
    return token.text.replace("_", "")


def _before_epoch(text: str, position: int) -> str:
    return f"{BEFORE_EPOCH_SECONDS + _instant_seconds(text, position):.3f}"


def _instant_seconds(text: str, position: int) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = _duration_seconds(text, position)
    if seconds >= BEFORE_EPOCH_SECONDS:
        raise QueryError("timestamp out of bounds for @ modifier", "bad_data", position)
    return seconds


def _duration_seconds(text: str, position: int) -> float:
    try:
        return float(int(text, 0))
    except ValueError:
        try:
            return float(promql_parser.parse_duration(text).total_seconds())
        except ValueError as problem:
            raise QueryError(str(problem), "bad_data", position) from problem


def position_of(query: str, message: str) -> int | None:
    """Find the place a parser message speaks of; the parser itself names none."""
    if "end of input" in message:
        return len(query)
    quoted = re.search(r"'([^']+)'", message)
    if quoted is None:
        return None
    word = quoted.group(1)
    for token in tokens_of(query):
        if token.kind not in {"string", "comment"} and token.text == word:
            return token.start
    return None
