"""Asks the metrics app, and turns its columns into label sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from django.utils.module_loading import import_string

EVIDENCE_POINTS = 60
NO_HISTORY: Mapping[str, list[float]] = {"timestamps_ms": [], "values": []}


@dataclass(frozen=True, slots=True)
class Row:
    """One label set of an answer and its value."""

    labels: Mapping[str, str]
    value: float


# Answers a query at a time: what the store says, or what a backtest has read at once for many times.
Ask = Callable[[str, int], list[Row]]
# The values of each label set on a grid, NaN where there is none: times, and a row of values for each.
Columns: TypeAlias = tuple[npt.NDArray[np.int64], dict[frozenset[tuple[str, str]], npt.NDArray[np.float64]]]
# Answers a query on a grid of milliseconds: start, end (both included) and step.
Matrix = Callable[[str, int, int, int], Columns]


@cache
def _selector(name: str) -> Any:
    # By name: only a process that evaluates may load the query kernels (150 MB); the dispatcher imports this file too.
    return import_string(f"metrics.selectors.{name}")


def instant(query: str, at_ms: int) -> list[Row]:
    """Return the label sets a query answers at a time; raises ValueError (QueryError) where it cannot be answered."""
    result = _selector("instant_query")(query, at_ms=at_ms)
    if result.type not in ("vector", "scalar"):
        raise ValueError(f"a rule needs a vector or a number, not a {result.type}")
    labels = result.labels or [{}]
    return [
        Row({name: text for name, text in labels[i].items() if name != "__name__"}, float(result.values[i, 0]))
        for i in range(len(result.values))
        if result.present[i, 0]
    ]


def histories(
    expression: str, *, end_ms: int, window_seconds: int
) -> dict[frozenset[tuple[str, str]], dict[str, list[float]]]:
    """Return the values of every label set over the window before a time, as two small columns each."""
    step_ms = max(1000, window_seconds * 1000 // EVIDENCE_POINTS)
    start_ms = end_ms - step_ms * EVIDENCE_POINTS
    result = _selector("range_query")(expression, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
    found: dict[frozenset[tuple[str, str]], dict[str, list[float]]] = {}
    for i, labels in enumerate((result.labels or [{}])[: len(result.values)]):
        kept = result.present[i]
        found[frozenset((name, text) for name, text in labels.items() if name != "__name__")] = {
            "timestamps_ms": [int(at) for at in result.timestamps_ms[kept]],
            "values": [float(value) for value in result.values[i][kept]],
        }
    return found


def matrix(expression: str, start_ms: int, end_ms: int, step_ms: int) -> Columns:
    """Return what an expression was on a grid; raises ValueError (QueryError) where that cannot be answered."""
    result = _selector("range_query")(expression, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
    rows = {
        frozenset((name, text) for name, text in labels.items() if name != "__name__"): np.where(
            result.present[place], result.values[place], np.nan
        )
        for place, labels in enumerate((result.labels or [{}])[: len(result.values)])
    }
    return np.asarray(result.timestamps_ms, np.int64), rows
