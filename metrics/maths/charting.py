"""Turns query results into what a chart, its table twin and its summary need; no I/O."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics.native_histograms.model import Histogram
from metrics.promql.types import QueryResult

COLOURS = 6
MAX_LINES = 12


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit drawn across the chart; `op` says on which side the breach lies."""

    value: float
    op: str = ">"


@dataclass(frozen=True, slots=True)
class Band:
    """Where values are meant to lie, drawn as a soft fill with its name."""

    low: float
    high: float
    name: str


@dataclass(slots=True)
class Chart:
    """One chart; times are Unix seconds (or, where the axis says so, steps) and a missing value is None."""

    id: str
    title: str
    unit: str
    times: list[float]
    series: list[dict[str, Any]]
    start: float
    end: float
    threshold: Threshold | None = None
    marks: list[dict[str, Any]] = field(default_factory=list)
    hidden: int = 0
    y_max: float | None = None
    problem: str = ""
    axis: str = "time"
    band: Band | None = None
    grows: bool = False
    widest: float | None = None

    @property
    def empty(self) -> bool:
        """Tell whether no series has a point."""
        return not self.series

    def first_at(self) -> float | None:
        """Return when the first point lies."""
        for place, at in enumerate(self.times):
            if any(line["values"][place] is not None for line in self.series):
                return at
        return None

    def payload(self) -> dict[str, Any]:
        """Return what the script draws."""
        limit = {"value": self.threshold.value, "op": self.threshold.op} if self.threshold else None
        band = {"low": self.band.low, "high": self.band.high, "name": self.band.name} if self.band else None
        return {
            "title": self.title, "unit": self.unit, "times": self.times, "series": self.series, "from": self.start,
            "to": self.end, "threshold": limit, "marks": self.marks, "y_zero": self._from_zero(), "y_max": self.y_max,
            "axis": self.axis, "band": band, "grows": self.grows, "widest": self.widest,
        }  # fmt: skip

    def _from_zero(self) -> bool:
        values = [value for line in self.series for value in line["values"] if value is not None]
        return bool(values) and min(values) >= 0

    def rows(self) -> list[tuple[float, list[float | None]]]:
        """Return the table twin, newest first."""
        columns = [line["values"] for line in self.series]
        return [(at, [column[i] for column in columns]) for i, at in reversed(list(enumerate(self.times)))]

    def breaches(self, value: float) -> bool:
        """Tell whether a value lies on the wrong side of the threshold."""
        if self.threshold is None:
            return False
        limit = self.threshold.value
        return {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}.get(
            self.threshold.op, False
        )

    def highest(self) -> tuple[str, float, float] | None:
        """Return name, value and time of the largest point."""
        points = [
            (value, at, line["name"])
            for line in self.series
            for at, value in zip(self.times, line["values"], strict=True)
            if value is not None and math.isfinite(value)
        ]
        if not points:
            return None
        value, at, name = max(points)
        return name, value, at

    def breach_seconds(self) -> float:
        """Return how long any series was beyond the threshold."""
        if self.threshold is None or len(self.times) < 2:
            return 0.0
        step = self.times[1] - self.times[0]
        columns = [line["values"] for line in self.series]
        bad = sum(any(c[i] is not None and self.breaches(c[i]) for c in columns) for i in range(len(self.times)))
        return bad * step


def series_names(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Name each series by the labels that tell it from the others."""
    if not labels:
        return []
    shared = set(labels[0].items()).intersection(*(set(each.items()) for each in labels[1:]))
    return [_name(each, shared if len(labels) > 1 else set()) for each in labels]


def _name(labels: Mapping[str, str], shared: set[tuple[str, str]]) -> str:
    own = {key: value for key, value in labels.items() if (key, value) not in shared and key != "__name__"}
    if not own:
        return labels.get("__name__", "value")
    if len(own) == 1:
        return next(iter(own.values())) or "value"
    return ", ".join(f"{key}={value}" for key, value in sorted(own.items()))


def full_name(labels: Mapping[str, str]) -> str:
    """Return the series as a selector would write it."""
    inner = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}" if inner or "__name__" not in labels else labels["__name__"]


def lines_of(result: QueryResult, limit: int = MAX_LINES) -> tuple[list[dict[str, Any]], int]:
    """Return the chart's series, coloured by sorted key so that colours do not jump, and how many were left out."""
    names = series_names(result.labels)
    order = sorted(range(len(names)), key=lambda i: full_name(result.labels[i]))
    lines = []
    for place, i in enumerate(order[:limit]):
        lines.append(
            {"name": names[i], "full": full_name(result.labels[i]), "colour": place % COLOURS + 1,
             "dashed": place >= COLOURS, "values": _numbers(result, i)}
        )  # fmt: skip
    return lines, max(0, len(order) - limit)


def _numbers(result: QueryResult, row: int) -> list[float | None]:
    """Return the numbers of a row; what is not there, not finite or a histogram is None."""
    numbers = [
        float(v) if ok and math.isfinite(v) else None
        for v, ok in zip(result.values[row], result.present[row], strict=True)
    ]
    if result.histograms is None:
        return numbers
    return [number if cell is None else None for number, cell in zip(numbers, result.histograms[row], strict=True)]


def newest_histograms(result: QueryResult, limit: int) -> list[tuple[str, Histogram]]:
    """Return the newest native histogram of each series that has one, by name."""
    if result.histograms is None:
        return []
    found = [
        (full_name(labels), next((cell for cell in row[::-1] if cell is not None), None))
        for labels, row in zip(result.labels, result.histograms, strict=True)
    ]
    return [(name, cell) for name, cell in sorted(found, key=lambda pair: pair[0]) if cell is not None][:limit]


def statistics(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return last, minimum, average and maximum of what is there."""
    known = [value for value in values if value is not None]
    if not known:
        return {"last": None, "low": None, "mean": None, "high": None}
    return {"last": values[-1], "low": min(known), "mean": sum(known) / len(known), "high": max(known)}


def merged(results: Sequence[tuple[str, QueryResult]]) -> tuple[list[float], list[dict[str, Any]]]:
    """Join results over the same grid into one set of lines, each under its given name."""
    lines: list[dict[str, Any]] = []
    times: list[float] = []
    for name, result in results:
        times = times or [t / 1000 for t in result.timestamps_ms.tolist()]
        own, _ = lines_of(result)
        for line in own:
            shown = name if len(own) == 1 else f"{name} {line['name']}".strip()
            lines.append({**line, "name": shown, "colour": len(lines) % COLOURS + 1, "dashed": len(lines) >= COLOURS})
    return times, lines
