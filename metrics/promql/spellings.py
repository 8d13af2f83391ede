"""Metrics that go by two names: whichever a service sends and whichever a query asks, the series are found.

Nothing is renamed when it is stored. A query for either name reads both and answers under the name that was asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from metrics.promql.types import Labels, Matcher, PartedSource, SeriesColumns, SeriesSource

NAME = "__name__"
# The old beginning of a name, and the present one.
PREFIXES = (("p2p_mesh_", "p2p_"), ("edge_computing_", "edge_"))
# Tells apart series that differ in nothing but the spelling of their name.
SPELLING_LABEL = "spelling"
Worked = TypeVar("Worked")


def canonical(name: str) -> str:
    """Return the present spelling of a name."""
    for old, new in PREFIXES:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def spellings(name: str) -> tuple[str, ...]:
    """Return every spelling of a name, the present one first."""
    present = canonical(name)
    for old, new in PREFIXES:
        if present.startswith(new):
            return present, old + present.removeprefix(new)
    return (present,)


@dataclass(frozen=True, slots=True)
class Spelled:
    """A source that reads every spelling of the name a selector asks for."""

    source: SeriesSource

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series, under the name that was asked."""
        wider, name = widened(matchers)
        columns = self.source.select(wider, t_min_ms, t_max_ms)
        return columns if name is None else _named(columns, name)

    def each(
        self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int, work: Callable[[SeriesColumns], Worked]
    ) -> list[Worked]:
        """Work on the matching series part by part; where a name has two spellings, on all of them at once."""
        _, name = widened(matchers)
        if name is None and isinstance(self.source, PartedSource):
            return self.source.each(matchers, t_min_ms, t_max_ms, work)
        return [work(self.select(matchers, t_min_ms, t_max_ms))]


def widened(matchers: Sequence[Matcher]) -> tuple[Sequence[Matcher], str | None]:
    """Return the matchers for every spelling, and the name that was asked where there is more than one."""
    for place, matcher in enumerate(matchers):
        if matcher.name == NAME and matcher.op == "=":
            names = spellings(matcher.value)
            if len(names) == 1:
                return matchers, None
            either = Matcher(NAME, "=~", "|".join(map(_literal, names)))
            return [*matchers[:place], either, *matchers[place + 1 :]], matcher.value
    return matchers, None


def _literal(name: str) -> str:
    """Return a pattern for this very name, whatever letters it has."""
    return "".join(letter if letter.isalnum() or letter in "_:" else f"\\{letter}" for letter in name)


def _named(columns: SeriesColumns, name: str) -> SeriesColumns:
    own = {_key(labels) for labels in columns.labels if labels.get(NAME) == name}
    return replace(columns, labels=[_renamed(labels, name, own) for labels in columns.labels])


def _renamed(labels: Labels, name: str, own: set[frozenset[tuple[str, str]]]) -> dict[str, str]:
    stored = labels.get(NAME, "")
    if stored == name:
        return dict(labels)
    renamed = {**labels, NAME: name}
    if _key(labels) in own:
        renamed[SPELLING_LABEL] = stored
    return dict(sorted(renamed.items()))


def _key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset((label, text) for label, text in labels.items() if label != NAME)
