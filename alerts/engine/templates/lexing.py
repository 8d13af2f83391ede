"""A template cut into its texts and the words of its actions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from alerts.engine.templates.mistakes import BadTemplate, line_of

LEFT, RIGHT = "{{", "}}"
BLANKS = " \t\r\n"
TRIMMED_END = re.compile(r"[ \t\r\n]+-\}\}")  # noqa: TID251 - our own constant, linear
COMMENT_END = re.compile(r"\*/(?P<trim>[ \t\r\n]+-)?\}\}")  # noqa: TID251 - our own constant, linear
WORD = re.compile(  # noqa: TID251 - our own constant, linear
    r"(?P<space>[ \t\r\n]+)"
    r'|(?P<string>"(?:\\[^\n]|[^"\\\n])*")'
    r"|(?P<raw>`[^`]*`)"
    r"|(?P<char>'(?:\\[^\n]|[^'\\\n])*')"
    r"|(?P<declare>:=)"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+"
    r"|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?!\w))"
    r"|(?P<field>\.[^\W\d]\w*)"
    r"|(?P<variable>\$\w*)"
    r"|(?P<identifier>[^\W\d]\w*)"
    r"|(?P<mark>[|,()=.])"
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word; `kind` is text, left, right, or a group of WORD."""

    kind: str
    text: str
    at: int


def tokens_of(text: str) -> Iterator[Token]:
    """Cut a template; ends with a token of the kind `end`."""
    at, trims = 0, False
    while True:
        start = text.find(LEFT, at)
        piece = text[at:] if start < 0 else text[at:start]
        shown = piece.lstrip(BLANKS) if trims else piece
        if start >= 0 and _trims_left(text, start):
            shown = shown.rstrip(BLANKS)
        if shown:
            yield Token("text", shown, at)
        if start < 0:
            yield Token("end", "", len(text))
            return
        inside = start + len(LEFT) + (2 if _trims_left(text, start) else 0)
        if text.startswith("/*", inside):
            at, trims = _after_comment(text, inside)
            continue
        yield Token("left", LEFT, start)
        words = list(_words(text, inside))
        yield from words
        at, trims = words[-1].at + len(words[-1].text), words[-1].text != RIGHT


def _trims_left(text: str, start: int) -> bool:
    return text.startswith("-", start + 2) and text[start + 3 : start + 4] in (" ", "\t", "\r", "\n")


def _after_comment(text: str, inside: int) -> tuple[int, bool]:
    found = COMMENT_END.search(text, inside + 2)
    if found is None:
        raise BadTemplate(f"{line_of(text, inside)}: unclosed comment")
    if text.find("*/", inside + 2) != found.start():
        raise BadTemplate(f"{line_of(text, inside)}: comment ends before closing delimiter")
    return found.end(), found["trim"] is not None


def _words(text: str, at: int) -> Iterator[Token]:
    """Yield the words of an action and its end, whose text tells whether it trims."""
    depth = 0
    while True:
        if text.startswith(RIGHT, at):
            _closed(text, at, depth)
            yield Token("right", RIGHT, at)
            return
        trimmed = TRIMMED_END.match(text, at)
        if trimmed:
            _closed(text, at, depth)
            yield Token("right", trimmed.group(), at)
            return
        found = WORD.match(text, at)
        if found is None:
            raise BadTemplate(f"{line_of(text, at)}: {_complaint(text, at)}")
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if depth < 0:
            raise BadTemplate(f"{line_of(text, at)}: unexpected right paren")
        yield Token(str(found.lastgroup), found.group(), at)
        at = found.end()


def _closed(text: str, at: int, depth: int) -> None:
    if depth:
        raise BadTemplate(f"{line_of(text, at)}: unclosed left paren")


def _complaint(text: str, at: int) -> str:
    letter = text[at : at + 1]
    if not letter:
        return "unclosed action"
    if letter in "\"'`":
        return {'"': "unterminated quoted string", "`": "unterminated raw quoted string"}.get(
            letter, "unterminated character constant"
        )
    if letter.isdigit() or letter in "+-":
        return f"bad number syntax: {text[at : at + 20].split(maxsplit=1)[0]!r}"
    return f"unexpected {letter!r} in the action"
