"""Expressions of a mapping: where in a payload a value stands.

alert.name                      a member of a member
items[0].title                  the first of a list; [-1] the last; [*] all of them
tags["service.name"]            a name with dots
labels[key=team].value          the entry of a list whose `key` is `team`
title | summary | 'unknown'     the first that says something; a text in quotes
'{host} is {state}'             a text with values in it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from alerts.engine.inbound.told import text_of
from alerts.engine.inbound.walking import opened, said

LONGEST = 500
MOST_STEPS = 20
MOST_VALUES = 100


class BadPath(ValueError):
    """The expression cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step down: a name, a place in a list, all of a list (None), or the entry that has a value under a name."""

    name: str | int | None
    value: str = ""
    picks: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes, in pieces: what is written, and paths of what is put in."""

    pieces: tuple[str | tuple[Step, ...], ...]


Term = Text | tuple[Step, ...]


@lru_cache(maxsize=512)
def parsed(expression: str) -> tuple[Term, ...]:
    """Return the alternatives of an expression, or raise BadPath."""
    if len(expression) > LONGEST:
        raise BadPath(f"An expression is at most {LONGEST} characters long.")
    return tuple(_term(part.strip()) for part in _alternatives(expression))


def value_at(expression: str, payload: Any) -> Any:
    """Return the first alternative that says something: a scalar, a mapping, or a list of them; None for nothing."""
    for term in parsed(expression):
        found = _filled(term, payload) if isinstance(term, Text) else _walked(term, payload)
        if isinstance(found, Mapping | list) and found:
            return found
        if said(found) or (found and isinstance(term, Text)):
            return found
    return None


def text_at(expression: str, payload: Any) -> str:
    """Return what stands there as a text; of several values, all."""
    found = value_at(expression, payload)
    if isinstance(found, list):
        return ", ".join(text for text in map(text_of, found[:MOST_VALUES]) if text)
    return text_of(found)


def _alternatives(expression: str) -> list[str]:
    parts, quote = [""], ""
    for letter in expression:
        if letter in "'\"":
            quote = "" if quote == letter else quote or letter
        if letter == "|" and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    if quote:
        raise BadPath(f"The quote {quote} is not closed.")
    return parts


def _term(text: str) -> Term:
    if not text:
        raise BadPath("An alternative is empty.")
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1 and text.count(text[0]) == 2:  # a pair
        return _text(text[1:-1])
    return _path(text)


def _text(text: str) -> Text:
    pieces: list[str | tuple[Step, ...]] = []
    rest = text
    while rest:
        before, brace, rest = rest.partition("{")
        pieces.append(before)
        if not brace:
            break
        path, closed, rest = rest.partition("}")
        if not closed:
            raise BadPath("A { in a text is not closed.")
        pieces.append(_path(path.strip()))
    return Text(tuple(pieces))


def _path(text: str) -> tuple[Step, ...]:
    rest = text.removeprefix("$").removeprefix(".")
    steps: list[Step] = []
    while rest:
        if len(steps) >= MOST_STEPS:
            raise BadPath(f"A path has at most {MOST_STEPS} steps.")
        step, rest = _bracket(rest, text) if rest[0] == "[" else _name(rest, text)
        steps.append(step)
        if rest.startswith("."):
            rest = rest[1:]
            if not rest:
                raise BadPath(f"{text!r} ends with a dot.")
        elif rest and rest[0] != "[":
            raise BadPath(f"{text!r}: expected . or [ before {rest[:20]!r}.")
    return tuple(steps)


def _name(rest: str, text: str) -> tuple[Step, str]:
    end = next((place for place, letter in enumerate(rest) if letter in ".["), len(rest))
    name = rest[:end].strip()
    if not name or any(letter in "]'\"{}" for letter in name):
        raise BadPath(f'{text!r}: {name!r} is no name; put unusual ones in ["…"].')
    return Step(name), rest[end:]


def _bracket(rest: str, text: str) -> tuple[Step, str]:
    quote = rest[1:2] if rest[1:2] in ("'", '"') else ""
    if quote:
        name, closed, after = rest[2:].partition(quote + "]")
        if not closed or not name:
            raise BadPath(f"{text!r}: a name in quotes is not closed.")
        return Step(name), after
    inner, closed, after = rest[1:].partition("]")
    if not closed:
        raise BadPath(f"{text!r}: a [ is not closed.")
    if inner == "*":
        return Step(None), after
    key, picks, value = inner.partition("=")
    if picks and key.strip():
        return Step(key.strip(), value.strip().strip("'\""), picks=True), after
    if inner.removeprefix("-").isascii() and inner.removeprefix("-").isdecimal() and len(inner) < 7:
        return Step(int(inner)), after
    raise BadPath(f"{text!r}: [{inner[:20]}] is neither a number, *, a name in quotes nor key=value.")


def _walked(steps: Sequence[Step], payload: Any) -> Any:
    found: list[Any] = [payload]
    many = False
    for step in steps:
        found = [inner for value in found for inner in _down(step, value)][:MOST_VALUES]
        many = many or step.name is None
    return found if many else (found[0] if found else None)


def _down(step: Step, value: Any) -> list[Any]:
    if step.picks:
        items = value if isinstance(value, list) else []
        return [
            item for item in items if isinstance(item, Mapping) and text_of(item.get(str(step.name))) == step.value
        ][:1]
    if step.name is None:
        return list(value) if isinstance(value, list) else list(value.values()) if isinstance(value, Mapping) else []
    if isinstance(step.name, int):
        inside = isinstance(value, list) and -len(value) <= step.name < len(value)
        return [value[step.name]] if inside else []
    if isinstance(value, Mapping):
        return [opened((step.name,), value[step.name])] if step.name in value else []
    return []


def _filled(text: Text, payload: Any) -> str:
    pieces = [piece if isinstance(piece, str) else text_of(_walked(piece, payload)) for piece in text.pieces]
    # A text with nothing put in where something should be says nothing, and the next alternative is asked.
    empty = any(not piece for piece, given in zip(pieces, text.pieces, strict=True) if not isinstance(given, str))
    return "" if empty else "".join(pieces)
