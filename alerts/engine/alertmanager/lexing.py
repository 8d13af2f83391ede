"""Cuts matchers in the UTF-8 syntax into tokens; columns count characters."""

from dataclasses import dataclass
from typing import Literal

from alerts.engine.alertmanager.matching import RESERVED, BadMatcher
from alerts.engine.alertmanager.quoting import SPACES, BadQuotes, unquote

Kind = Literal["end", "{", "}", ",", "=", "!=", "=~", "!~", "quoted", "unquoted"]
SINGLE: dict[str, Kind] = {"{": "{", "}": "}", ",": ","}
AFTER: dict[str, dict[str, Kind]] = {"!": {"=": "!=", "~": "!~"}, "=": {"~": "=~", "": "="}}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text and its place."""

    kind: Kind
    text: str
    start: int
    end: int

    def place(self) -> str:
        """Return the columns as messages show them."""
        return f"{self.start}:{self.end}"

    def value(self) -> str:
        """Return the text, unquoted if it is in quotes; raises BadMatcher."""
        if self.kind != "quoted":
            return self.text
        try:
            return unquote(self.text)
        except BadQuotes as problem:
            raise BadMatcher(f"{self.place()}: {self.text}: invalid input") from problem


class Lexer:
    """One text, read token by token; a fault stays one."""

    def __init__(self, text: str) -> None:
        """Begin at the start of a text."""
        self.text = text
        self.at = 0
        self.seen = 0
        self._next: Token | None = None
        self._fault: BadMatcher | None = None

    def peek(self) -> Token:
        """Return the next token without taking it; raises BadMatcher."""
        if self._fault is not None:
            raise self._fault
        if self._next is None:
            try:
                self._next = self._scan()
            except BadMatcher as problem:
                self._fault = problem
                raise
        return self._next

    def take(self) -> Token:
        """Return the next token and go past it; raises BadMatcher."""
        token = self.peek()
        if token.kind != "end":
            self.at = self.seen = token.end
            self._next = None
        return token

    def _scan(self) -> Token:
        start = self.at
        while start < len(self.text) and self.text[start] in SPACES:
            start += 1
        if start == len(self.text):
            return Token("end", "", start, start)
        char = self.text[start]
        if char in SINGLE:
            return Token(SINGLE[char], char, start, start + 1)
        if char in AFTER:
            return self._operator(start)
        if char == '"':
            return self._quoted(start)
        if char in RESERVED:
            raise BadMatcher(f"{start}:{start + 1}: {char}: invalid input")
        return self._unquoted(start)

    def _operator(self, start: int) -> Token:
        choices = AFTER[self.text[start]]
        second = self.text[start + 1 : start + 2]
        if second in choices and second:
            return Token(choices[second], self.text[start : start + 2], start, start + 2)
        if "" in choices:
            return Token(choices[""], self.text[start], start, start + 1)
        where = f"{start}:{start + 1}"
        if start + 1 >= len(self.text):
            raise BadMatcher(f"{where}: unexpected end of input, expected one of '=~'")
        raise BadMatcher(f"{where}: {self.text[start]}: expected one of '=~'")

    def _quoted(self, start: int) -> Token:
        at = start + 1
        while at < len(self.text) and self.text[at] != '"':
            at += 2 if self.text[at] == "\\" else 1
        if at >= len(self.text):
            end = len(self.text)
            raise BadMatcher(f'{start}:{end}: {self.text[start:]}: missing end "')
        return Token("quoted", self.text[start : at + 1], start, at + 1)

    def _unquoted(self, start: int) -> Token:
        end = start
        while end < len(self.text) and self.text[end] not in RESERVED:
            end += 1
        return Token("unquoted", self.text[start:end], start, end)
