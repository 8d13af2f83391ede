"""One query at one instant, as rules and templates ask it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from alerts.engine.templates.values import Sample
from metrics.native_histograms.model import Histogram
from metrics.promql.engine import evaluate
from metrics.promql.nodes import Aggregate, Binary, Call, Negate, Node, Subquery
from metrics.promql.types import QueryError, SeriesSource

# A query and when it is asked, to the label sets it answers; a value is a number or a histogram.
Ask = Callable[[str, int], list[Sample]]


def asking(source: SeriesSource, *, subquery_step_ms: int, experimental: bool = False) -> Ask:
    """Return what asks a source; a subquery without a step of its own takes this one."""
    return partial(_asked, source, subquery_step_ms, experimental)


def _asked(source: SeriesSource, subquery_step_ms: int, experimental: bool, query: str, at_ms: int) -> list[Sample]:
    stepless = ":]" in query.replace(" ", "")
    result = evaluate(
        query,
        start_ms=at_ms,
        end_ms=at_ms,
        step_ms=0,
        source=source,
        experimental=experimental,
        rewrite=partial(_stepped, step_ms=subquery_step_ms) if stepless else None,
    )
    if result.type not in ("vector", "scalar"):
        raise QueryError("rule result is not a vector or scalar")
    labels = result.labels or [{}]
    rows = []
    for place in range(len(result.values)):
        if result.present[place, 0]:
            native = None if result.histograms is None else result.histograms[place, 0]
            value = native if isinstance(native, Histogram) else float(result.values[place, 0])
            rows.append(Sample(labels[place], value))
    return rows


def _stepped(node: Node, step_ms: int) -> Node:
    """Give every subquery a step."""
    again = partial(_stepped, step_ms=step_ms)
    match node:
        case Subquery(expr=expr, step_ms=own):
            return replace(node, expr=again(expr), step_ms=own or step_ms)
        case Call(arguments=arguments):
            return replace(node, arguments=tuple(again(one) for one in arguments))
        case Aggregate(expr=expr, parameter=parameter):
            return replace(node, expr=again(expr), parameter=None if parameter is None else again(parameter))
        case Binary(left=left, right=right):
            return replace(node, left=again(left), right=again(right))
        case Negate(expr=expr):
            return replace(node, expr=again(expr))
        case _:
            return node
