"""What each tab of Explore shows of one answer."""

import math
from dataclasses import dataclass
from typing import Any

from metrics import selectors
from metrics.maths.charting import Chart, full_name, lines_of, newest_histograms, statistics
from metrics.maths.heat import HeatMap, heat_of
from metrics.native_histograms.text import described, general
from metrics.promql.explaining import steps_of
from metrics.promql.paths import duration_text, kind_of
from metrics.promql.questions import below_quantile, format, selector_name  # noqa: A004
from metrics.promql.types import QueryResult

TABLE_ROWS = 200
HEAT_COLUMNS = 60
# Two samples of a series that comes once a minute: with fewer nothing rises.
HEAT_SECONDS = 120
MOST_EXEMPLARS = 100
EDGE_LABELS = 8
# A gap this long beyond two steps means that nothing arrives any more.
STALE_SECONDS = 60


def unit_of(query: str) -> str:
    """Guess the unit of an answer from the names in its query."""
    rate = any(f"{name}(" in query for name in ("rate", "irate", "increase", "deriv"))
    if "bytes" in query:
        return "bytes/s" if rate else "bytes"
    if "seconds" in query and (not rate or "histogram_quantile(" in query):
        return "seconds"
    return "percent" if "percent" in query else ""


def answer_of(query: str, window: dict[str, Any]) -> QueryResult:
    """Evaluate a query over the window."""
    return selectors.range_query(query, start_ms=window["start_ms"], end_ms=window["end_ms"],
                                 step_ms=window["step_s"] * 1000)  # fmt: skip


def chart_of(query: str, result: QueryResult, window: dict[str, Any], limit: int) -> Chart:
    """Return the answer as a chart of at most so many lines."""
    lines, hidden = lines_of(result, limit)
    times = [at / 1000 for at in result.timestamps_ms.tolist()]
    return Chart("explore", query, unit_of(query), times, lines, window["start_ms"] / 1000, window["end_ms"] / 1000,
                 hidden=hidden)  # fmt: skip


def series_context(query: str, result: QueryResult, window: dict[str, Any], tab: str) -> dict[str, Any]:
    """Return what the graph and the table show."""
    chart = chart_of(query, result, window, TABLE_ROWS) if tab == "table" else chart_of(query, result, window, 12)
    histograms = [{"name": name, "count": histogram.count, "sum": histogram.sum, "text": described(histogram)}
                  for name, histogram in newest_histograms(result, TABLE_ROWS)]  # fmt: skip
    only_histograms = bool(histograms) and all(value is None for line in chart.series for value in line["values"])
    return {"chart": chart, "legend": [{**line, **statistics(line["values"])} for line in chart.series],
            "histograms": histograms, "only_histograms": only_histograms, "total": len(result.labels),
            "exemplars": _exemplars(query, window) if tab == "graph" and chart.series else None}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExemplarShown:
    """One exemplar as a dot and as a row."""

    number: int
    at: float
    value: float
    series: str
    trace_id: str
    labels: str

    def payload(self) -> dict[str, Any]:
        """Return what the script draws."""
        return {"number": self.number, "at": self.at, "value": self.value, "text": self.trace_id or self.labels}


def _exemplars(query: str, window: dict[str, Any]) -> dict[str, Any] | None:
    """Return the newest exemplars of the series a query reads, and how many more there are."""
    found = selectors.exemplars_of(query, start_ms=window["start_ms"], end_ms=window["end_ms"])
    rows = [(row, full_name(labels)) for labels, each in found for row in each if math.isfinite(row.value)]
    if not rows:
        return None
    rows.sort(key=lambda pair: -pair[0].timestamp_ms)
    shown = [
        ExemplarShown(number, row.timestamp_ms / 1000, row.value, name,
                      row.labels.get("trace_id") or row.labels.get("traceID", ""),
                      ", ".join(f"{key}={value}" for key, value in sorted(row.labels.items())))
        for number, (row, name) in enumerate(rows[:MOST_EXEMPLARS], 1)
    ]  # fmt: skip
    return {"rows": shown, "more": len(rows) - len(shown), "payload": [row.payload() for row in shown]}


def heat_query(query: str, step_seconds: int) -> str:
    """Return the query of the buckets behind a query: what its quantile is taken of, or how a metric's own rise."""
    buckets = below_quantile(query)
    name = selector_name(buckets)
    if not name:
        return buckets
    known = selectors.declared([name]).get(name, selectors.Declared())
    kind, family = kind_of(name, known.type, set(selectors.metric_names()))
    window = duration_text(max(step_seconds, HEAT_SECONDS))
    if kind == "histogram":
        return f"sum by (le) (increase({family}_bucket{buckets.removeprefix(name)}[{window}]))"
    return f"sum(increase({buckets}[{window}]))" if kind == "native" else buckets


def heat_context(query: str, window: dict[str, Any]) -> dict[str, Any]:
    """Return the heat map of the histogram a query reads."""
    asked = heat_query(query, window["step_s"])
    result = answer_of(asked, window)
    heat = heat_of(result)
    context: dict[str, Any] = {"heat_query": asked, "result": result, "unit": unit_of(query)}
    if heat is None or not heat.rows:
        return context | {"heat": None, "holds_buckets": heat is not None}
    return context | {"heat": heat, **_drawn(heat)}


def edge_text(edge: float) -> str:
    """Return the bound of a bucket as a reader wants it, with few digits."""
    return general(float(f"{edge:.4g}")) if math.isfinite(edge) else general(edge)


def _drawn(heat: HeatMap) -> dict[str, Any]:
    """Return cells as rectangles, ten units each, the highest bucket on top."""
    times = [at / 1000 for at in heat.times_ms]
    names = [f"{edge_text(row.low)} to {edge_text(row.high)}" for row in heat.rows]
    cells = [
        {"x": column * 10, "y": (len(heat.rows) - 1 - place) * 10, "level": level}
        for place, levels in enumerate(heat.levels())
        for column, level in enumerate(levels)
        if level
    ]
    every = math.ceil(len(names) / EDGE_LABELS)
    top, place, column = max(
        (count, place, column) for place, row in enumerate(heat.rows) for column, count in enumerate(row.counts)
    )
    table = [(at, [row.counts[column] for row in heat.rows]) for column, at in reversed(list(enumerate(times)))]
    return {"cells": cells, "bucket_names": names, "edges": [edge_text(row.high) for row in heat.rows][::-1][::every],
            "width": len(times) * 10, "height": len(heat.rows) * 10, "times": (times[0], times[-1]), "heat_rows": table,
            "hottest": (top, names[place], times[column]),
            "payload": {"names": names, "times": times, "counts": [row.counts for row in heat.rows]}}  # fmt: skip


def explain_context(query: str, window: dict[str, Any]) -> dict[str, Any]:
    """Evaluate a query and return what each part of it cost."""
    result, tape = selectors.explained_query(query, start_ms=window["start_ms"], end_ms=window["end_ms"],
                                             step_ms=window["step_s"] * 1000)  # fmt: skip
    steps, more = steps_of(query, tape)
    total = steps[0].total_ms if steps else 0.0
    return {"result": result, "formatted": format(query), "steps": steps, "more_steps": more, "total_ms": total,
            "samples": steps[0].samples if steps else 0, "grid": int(result.timestamps_ms.size),
            "slowest": max((step.own_ms for step in steps), default=0.0)}  # fmt: skip
