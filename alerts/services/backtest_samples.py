"""Answers the queries of a rule at the times of a grid: each query is asked over a stretch of them at once.

Loads the query kernels, so it is imported by name and only where rules are evaluated (`alerts.rules.asking`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from alerts.models import Rule
from alerts.rules import asking
from alerts.rules.asking import Row
from alerts.rules.queries import compiled
from metrics.promql.rolling import NOTE
from metrics.promql.types import QueryError, QueryResult
from metrics.selectors import TooBusy, range_query

# Times that are asked about at once: a day of minutes. Fewer where a query reads too much for one answer.
STRETCH = 1440
# What depends on the range that is asked for has to be asked time by time.
OF_THE_RANGE = ("start()", "end()", "step()", "range()")
# Ranges that may fail before the rest of a query is called failed; a failed one is halved.
MOST_FAILURES = 400
# Points a series that quantiles are taken of.
MOST_POINTS = 5000
ROLLED_UP = "samples of some of these times are kept in rolled-up form only: there the result is near, not exact"
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grid:
    """The times a rule is evaluated at, as its queries see them, in milliseconds."""

    start_ms: int
    step_ms: int
    ticks: int

    def index(self, at_ms: int) -> int | None:
        """Return the place of a time in the grid, None where it is between two."""
        place, rest = divmod(at_ms - self.start_ms, self.step_ms)
        return place if not rest and 0 <= place < self.ticks else None

    def at_ms(self, index: int) -> int:
        """Return the time at a place."""
        return self.start_ms + index * self.step_ms


@dataclass(slots=True)
class Stretch:
    """The answers of one query at consecutive times."""

    first: int
    ticks: int
    labels: list[dict[str, str]]
    values: npt.NDArray[np.float64]
    present: Bools
    error: Exception | None = None

    def rows(self, place: int) -> list[Row]:
        """Return what the query answers at a time; raises what it raised."""
        if self.error is not None:
            raise self.error
        column = self.values[:, place]
        return [Row(self.labels[i], float(column[i])) for i in np.flatnonzero(self.present[:, place]).tolist()]


@dataclass(slots=True)
class Past:
    """The store, asked about many times at once; the times are asked about in their order."""

    grid: Grid
    stretch_ticks: int = STRETCH
    notes: set[str] = field(default_factory=set)
    _kept: dict[str, Stretch] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)
    _apart: dict[str, bool] = field(default_factory=dict)

    def instant(self, query: str, at_ms: int) -> list[Row]:
        """Answer a query at a time, as `asking.instant` does."""
        index = self.grid.index(at_ms)
        if index is None or self.is_apart(query):
            return asking.instant(query, at_ms)
        stretch = self.stretch(query, index)
        return stretch.rows(index - stretch.first)

    def is_apart(self, query: str) -> bool:
        """Say whether a query answers differently when it is asked about many times at once."""
        found = self._apart.get(query)
        if found is None:
            packed = "".join(query.split())
            found = self._apart[query] = any(word in packed for word in OF_THE_RANGE)
        return found

    def stretch(self, query: str, index: int) -> Stretch:
        """Return the answers of a query around a time; a stretch begins where the one before it ended."""
        kept = self._kept.get(query)
        if kept is None or not kept.first <= index < kept.first + kept.ticks:
            first = index - index % self.stretch_ticks
            kept = self._kept[query] = self._read(query, first, min(self.stretch_ticks, self.grid.ticks - first), index)
        return kept

    def _read(self, query: str, first: int, ticks: int, index: int) -> Stretch:
        """Read the answers at some times, or at fewer of them around the one that is asked about."""
        while True:
            try:
                return self._asked(query, first, ticks)
            except TooBusy:
                raise
            except ValueError as error:
                failures = self._failures[query] = self._failures.get(query, 0) + 1
                if ticks == 1 or failures > MOST_FAILURES:
                    return Stretch(first, ticks, [], np.empty((0, ticks)), np.empty((0, ticks), np.bool_), error)
                half = ticks // 2
                first, ticks = (first, half) if index < first + half else (first + half, ticks - half)

    def _asked(self, query: str, first: int, ticks: int) -> Stretch:
        start_ms, end_ms = self.grid.at_ms(first), self.grid.at_ms(first + ticks - 1)
        result = range_query(query, start_ms=start_ms, end_ms=end_ms, step_ms=self.grid.step_ms)
        _refuse_other_types(result)
        if NOTE in result.infos:
            self.notes.add(ROLLED_UP)
        labels = [_nameless(each) for each in result.labels or [{}]]
        shape = (len(labels), ticks)
        present = np.asarray(result.present, np.bool_)
        if present.shape != shape:
            return Stretch(first, ticks, [], np.empty((0, ticks)), np.empty((0, ticks), np.bool_))
        return Stretch(first, ticks, labels, np.asarray(result.values, np.float64), present)


def _refuse_other_types(result: QueryResult) -> None:
    if result.range_vector is not None or result.type not in ("vector", "scalar", "matrix"):
        raise QueryError(f"a rule needs a vector or a number, not a {result.type}")


def _nameless(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name != "__name__"}


def past_of(grid: Grid) -> Past:
    """Return the store as it was on a grid."""
    return Past(grid)


def quantiles_of(rule: Rule, start_at: datetime, end_at: datetime, quantiles: Sequence[float]) -> list[float]:
    """Return rounded quantiles of what a threshold rule compares, on the stricter side of its threshold."""
    query = compiled(rule)
    lower = query.operator in ("<", "<=")
    step_ms = max(60_000, round((end_at - start_at).total_seconds() * 1000) // MOST_POINTS)
    try:
        result = range_query(
            query.expression, start_ms=round(start_at.timestamp() * 1000), end_ms=round(end_at.timestamp() * 1000),
            step_ms=step_ms,
        )  # fmt: skip
    except ValueError:
        return []
    seen = np.asarray(result.values)[np.asarray(result.present, np.bool_)]
    seen = seen[np.isfinite(seen)]
    if not seen.size or query.operator in ("==", "!="):
        return []
    found = [float(f"{np.quantile(seen, 1 - q if lower else q):.3g}") for q in quantiles]
    return sorted({value for value in found if (value < query.threshold if lower else value > query.threshold)})
