"""Rules joined by and, or, not: the small language, and what it says of rules that stand as they stand.

    expression = term {"or" term}        term = factor {"and" factor}
    factor     = "not" factor | "(" expression ")" | name | "quoted name"

Truth has three values: a rule that cannot be evaluated, or has lost its data, is neither true nor false (None).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

LONGEST, MOST_NAMES, DEEPEST = 4000, 50, 30
WORDS = frozenset({"and", "or", "not"})
INSIDE_NAMES = frozenset("_-.:")
Truth: TypeAlias = bool | None


class BadComposite(ValueError):
    """An expression that cannot be read; the text says where and what to write instead."""


@dataclass(frozen=True, slots=True)
class Named:
    """A rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Joined:
    """Several, joined by `and` or by `or`."""

    word: str
    parts: tuple["Expression", ...]


Expression: TypeAlias = Named | Not | Joined


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # and, or, not, (, ), name, end
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token, at = _token(text, at)
        found.append(token)
    return [*found, _Token("end", "", len(text))]


def _token(text: str, at: int) -> tuple[_Token, int]:
    char = text[at]
    if char in "()":
        return _Token(char, char, at), at + 1
    if char in "\"'":
        return _quoted(text, at)
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] in INSIDE_NAMES):
        end += 1
    if end == at:
        raise BadComposite(f"Character {at + 1}: {char!r} means nothing here; write and, or, not, names and ( ).")
    word = text[at:end]
    return _Token(word.lower() if word.lower() in WORDS else "name", word, at), end


def _quoted(text: str, at: int) -> tuple[_Token, int]:
    quote, name, end = text[at], "", at + 1
    while end < len(text) and text[end] != quote:
        end += text[end] == "\\" and end + 1 < len(text)
        name += text[end]
        end += 1
    if end >= len(text):
        raise BadComposite(f"Character {at + 1}: the quote {quote} is never closed.")
    if not name.strip():
        raise BadComposite(f"Character {at + 1}: a name is missing between the quotes.")
    return _Token("name", name, at), end + 1


