"""Threshold rules are compiled to PromQL, so that there is one evaluator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MINIMUM_SAMPLES = 3

CONDITIONS: Mapping[str, str] = {
    **dict.fromkeys(("greater_than", "gt", ">"), ">"),
    **dict.fromkeys(("less_than", "lt", "<"), "<"),
    **dict.fromkeys(("equals", "eq", "=="), "=="),
    **dict.fromkeys(("not_equals", "ne", "!="), "!="),
    **dict.fromkeys(("greater_than_or_equal", "gte", ">="), ">="),
    **dict.fromkeys(("less_than_or_equal", "lte", "<="), "<="),
}
# Without a suffix a path means the mean over the window.
SUFFIXES: Mapping[str, str] = {
    "": "avg_over_time({s}[{w}s])",
    "avg": "avg_over_time({s}[{w}s])",
    "rate": "rate({s}[{w}s])",
    "min": "min_over_time({s}[{w}s])",
    "max": "max_over_time({s}[{w}s])",
    "sum": "sum_over_time({s}[{w}s])",
    "count": "count_over_time({s}[{w}s])",
    "last": "last_over_time({s}[{w}s])",
    "p50": "quantile_over_time(0.5, {s}[{w}s])",
    "p90": "quantile_over_time(0.9, {s}[{w}s])",
    "p95": "quantile_over_time(0.95, {s}[{w}s])",
    "p99": "quantile_over_time(0.99, {s}[{w}s])",
}
PATH = re.compile(  # noqa: TID251
    r"(?P<metric>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?P<labels>\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})?'
    r"(?:\.(?P<suffix>[a-z0-9]+))?"
)


class BadThreshold(ValueError):
    """A threshold rule that cannot be compiled; `field` names the key at fault."""

    def __init__(self, field: str, message: str) -> None:
        """Keep the field for the form that shows the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition as PromQL: the whole query, and its two sides for the evidence chart."""

    query: str
    expression: str
    operator: str
    threshold: float


def _parsed(path: str, field: str) -> tuple[str, str]:
    match = PATH.fullmatch(path.strip())
    if match is None:
        raise BadThreshold(
            field, f'{path!r} is not a metric path; write metric, metric.p95 or metric{{label="v"}}.rate.'
        )
    suffix = match["suffix"] or ""
    if suffix not in SUFFIXES:
        raise BadThreshold(field, f"Unknown suffix .{suffix}; known are {', '.join(sorted(SUFFIXES)[1:])}.")
    return match["metric"] + (match["labels"] or ""), suffix


def _side(selector: str, suffix: str, window_seconds: int) -> str:
    return SUFFIXES[suffix].format(s=selector, w=window_seconds)


def _enough(selector: str, window_seconds: int) -> str:
    return f"count_over_time({selector}[{window_seconds}s]) >= {MINIMUM_SAMPLES}"


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def operator_from(condition: str) -> str:
    """Return the PromQL operator a condition's name means."""
    operator = CONDITIONS.get(condition.strip().lower())
    if operator is None:
        raise BadThreshold("condition", f"Unknown condition {condition!r}; use greater_than, less_than, equals …")
    return operator


def compile_threshold(
    *, metric_path: str, condition: str, threshold: float, window_seconds: int, denominator_path: str = ""
) -> Compiled:
    """Return the PromQL of a threshold rule; series with fewer than three samples in the window are left out.

    A quotient divides totals: its two metrics seldom carry the same labels.
    """
    operator = operator_from(condition)
    selector, suffix = _parsed(metric_path, "metric_path")
    expression = f"{_side(selector, suffix, window_seconds)} and ({_enough(selector, window_seconds)})"
    if denominator_path:
        below, below_suffix = _parsed(denominator_path, "denominator_path")
        under = f"{_side(below, below_suffix, window_seconds)} and ({_enough(below, window_seconds)})"
        expression = f"sum({expression}) / sum({under})"
    return Compiled(f"({expression}) {operator} {_number(threshold)}", expression, operator, float(threshold))


Comparison = Literal[">", "<", "==", "!=", ">=", "<="]
TAIL = re.compile(  # noqa: TID251
    r"^(?P<left>.+?)\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?:bool\s+)?(?P<number>[-+]?[0-9.]+(?:e[-+]?\d+)?)\s*$",
    re.DOTALL,
)


def sides_of(expression: str) -> Compiled | None:
    """Return the sides of `left op number`, or None where a query does not end in such a comparison."""
    match = TAIL.match(expression.strip())
    if match is None or not _balanced(match["left"]) or _binds_looser(match["left"]):
        return None
    try:
        return Compiled(expression, match["left"].strip(), match["operator"], float(match["number"]))
    except ValueError:
        return None


def _top_level(text: str) -> str:
    """Return the text with everything in brackets or quotes taken out."""
    quoted = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", text)
    before = ""
    while before != quoted:
        before, quoted = quoted, re.sub(r"[(\[{][^()\[\]{}]*[)\]}]", " ", quoted)
    return quoted


def _balanced(text: str) -> bool:
    return not re.search(r"[()\[\]{}\"']", _top_level(text))


def _binds_looser(text: str) -> bool:
    # `a > 1 or b > 2` ends in a comparison, but the comparison is not the whole query.
    return re.search(r"\b(and|or|unless)\b|[<>]|==|!=", _top_level(text)) is not None
