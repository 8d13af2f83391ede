"""What a rule would have done: the live path's own functions over the store's past, with a clock that is told.

Nothing is written: whatever would change a row while a backtest runs is refused.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from math import ceil
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.module_loading import import_string

from aivillage_console.lib import clock
from alerts.engine.backtest import Backtest
from alerts.models import Rule
from alerts.models.rules import RuleKind
from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.queries import compiled
from alerts.services.answers import answer
from alerts.services.backtest_calm import Calm, is_plain
from alerts.services.backtest_memory import Memory
from alerts.services.backtest_quiet import Quieting, history_of
from alerts.services.backtest_telling import firings_of
from alerts.services.dynamic import RememberedThresholds
from alerts.services.evaluate import judge, standing_of
from alerts.services.labelsets import Tick
from alerts.services.past_standings import PastStandings

Progress = Callable[[float], bool]
Clock = Callable[[], datetime]
# Times that are evaluated at most, the newest of them; kinds that are asked time by time take fewer.
MOST_TICKS, MOST_ASKED_TICKS = 600_000, 50_000
MOST_FIRINGS, MOST_ERRORS = 20_000, 20
TELL_EVERY_SECONDS = 0.1
WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "COPY", "MERGE")


class Cancelled(Exception):
    """Somebody did not want to wait for the end."""


class NoBacktest(ValueError):
    """A rule that cannot be tried on the past; the text says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """The times a rule is evaluated at: `ticks` of them from one on, an interval apart."""

    first: float
    interval_seconds: int
    ticks: int
    truncated: bool = False

    def at(self, index: int) -> float:
        """Return a time by its place."""
        return self.first + index * self.interval_seconds


def backtest(
    rule: Rule,
    *,
    start_at: datetime,
    end_at: datetime,
    progress: Progress | None = None,
    quieting: Quieting = "then",
    zone: ZoneInfo | None = None,
) -> Backtest:
    """Return what a rule, stored or not, would have done between two times; both ends are evaluated where on the grid.

    `progress` is told how much is done, 0 to 1, and returns False to stop: then Cancelled is raised. `quieting` takes
    silences as they were, as they are now, or none. Raises NoBacktest.
    """
    began = monotonic()
    replay = Replay(rule, span_of(rule, start_at, end_at), quieting=quieting)
    while not replay.advance(until=monotonic() + TELL_EVERY_SECONDS):
        if progress is not None and not progress(replay.progress):
            raise Cancelled
    return dataclasses.replace(replay.found(start_at, end_at, zone=zone), seconds=monotonic() - began)


