"""Metric paths: `errors_total.rate`, `response_seconds{path="/"}.p95`; one grammar for rules and for Explore.

A rule knows the samples only, so there a suffix is a function over them (`over_samples`). Explore knows the metric's
type too, and says what the suffix means for that type (`promql_of`).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "native", "summary", "unknown"]

QUANTILES: Mapping[str, str] = {"p50": "0.5", "p90": "0.9", "p95": "0.95", "p99": "0.99"}
# Without a suffix the path of a rule means the mean over the window.
SUFFIXES: Mapping[str, str] = {
    "": "avg_over_time({s}[{w}])",
    "avg": "avg_over_time({s}[{w}])",
    "rate": "rate({s}[{w}])",
    "increase": "increase({s}[{w}])",
    "min": "min_over_time({s}[{w}])",
    "max": "max_over_time({s}[{w}])",
    "sum": "sum_over_time({s}[{w}])",
    "count": "count_over_time({s}[{w}])",
    "last": "last_over_time({s}[{w}])",
    **{suffix: f"quantile_over_time({q}, {{s}}[{{w}}])" for suffix, q in QUANTILES.items()},
}
# How the series of a group become one: levels are averaged, amounts are added, of extremes and quantiles the worst
# one stays, because a quantile over series cannot be had from the quantiles of each.
JOINED: Mapping[str, str] = {
    "value": "avg", "avg": "avg", "last": "avg", "min": "min", "max": "max", "sum": "sum", "count": "sum",
    "rate": "sum", "increase": "sum", **dict.fromkeys(QUANTILES, "max"),
}  # fmt: skip
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")  # noqa: TID251 - our own constant, linear
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear
PATH = re.compile(  # noqa: TID251 - our own constant, linear
    r"(?P<metric>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    r'(?P<labels>\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})?'
    r"(?:\.(?P<suffix>[a-z0-9]+))?"
)


class BadPath(ValueError):
    """A metric path that means nothing; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class MetricPath:
    """A metric, its matchers as written (with braces) or nothing, and a suffix or nothing."""

    metric: str
    labels: str = ""
    suffix: str = ""

    def selector(self, ending: str = "", more: str = "") -> str:
        """Return the selector, of a part of the metric where an ending is given, with one matcher more if wanted."""
        inner = self.labels[1:-1].strip().rstrip(",")
        name = self.metric + ending
        if NAME.fullmatch(name):
            matchers = ", ".join(part for part in (inner, more) if part)
            return f"{name}{{{matchers}}}" if more else name + self.labels
        return "{" + ", ".join(part for part in (quoted(name), inner, more) if part) + "}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a metric: a path whose suffix says what, by which labels, over how long a window."""

    path: MetricPath
    by: tuple[str, ...] = ()
    window_seconds: int = 300

    @property
    def what(self) -> str:
        """Return the suffix, or `value` where there is none."""
        return self.path.suffix or "value"


def quoted(text: str) -> str:
    """Return a text as PromQL writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def parse_path(text: str) -> MetricPath:
    """Return the parts of a metric path; raises BadPath."""
    match = PATH.fullmatch(text.strip())
    if match is None:
        raise BadPath(f'{text!r} is not a metric path; write metric, metric.p95 or metric{{label="v"}}.rate.')
    suffix = match["suffix"] or ""
    if suffix not in SUFFIXES:
        raise BadPath(f"Unknown suffix .{suffix}; known are {', '.join(sorted(SUFFIXES)[1:])}.")
    return MetricPath(match["metric"], match["labels"] or "", suffix)


def over_samples(path: MetricPath, window_seconds: int) -> str:
    """Return what a path means for the samples as they are, whatever the metric's type."""
    return SUFFIXES[path.suffix].format(s=path.selector(), w=f"{window_seconds}s")