class _Parser:
    """Reads one expression; deeper than DEEPEST is refused."""

    def __init__(self, text: str) -> None:
        self._tokens, self._place, self._depth = _tokens(text), 0, 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def whole(self) -> Expression:
        found = self._joined("or")
        if self._next.kind != "end":
            raise self._surprised("and, or, or the end")
        return found

    def _joined(self, word: str) -> Expression:
        inner = self._factor if word == "and" else lambda: self._joined("and")
        parts = [inner()]
        while self._next.kind == word:
            self._place += 1
            parts.append(inner())
        return Joined(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def _factor(self) -> Expression:
        token = self._next
        if token.kind not in ("name", "not", "("):
            raise self._surprised("the name of a rule, not, or (")
        self._place += 1
        if token.kind == "name":
            return Named(token.text)
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadComposite(f"It is nested deeper than {DEEPEST}; make rules of its parts and join those.")
        inner = self._factor() if token.kind == "not" else self._closed(token)
        self._depth -= 1
        return Not(inner) if token.kind == "not" else inner

    def _closed(self, opened: _Token) -> Expression:
        found = self._joined("or")
        if self._next.kind != ")":
            raise self._surprised(f"a ) for the ( at character {opened.at + 1}")
        self._place += 1
        return found

    def _surprised(self, expected: str) -> BadComposite:
        token = self._next
        if token.kind == "end":
            return BadComposite(f"It ends where {expected} is expected.")
        hint = " Put the name in quotes if it has blanks." if token.kind == "name" else ""
        return BadComposite(f"Character {token.at + 1}: {expected} is expected, not {token.text!r}.{hint}")


def parse(text: str) -> Expression:
    """Return the expression of a text; raises BadComposite."""
    if not text.strip():
        raise BadComposite("It is empty; name rules, such as: high_cpu and not maintenance_flag.")
    if len(text) > LONGEST:
        raise BadComposite(f"It is longer than {LONGEST} characters.")
    found = _Parser(text).whole()
    if len(names_in(found)) > MOST_NAMES:
        raise BadComposite(f"It names more than {MOST_NAMES} rules; make rules of its parts and join those.")
    return found


def names_in(expression: Expression) -> list[str]:
    """Return the rules an expression names, each once, in order."""
    if isinstance(expression, Named):
        return [expression.name]
    parts = (expression.inner,) if isinstance(expression, Not) else expression.parts
    return list(dict.fromkeys(name for part in parts for name in names_in(part)))


def truth_of(expression: Expression, truth: Callable[[str], Truth]) -> Truth:
    """Return what an expression is, given what each rule is; what decides alone decides whatever is unknown."""
    if isinstance(expression, Named):
        return truth(expression.name)
    if isinstance(expression, Not):
        inner = truth_of(expression.inner, truth)
        return None if inner is None else not inner
    parts = [truth_of(part, truth) for part in expression.parts]
    decides = expression.word == "or"
    if decides in parts:
        return decides
    return None if None in parts else not decides


@dataclass(frozen=True, slots=True)
class Standing:
    """One label set of a rule that fires (True), or of which that can no longer be told (None)."""

    labels: Mapping[str, str]
    truth: Truth = True


@dataclass(frozen=True, slots=True)
class Component:
    """How a rule stands: its label sets that fire or are unknown; `known` is False where it was not evaluated."""

    standings: Sequence[Standing] = ()
    known: bool = True

    def truth(self, labels: Mapping[str, str]) -> Truth:
        """Return what it is for a group of labels; a label set that lacks one of them counts for all its values."""
        found = {one.truth for one in self.matching(labels)}
        if True in found:
            return True
        return None if None in found or not self.known else False

    def matching(self, labels: Mapping[str, str]) -> list[Standing]:
        """Return the label sets that do not contradict these labels."""
        return [one for one in self.standings if all(one.labels.get(k, v) == v for k, v in labels.items())]


@dataclass(frozen=True, slots=True)
class Found:
    """What the expression is for one group of labels, and what each rule was."""

    labels: Mapping[str, str]
    truth: Truth
    parts: Mapping[str, Truth] = field(default_factory=dict)


def found(
    expression: Expression,
    rules: Mapping[str, Component],
    on: Sequence[str] = (),
    *,
    also: Iterable[Mapping[str, str]] = (),
) -> list[Found]:
    """Return the groups of labels for which the expression holds or cannot be told.

    Without labels to join on there is one group; `also` are groups to look at though no rule has their labels now.
    Raises LookupError for a name that is no rule.
    """
    names = names_in(expression)
    missing = [name for name in names if name not in rules]
    if missing:
        raise LookupError(f"there is no rule {missing[0]!r} any more")
    results = []
    for labels in _groups(on, [rules[name] for name in names], also):
        parts = {name: rules[name].truth(labels) for name in names}
        truth = truth_of(expression, parts.__getitem__)
        if truth is not False:
            results.append(Found(labels, truth, parts))
    return results


def _groups(
    on: Sequence[str], components: Sequence[Component], also: Iterable[Mapping[str, str]]
) -> list[dict[str, str]]:
    if not on:
        return [{}]
    keys = {tuple(labels[name] for name in on) for labels in also} | {
        tuple(one.labels[name] for name in on)
        for component in components
        for one in component.standings
        if all(name in one.labels for name in on)
    }
    return [dict(zip(on, key, strict=True)) for key in sorted(keys)]


def holds_when_nothing_fires(expression: Expression) -> bool:
    """Say whether it is true while no rule fires, so that there are no labels to tell its alerts apart by."""
    return truth_of(expression, lambda _name: False) is True


def depths(joins: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Return for each composite rule how many others have to be there before it; in a ring no order is right."""
    found = dict.fromkeys(joins, 1)
    for _ in joins:
        for name, parts in joins.items():
            found[name] = min(len(joins), 1 + max((found.get(part, 0) for part in parts), default=0))
    return found


def cycle_from(name: str, expression: Expression, others: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the way from a rule back to itself through the composite rules, or an empty list."""
    ways: list[list[str]] = [[name, each] for each in names_in(expression)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, each] for each in others.get(way[-1], ())]
    return []
