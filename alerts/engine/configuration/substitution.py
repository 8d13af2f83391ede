"""`${NAME}`, `${NAME:-default}` and `${NAME:default}` in texts, and how a text says that it means none of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

# `${` before anything but a name is text as it stands: `${{ $value }}` is a price in a template, `${1}` a group.
FORM = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::(-?)([^}]*))?\}")  # noqa: TID251 - our own, linear
OPENS = re.compile(r"(?<!\$)\$\{[A-Za-z_][A-Za-z0-9_]*")  # noqa: TID251 - our own constant, linear
LITERAL = re.compile(r"(?<=\$)\$\{|\$\{(?=[A-Za-z_])")  # noqa: TID251 - our own constant, linear


@dataclass(frozen=True, slots=True)
class Substituted:
    """A text with its variables filled in, and the names of those that have no value."""

    text: str
    unset: tuple[str, ...] = ()
    named: bool = False


def substituted(text: str, variables: Mapping[str, str]) -> Substituted:
    """Return a text with its variables filled in; a default stands in for one that is unset or empty."""
    if "${" not in text:
        return Substituted(text)
    unset: list[str] = []
    named = False

    def value_of(found: re.Match[str]) -> str:
        nonlocal named
        if found.group(1):
            return "${"
        name, default = found.group(2), found.group(4)
        named = True
        value = variables.get(name)
        if value is None and default is None:
            unset.append(name)
            return found.group()
        return value if value or default is None else default  # type: ignore[return-value]

    return Substituted(FORM.sub(value_of, text), tuple(unset), named)


def half_open(text: str) -> str:
    """Return the beginning of a variable that is never closed, or an empty text."""
    rest = FORM.sub("", text)
    found = OPENS.search(rest)
    return found.group() if found else ""


def escaped(text: str) -> str:
    """Return a text that `substituted` gives back as it was."""
    return LITERAL.sub("$${", text) if "${" in text else text
