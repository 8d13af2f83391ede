"""A plan whose selectors all look at one instant, so that its answer is the same at any other."""

import re
from dataclasses import replace

from metrics.promql.nodes import Aggregate, Binary, Call, Negate, Node, RangeSelector, Selector, Subquery, children

# Their answer depends on when they are asked, whatever their arguments look at.
DEPENDENT_ON_TIME = frozenset({
    "days_in_month", "day_of_month", "day_of_week", "day_of_year", "end", "hour", "minute", "month", "year",
    "predict_linear", "range", "start", "step", "time", "timestamp",
})  # fmt: skip
OF_THE_QUERY = re.compile(r"(start|end|range|step)\(\)")  # noqa: TID251 - our own constant, linear


def depends_on_time(node: Node) -> bool:
    """Tell whether the answer depends on when it is asked even if all selectors look at one instant."""
    if isinstance(node, Call) and node.name in DEPENDENT_ON_TIME:
        return True
    return any(depends_on_time(child) for child in children(node))


def depends_on_query(text: str) -> bool:
    """Tell whether a query's text asks for the range it is asked over."""
    return OF_THE_QUERY.search(text) is not None


def anchored(node: Node, at_ms: int) -> Node:
    """Let all selectors and outermost subqueries look at one instant, unless they say which."""
    match node:
        case Selector(anchor=anchor) | Subquery(anchor=anchor):
            return node if isinstance(anchor, int) else replace(node, anchor=at_ms)
        case RangeSelector(selector=selector):
            return node if isinstance(selector.anchor, int) else replace(node, selector=replace(selector, anchor=at_ms))
        case Call(arguments=arguments):
            return replace(node, arguments=tuple(anchored(one, at_ms) for one in arguments))
        case Aggregate(expr=expr, parameter=parameter):
            inner = None if parameter is None else anchored(parameter, at_ms)
            return replace(node, expr=anchored(expr, at_ms), parameter=inner)
        case Binary(left=left, right=right):
            return replace(node, left=anchored(left, at_ms), right=anchored(right, at_ms))
        case Negate(expr=expr):
            return replace(node, expr=anchored(expr, at_ms))
        case _:
            return node


def other_moments(at_ms: int) -> list[int]:
    """Return the instants at which an anchored query is asked again."""
    if at_ms == 0:
        return [-1000, 0, 1000]
    return [-10 * at_ms, 0, int(at_ms / 5), at_ms, 10 * at_ms]
