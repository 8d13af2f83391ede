"""Leaves out the times at which nothing of a rule can change: every label set fires on, or is away.

Only for rules whose answer says no more than which label sets are there. While a label set fires on, its state machine
and the pipeline return what they were given; that is looked at once, at the second time it fires, and again at the last
time before it is gone, so that what the functions remember of it is what they would remember.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from aivillage_console.lib import clock
from alerts.models import Alert, Rule
from alerts.rules.asking import Row
from alerts.rules.queries import compiled, is_dynamic
from alerts.services.answers import Measured
from alerts.services.backtest_memory import Memory

PLAIN_KEYS = frozenset({"expr", "metric_path", "denominator_path", "condition", "threshold"})


class Stretch(Protocol):
    """The answers of one query at consecutive times."""

    first: int
    ticks: int
    labels: list[dict[str, str]]
    values: Any
    present: Any
    error: Exception | None

    def rows(self, place: int) -> list[Row]:
        """Return what the query answers at a time."""


class Past(Protocol):
    """Answers queries at the times of a grid."""

    grid: Any

    def instant(self, query: str, at_ms: int) -> list[Row]:
        """Answer a query at a time."""

    def is_apart(self, query: str) -> bool:
        """Say whether a query has to be asked time by time."""

    def stretch(self, query: str, index: int) -> Stretch:
        """Return the answers of a query around a time."""


def is_plain(rule: Rule) -> bool:
    """Say whether the answer of a rule is no more than its label sets: no levels, no labels that hold values."""
    if rule.kind not in ("promql", "threshold") or is_dynamic(rule.kind, rule.labels):
        return False
    if any("{{" in text for text in rule.all_labels.values()):
        return False
    more = {name for name, value in rule.spec.items() if name not in PLAIN_KEYS and value not in (None, "", [])}
    return not more or (more == {"no_data"} and rule.spec["no_data"] == "unknown")


@dataclass(slots=True)
class Known:
    """A stretch of one query, the fingerprints of its rows, and the places where it differs from the place before."""

    stretch: Stretch
    prints: list[str] | None  # None: two rows would make one alert, so that none may be left out.
    changes: list[int]
    places: dict[str, int]  # Of the fingerprints.

    def rows(self, place: int, wanted: Callable[[str], bool]) -> list[Row]:
        """Return the rows of a place whose fingerprints are wanted."""
        stretch, prints = self.stretch, self.prints
        if stretch.error is not None or prints is None:
            return stretch.rows(place)
        found = np.flatnonzero(stretch.present[:, place]).tolist()
        return [Row(stretch.labels[i], float(stretch.values[i, place])) for i in found if wanted(prints[i])]


@dataclass(slots=True)
class Calm:
    """Which label sets of a rule fire on, and when something is next to be done."""

    rule: Rule
    past: Past
    memory: Memory
    query: str = field(init=False)
    expression: str = field(init=False)
    _settled: dict[str, tuple[Alert, int]] = field(default_factory=dict)  # Since which place.
    _known: dict[str, Known] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compile the rule."""
        found = compiled(self.rule)
        self.query, self.expression = found.asked, found.expression

    @property
    def settled(self) -> frozenset[str]:
        """Return the label sets that hold and of which nothing is new."""
        return frozenset(self._settled)

    def ask(self, query: str, at_ms: int) -> list[Row]:
        """Answer a query without the label sets that are settled; the left side only for those that are known."""
        index = self.past.grid.index(at_ms)
        if index is None or query not in (self.query, self.expression):
            return self.past.instant(query, at_ms)
        known = self._of(query, index)
        place = index - known.stretch.first
        if query == self.query:
            return known.rows(place, lambda found: found not in self._settled)
        states = {state.fingerprint for state in self.memory.states(self.rule)}
        return known.rows(place, states.__contains__)

    def evaluated(self, index: int, judge: Callable[[], None]) -> int:
        """Evaluate the rule at a time, unless nothing is to be done; return the place of the next that matters."""
        known = self._of(self.query, index)
        place = index - known.stretch.first
        self._wake(known, place)
        if self._is_idle(known, place):
            return self._next(known, place)
        before = {found: alert.version for found, alert in self._firing(known, place)}
        judge()
        for found, alert in self._firing(known, place):
            # It was looked at while it fired, and nothing came of that.
            if before.get(found) == alert.version and self._stays(known, place, found):
                self._settled.setdefault(found, (alert, place))
        return self._next(known, place)

    def _of(self, query: str, index: int) -> Known:
        known = self._known.get(query)
        stretch = self.past.stretch(query, index)
        if known is None or known.stretch is not stretch:
            differs = (stretch.present[:, 1:] != stretch.present[:, :-1]).any(axis=0)
            changes = (np.flatnonzero(differs) + 1).tolist()
            prints = self._prints(stretch)
            places = {found: place for place, found in enumerate(prints or ())}
            known = self._known[query] = Known(stretch, prints, changes, places)
        return known

    def _prints(self, stretch: Stretch) -> list[str] | None:
        at = clock.at_seconds(self.past.grid.at_ms(stretch.first) / 1000)
        rows = [Row(labels, 0.0) for labels in stretch.labels]
        try:
            return [held.fingerprint for held in Measured(self.rule, at, lambda _query, _at_ms: rows).held]
        except ValueError:
            return None

    def _firing(self, known: Known, place: int) -> Sequence[tuple[str, Alert]]:
        """Return the alerts that fire and whose label sets are there and not settled."""
        if known.prints is None or known.stretch.error is not None:
            return []
        prints = (known.prints[i] for i in np.flatnonzero(known.stretch.present[:, place]).tolist())
        alerts = ((found, self.memory.firing(found)) for found in prints if found not in self._settled)
        return [(found, alert) for found, alert in alerts if alert is not None]

    def _stays(self, known: Known, place: int, found: str) -> bool:
        return place + 1 < known.stretch.ticks and bool(known.stretch.present[known.places[found], place + 1])

    def _wake(self, known: Known, place: int) -> None:
        """Look again at what is gone at the next time, or at all of it at the end of the stretch."""
        for found, (alert, since) in list(self._settled.items()):
            if self._stays(known, place, found):
                continue
            del self._settled[found]
            values = known.stretch.values[known.places[found], since : place + 1]
            self.memory.peak(alert, float(np.nanmax(values)))
            self.memory.peak(alert, float(np.nanmin(values)))

    def _is_idle(self, known: Known, place: int) -> bool:
        nothing_known = not self.memory.states(self.rule) and not self.rule.last_error
        return nothing_known and known.stretch.error is None and not known.stretch.present[:, place].any()

    def _next(self, known: Known, place: int) -> int:
        stretch = known.stretch
        unsettled = len(self.memory.states(self.rule)) > len(self._settled)
        if unsettled or self.rule.last_error or stretch.error is not None:
            return stretch.first + place + 1
        following = bisect_right(known.changes, place)
        change = known.changes[following] if following < len(known.changes) else stretch.ticks
        if change == stretch.ticks and not self._settled:
            return stretch.first + stretch.ticks
        # The time before a change, where what goes is looked at for the last time, or the last time of the stretch.
        return stretch.first + max(change - 1, place + 1)