def duration_text(seconds: int) -> str:
    """Return a duration as a person writes it: 5m, 90s, 2h."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and seconds:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def kind_of(metric: str, declared: str, names: Collection[str]) -> tuple[Kind, str]:
    """Return what a metric is, and the name of its family, from its declared type and the names that are stored."""
    family = metric.removesuffix("_bucket")
    if family != metric and metric in names:
        return "histogram", family
    if declared in {"histogram", "gaugehistogram"} and metric in names and not _is_part(metric, names):
        return "native", metric
    if f"{metric}_bucket" in names:
        return "histogram", metric
    if declared == "summary" and not _is_part(metric, names):
        return "summary", metric
    if declared == "counter" or metric.endswith("_total") or _is_part(metric, names):
        return "counter", metric
    return ("gauge" if declared == "gauge" else "unknown"), metric


def _is_part(metric: str, names: Collection[str]) -> bool:
    """Tell whether a metric is the count or the sum of a histogram or summary."""
    for ending, other in (("_count", "_sum"), ("_sum", "_count")):
        if metric.endswith(ending) and metric.removesuffix(ending) + other in names:
            return True
    return False


def promql_of(question: Question, kind: Kind, quantiles: Sequence[str] = ()) -> str:
    """Return the PromQL of a question about a metric of a kind; `quantiles` are those a summary keeps.

    Raises BadPath where a metric of this kind cannot answer it.
    """
    if question.what not in JOINED:
        raise BadPath(f"Unknown question {question.what}; known are {', '.join(JOINED)}.")
    if question.window_seconds < 1:
        raise BadPath("The window must be at least a second long.")
    if kind == "summary":
        return _of_summary(question, quantiles)
    forms: Mapping[Kind, Callable[[Question], str]] = {
        "counter": _of_counter, "histogram": _of_histogram, "native": _of_native, "gauge": _of_gauge,
    }  # fmt: skip
    return forms.get(kind, _of_samples)(question)


def _grouped(op: str, by: Sequence[str], expression: str) -> str:
    """Join series by labels; without labels each stays as it is."""
    return _total(op, by, expression) if by else expression


def _total(op: str, by: Sequence[str], expression: str) -> str:
    """Join series by labels; without labels all become one."""
    labels = ", ".join(name if LABEL.fullmatch(name) else quoted(name) for name in by)
    return f"{op} by ({labels}) ({expression})" if by else f"{op}({expression})"


def _window(question: Question) -> str:
    return duration_text(question.window_seconds)


def _of_samples(question: Question) -> str:
    what, selector = question.what, question.path.selector()
    inner = selector if what == "value" else SUFFIXES[what].format(s=selector, w=_window(question))
    return _grouped(JOINED[what], question.by, inner)


def _of_gauge(question: Question) -> str:
    # A gauge falls as well as it rises: rate() would take each fall for a restart.
    change = {"rate": "deriv", "increase": "delta"}.get(question.what)
    if change is None:
        return _of_samples(question)
    return _grouped("sum", question.by, f"{change}({question.path.selector()}[{_window(question)}])")


def _of_counter(question: Question) -> str:
    what, selector, window = question.what, question.path.selector(), _window(question)
    if what in {"value", "last", "count"}:
        inner = selector if what == "value" else SUFFIXES[what].format(s=selector, w=window)
        return _grouped("sum", question.by, inner)
    if what in {"increase", "sum"}:
        return _grouped("sum", question.by, f"increase({selector}[{window}])")
    rate = _grouped("sum", question.by, f"rate({selector}[{window}])")
    if what in {"rate", "avg"}:
        return rate
    # The least, the most and the quantiles of a counter are those of its rate.
    step = duration_text(max(15, question.window_seconds // 20))
    return SUFFIXES[what].format(s=rate, w=f"{window}:{step}")


def _of_histogram(question: Question) -> str:
    window, by = _window(question), question.by

    def over(function: str, ending: str, labels: Sequence[str] = by) -> str:
        return _total("sum", labels, f"{function}({question.path.selector(ending)}[{window}])")

    q = {"min": "0", "max": "1", **QUANTILES}.get(question.what)
    if q is not None:
        return f"histogram_quantile({q}, {over('rate', '_bucket', ('le', *by))})"
    if question.what in {"value", "avg", "last"}:
        return f"{over('rate', '_sum')} / {over('rate', '_count')}"
    return {
        "rate": over("rate", "_count"), "increase": over("increase", "_count"), "count": over("increase", "_count"),
        "sum": over("increase", "_sum"),
    }[question.what]  # fmt: skip


def _of_native(question: Question) -> str:
    function = "rate" if question.what not in {"increase", "count", "sum"} else "increase"
    inner = _total("sum", question.by, f"{function}({question.path.selector()}[{_window(question)}])")
    q = {"min": "0", "max": "1", **QUANTILES}.get(question.what)
    if q is not None:
        return f"histogram_quantile({q}, {inner})"
    reading = {"rate": "count", "increase": "count", "count": "count", "sum": "sum"}.get(question.what, "avg")
    return f"histogram_{reading}({inner})"


def _of_summary(question: Question, quantiles: Sequence[str]) -> str:
    wanted = {"min": "0", "max": "1", **QUANTILES}.get(question.what)
    if wanted is None:
        if question.what == "value":
            return _grouped("max", question.by, question.path.selector())
        return _of_histogram(question)
    kept = next((text for text in quantiles if _number(text) == float(wanted)), None)
    if kept is None:
        known = ", ".join(sorted(quantiles, key=_number)) or "no quantiles"
        raise BadPath(f"{question.path.metric} is a summary and keeps {known}; {wanted} was not measured.")
    # Quantiles that were worked out by a sender cannot be joined: the worst one stands for its group.
    return _grouped("max", question.by, question.path.selector(more=f"quantile={quoted(kept)}"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