def span_of(rule: Rule, start_at: datetime, end_at: datetime) -> Span:
    """Return the times of the group's grid between two times; of too many, the newest."""
    if rule.kind == RuleKind.RECORDING:
        raise NoBacktest("A recording rule makes no alert: there is nothing to be told of.")
    interval = rule.group.interval_seconds
    first, last = ceil(start_at.timestamp() / interval), int(end_at.timestamp() // interval)
    ticks, most = last - first + 1, MOST_ASKED_TICKS if rule.kind in ASKED_KINDS.slots else MOST_TICKS
    if ticks < 1:
        raise NoBacktest(f"No time of the grid of {interval} s lies between these two: take a longer range.")
    return Span(float(max(first, last - most + 1) * interval), interval, min(ticks, most), ticks > most)


@contextmanager
def nothing_written() -> Iterator[None]:
    """Refuse every statement that would change a row."""

    def refused(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.lstrip()[:10].upper().startswith(WRITES):
            raise AssertionError(f"a backtest would have written: {sql[:200]}")
        return execute(sql, *rest)

    with connection.execute_wrapper(refused):
        yield


@cache
def _samples(name: str) -> Any:
    # By name: only a process that evaluates may load the query kernels.
    return import_string(f"alerts.services.backtest_samples.{name}")


class Replay:
    """One rule on its way through the past."""

    def __init__(self, rule: Rule, span: Span, *, quieting: Quieting = "then") -> None:
        """Prepare a copy of the rule that has never been evaluated, and what kept alerts quiet."""
        self.span, self.errors = span, dict[str, None]()
        self.seconds, self._index = 0.0, 0
        self.rule, self.group = _untouched(rule), rule.group
        offset_ms = round(self.group.query_offset_seconds * 1000)
        grid = _samples("Grid")(round(span.first * 1000) - offset_ms, span.interval_seconds * 1000, span.ticks)
        self.past = _samples("past_of")(grid)
        begin, end = clock.at_seconds(span.first), clock.at_seconds(span.at(span.ticks - 1))
        self.thresholds, self.standings = RememberedThresholds(), PastStandings(end)
        history = history_of(begin, end, but_rule=rule.pk, quieting=quieting)
        self.memory = Memory(history, span.interval_seconds, lower_is_worse=_lower_is_worse(rule))
        kind = ASKED_KINDS.get(rule.kind) if rule.kind in ASKED_KINDS.slots else None
        self.cases = kind.between(rule.spec, begin, end) if kind and kind.between else None
        plain = is_plain(rule) and not self.past.is_apart(compiled(rule).asked)
        self.calm = Calm(self.rule, self.past, self.memory) if plain else None

    @property
    def progress(self) -> float:
        """Return how much is done, 0 to 1."""
        return self._index / self.span.ticks

    def advance(self, *, until: float = float("inf")) -> bool:
        """Go on until the end or a time of the monotonic clock; return whether the end is reached."""
        began = monotonic()
        with nothing_written():
            while self._index < self.span.ticks and monotonic() < until:
                at = clock.at_seconds(self.span.at(self._index))
                self.memory.work_until(at)
                self._index = self._evaluated(self._index, at)
            over = self._index >= self.span.ticks
            if over:
                self.memory.work_until(clock.at_seconds(self.span.at(self.span.ticks - 1)), inclusive=True)
        self.seconds += monotonic() - began
        return over

    def found(self, start_at: datetime, end_at: datetime, *, zone: ZoneInfo | None = None) -> Backtest:
        """Return what was found; times of night are those of the zone."""
        firings = firings_of(self.memory, zone=zone)
        return Backtest(
            start_at=start_at.timestamp(), end_at=end_at.timestamp(), ticks=self.span.ticks,
            firings=firings[:MOST_FIRINGS], seconds=self.seconds,
            errors=(*self.errors, *sorted(self.past.notes)),
            truncated=self.span.truncated or len(firings) > MOST_FIRINGS,
        )  # fmt: skip

    def _evaluated(self, index: int, at: datetime) -> int:
        """Evaluate the rule at a time; return the place of the next one that matters."""
        calm = self.calm
        if calm is not None:
            return calm.evaluated(index, lambda: self._judged(at, calm.ask, calm.settled))
        self._judged(at, self.past.instant, frozenset())
        return index + 1

    def _judged(self, at: datetime, ask: Any, settled: frozenset[str]) -> None:
        def asked() -> tuple[int, str]:
            known = self.memory.states(self.rule)
            found = answer(
                self.rule, at, ask=ask, known=lambda: {state.fingerprint for state in known}, states=lambda: known,
                thresholds=self.thresholds, standings=self.standings, cases=self.cases,
            )  # fmt: skip
            return standing_of(Tick(self.rule, at, found, self.memory, settled), self.group)

        if not judge(self.rule, at, asked, ledger=self.memory) and len(self.errors) < MOST_ERRORS:
            self.errors[f"{self.rule.last_error} (first at {at:%Y-%m-%d %H:%M:%S} UTC)"] = None


def _untouched(rule: Rule) -> Rule:
    """Return a copy that was never evaluated, so that what the live rule knows of itself stays out of it."""
    fresh = copy.copy(rule)
    fresh.failed_evaluations, fresh.last_error, fresh.last_evaluated_at = 0, "", None
    return fresh


def _lower_is_worse(rule: Rule) -> bool:
    return rule.kind not in ASKED_KINDS.slots and compiled(rule).operator in ("<", "<=")
