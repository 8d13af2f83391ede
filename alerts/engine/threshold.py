"""Threshold rules are compiled to PromQL, so that there is one evaluator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from alerts.engine.levels import Condition
from metrics.promql.paths import BadPath, MetricPath, over_samples, parse_path

MINIMUM_SAMPLES = 3

CONDITIONS: Mapping[str, str] = {
    **dict.fromkeys(("greater_than", "gt", ">"), ">"),
    **dict.fromkeys(("less_than", "lt", "<"), "<"),
    **dict.fromkeys(("equals", "eq", "=="), "=="),
    **dict.fromkeys(("not_equals", "ne", "!="), "!="),
    **dict.fromkeys(("greater_than_or_equal", "gte", ">="), ">="),
    **dict.fromkeys(("less_than_or_equal", "lte", "<="), "<="),
}


class BadThreshold(ValueError):
    """A threshold rule that cannot be compiled; `field` names the key at fault."""

    def __init__(self, field: str, message: str) -> None:
        """Keep the field for the form that shows the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition as PromQL: the whole query, and its two sides for the evidence chart.

    With `condition` the left side is what is asked, once, and every value is judged by it; `by_series` says that the
    thresholds are those of each series, which its own past tells, and that `condition` is what holds without one.
    """

    query: str
    expression: str
    operator: str
    threshold: float
    condition: Condition | None = None
    by_series: bool = False
    no_data: str = "unknown"  # What becomes of a label set whose data stops: unknown, alert, ok, keep.
    stopped: str = ""  # What tells of label sets that were seen and have stopped, where that is an alert.
    recovered: str = "recovered"

    @property
    def asked(self) -> str:
        """Return what is asked at each tick."""
        return self.expression if self.condition or self.by_series else self.query


def _parsed(path: str, field: str) -> MetricPath:
    try:
        return parse_path(path)
    except BadPath as error:
        raise BadThreshold(field, str(error)) from None


def _enough(path: MetricPath, window_seconds: int) -> str:
    return f"count_over_time({path.selector()}[{window_seconds}s]) >= {MINIMUM_SAMPLES}"


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
    expression = path_expression(metric_path, denominator_path, window_seconds)
    return Compiled(f"({expression}) {operator} {_number(threshold)}", expression, operator, float(threshold))


def path_expression(metric_path: str, denominator_path: str, window_seconds: int) -> str:
    """Return the value a path has over a window, divided by the total of another one where that is given."""
    path = _parsed(metric_path, "metric_path")
    expression = f"{over_samples(path, window_seconds)} and ({_enough(path, window_seconds)})"
    if not denominator_path:
        return expression
    below = _parsed(denominator_path, "denominator_path")
    under = f"{over_samples(below, window_seconds)} and ({_enough(below, window_seconds)})"
    return f"sum({expression}) / sum({under})"


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
