"""Label matchers: equal, not equal, and regular expressions that must match the whole value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import re2

from alerts.engine.alertmanager.quoting import SPACES, quote

Op = Literal["=", "!=", "=~", "!~"]
OPS: tuple[Op, ...] = ("=", "!=", "=~", "!~")
RESERVED = frozenset(SPACES + "{}!=~,\\\"'`")
Labels = Mapping[str, str]
# RE2 words its findings otherwise than Go's engine does.
FINDINGS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
    "pattern too large - compile failed": "expression too large",
}


class BadMatcher(ValueError):
    """A matcher that cannot be; the text says why."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; a missing label has the empty value."""

    op: Op
    name: str
    value: str

    def holds(self, value: str) -> bool:
        """Tell whether a label value satisfies the condition."""
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        found = pattern_of(self.value).search(value) is not None
        return found is (self.op == "=~")

    def order(self) -> tuple[str, str, int]:
        """Return what matchers are sorted by."""
        return self.name, self.value, OPS.index(self.op)

    def __str__(self) -> str:
        if any(char in RESERVED for char in self.name):
            return f"{quote(self.name)}{self.op}{quote(self.value)}"
        shown = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{self.name}{self.op}"{shown}"'


Matchers = tuple[Matcher, ...]


def matcher(op: str, name: str, value: str) -> Matcher:
    """Return a matcher, its expression compiled once to know it is one; raises BadMatcher."""
    made = Matcher(cast("Op", op), name, value)
    if made.op in {"=~", "!~"}:
        pattern_of(value)
    return made


@lru_cache(maxsize=4096)
def pattern_of(expression: str) -> Any:
    """Compile an expression that must match a whole value; RE2 takes time linear in the value."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"^(?:{expression})$", options)
    except re2.error as problem:
        raise BadMatcher(f"error parsing regexp: {_finding(problem)}") from problem


def _finding(problem: Exception) -> str:
    said = problem.args[0] if problem.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    what, _, where = text.partition(": ")
    shown = FINDINGS.get(what, what)
    return f"{shown}: `{where}`" if where else shown


def all_hold(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Tell whether a label set satisfies every matcher."""
    return all(each.holds(labels.get(each.name, "")) for each in matchers)


def show(matchers: Iterable[Matcher]) -> str:
    """Return matchers in braces."""
    return "{" + ",".join(str(each) for each in matchers) + "}"


def in_order(matchers: Iterable[Matcher]) -> Matchers:
    """Return matchers by name, value and kind."""
    return tuple(sorted(matchers, key=Matcher.order))
