"""The query of a rule as pages draw it: its left side over time, and the threshold it is held against."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.engine.threshold import BadThreshold
from alerts.models import Rule, RuleKind
from alerts.rule_pages.pictures import merged
from alerts.rules.queries import COMPILERS, compiled
from metrics import selectors as metrics
from metrics.maths.charting import Chart, Threshold, lines_of
from metrics.promql.types import QueryError

POINTS = 240
UNITS = (("percent", "percent"), ("bytes", "bytes"), ("seconds", "seconds"))


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked; `expression` is what is compared, where the query ends in a comparison."""

    query: str
    expression: str
    operator: str
    threshold: float | None


def measured(rule: Rule) -> Query | None:
    """Return the query of a rule over samples, None for one that asks other rows; ValueError for one that is wrong."""
    if rule.kind == RuleKind.RECORDING:
        return Query(str(rule.spec.get("expr", "")), "", "", None)
    if rule.kind not in COMPILERS:
        return None
    found = compiled(rule)
    limit = found.threshold if found.operator and math.isfinite(found.threshold) else None
    return Query(found.query, found.expression, found.operator, limit)


def chart_of(rule: Rule, *, start: float, end: float, title: str) -> tuple[Chart | None, str]:
    """Return the chart of a rule's query with its threshold, or why there is none."""
    try:
        query = measured(rule)
    except BadThreshold as error:
        return None, f"The rule cannot be compiled: {error.field}: {error}"
    if query is None:
        return None, "A rule of this kind asks no samples, so there is no line to draw."
    step_ms = max(5_000, int((end - start) * 1000 / POINTS) // 5000 * 5000)
    # Counted back from the end: what came just now is the last point, however wide the steps.
    end_ms = int(end * 1000)
    start_ms = end_ms - int((end - start) * 1000) // step_ms * step_ms
    try:
        result = metrics.range_query(query.expression or query.query, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
    except (QueryError, ValueError) as error:
        return None, f"The query cannot be evaluated: {error}"
    lines, hidden = lines_of(result)
    if not lines:
        return None, _nothing(query)
    limit = Threshold(query.threshold, query.operator) if query.threshold is not None else None
    times = [t / 1000 for t in result.timestamps_ms.tolist()]
    return Chart("rule-chart", title, unit_of(query.query), times, lines, start_ms / 1000, end_ms / 1000, limit,
                 hidden=hidden), ""  # fmt: skip


def _nothing(query: Query) -> str:
    if query.expression or not query.query:
        return "No series answers the query in this range: the metric may have another name, or nobody sends it yet."
    return "The query answered nothing in this range, so its condition never held."


def unit_of(query: str) -> str:
    """Return the unit the names in a query speak of."""
    return next((unit for word, unit in UNITS if word in query), "")


def spans_of(
    story: Sequence[tuple[int, datetime, str]], open_since: Sequence[tuple[int, datetime]], start: float, end: float
) -> list[tuple[float, float]]:
    """Return when any alert fired, from the lines (alert, time, kind) of their stories and those that are open."""
    running: dict[int, float] = {}
    seen: set[int] = set()
    spans: list[tuple[float, float]] = []
    for alert, at, kind in story:
        if kind == "resolved":
            # An end without a beginning: it began before the range.
            began = running.pop(alert, None if alert in seen else start)
            if began is not None:
                spans.append((began, at.timestamp()))
        else:
            running.setdefault(alert, at.timestamp())
        seen.add(alert)
    for alert, at in open_since:
        if alert not in seen:
            running[alert] = max(start, at.timestamp())
    return merged([*spans, *((began, end) for began in running.values())])
