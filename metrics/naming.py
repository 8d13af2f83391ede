"""Advice on names and labels of metrics, after Prometheus' conventions (prometheus.io/docs/practices/naming)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["warning", "info"]
# A label with more values than this makes as many series, of every metric that carries it.
MANY_VALUES = 200
# Units that have a base unit, and how many of them make one of it.
BASE_UNITS = {
    "milliseconds": "seconds", "millis": "seconds", "ms": "seconds", "msec": "seconds", "microseconds": "seconds",
    "us": "seconds", "nanoseconds": "seconds", "ns": "seconds", "minutes": "seconds", "hours": "seconds",
    "days": "seconds", "kilobytes": "bytes", "kb": "bytes", "kib": "bytes", "megabytes": "bytes", "mb": "bytes",
    "mib": "bytes", "gigabytes": "bytes", "gb": "bytes", "gib": "bytes", "bits": "bytes", "percent": "ratio",
    "percentage": "ratio", "pct": "ratio", "fahrenheit": "celsius", "kilometers": "meters", "millimeters": "meters",
    "milliamperes": "amperes", "millivolts": "volts", "kilojoules": "joules", "grams": "kilograms",
}  # fmt: skip
RESERVED_SUFFIXES = ("_bucket", "_sum", "_count")
# Each of these names a person, a request or a moment: as a label it makes a series each.
UNBOUNDED_LABELS = frozenset(
    {
        "user", "user_id", "userid", "username", "email", "session", "session_id", "request_id", "trace_id", "span_id",
        "correlation_id", "transaction_id", "order_id", "uuid", "guid", "ip", "client_ip", "source_ip", "remote_addr",
        "url", "query", "sql", "timestamp", "time", "date", "token", "message", "error_message", "stack", "user_agent",
    }
)  # fmt: skip
CAMEL_CASE = re.compile(r"[a-z][A-Z]")  # noqa: TID251 - our own constant, linear


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What is known about a metric: `labels` maps each label to the number of values it has."""

    name: str
    type: str = "untyped"
    unit: str = ""
    help: str = ""
    labels: Mapping[str, int] | None = None
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Advice:
    """One break of a convention: what it is, and what would be better."""

    code: str
    level: Level
    text: str


def advice_on(facts: MetricFacts) -> list[Advice]:
    """Return what breaks the conventions, in the order a reader would mend it."""
    return [*_on_type(facts), *_on_unit(facts), *_on_spelling(facts), *_on_labels(facts)]


def _family(facts: MetricFacts) -> str:
    """Return the name of the family: the series of a histogram carry suffixes of their own."""
    if facts.type in {"histogram", "summary"}:
        for suffix in RESERVED_SUFFIXES:
            if facts.name.endswith(suffix):
                return facts.name.removesuffix(suffix)
    return facts.name


def _on_type(facts: MetricFacts) -> Iterator[Advice]:
    name = _family(facts)
    if facts.type == "counter" and not name.endswith(("_total", "_created")):
        yield Advice("counter_total", "warning", f"a counter's name ends in _total: {name}_total")
    if facts.type in {"gauge", "histogram", "summary"} and name.endswith("_total"):
        yield Advice(
            "only_counters_total", "warning", f"a {facts.type} is no counter: its name should not end in _total"
        )
    if facts.type in {"gauge", "counter"}:
        for suffix in RESERVED_SUFFIXES:
            if name.endswith(suffix):
                yield Advice(
                    "reserved_suffix",
                    "warning",
                    f"{suffix} belongs to histograms and summaries; this is a {facts.type}",
                )
    if facts.type != "untyped" and not facts.help and not facts.recorded:
        yield Advice("no_help", "info", "nobody said what it means: send a HELP line with it")


def _on_unit(facts: MetricFacts) -> Iterator[Advice]:
    words = _family(facts).removesuffix("_total").lower().split("_")
    for word in words[-1:] if len(words) > 1 else []:
        if word in BASE_UNITS:
            yield Advice("base_unit", "warning", f"use the base unit {BASE_UNITS[word]} instead of {word}")
    if facts.unit and facts.unit not in words:
        yield Advice("unit_suffix", "info", f"its unit is {facts.unit}, which its name does not say")


def _on_spelling(facts: MetricFacts) -> Iterator[Advice]:
    if CAMEL_CASE.search(facts.name):
        yield Advice("camel_case", "info", "write words apart with underscores instead of camelCase")
    if ":" in facts.name and not facts.recorded:
        yield Advice("colon", "warning", "colons are kept for recording rules: name what a service sends without them")
    kind = next((word for word in facts.name.lower().split("_") if word in {"counter", "gauge", "histogram"}), "")
    if kind:
        yield Advice("type_in_name", "info", f"leave the type ({kind}) out of the name")


def _on_labels(facts: MetricFacts) -> Iterator[Advice]:
    for label, values in sorted((facts.labels or {}).items()):
        if label.startswith("__"):
            continue
        if label.lower() in UNBOUNDED_LABELS:
            yield Advice(
                "unbounded_label",
                "warning",
                f"the label {label} has no bound: each value is a series; keep it in logs or traces",
            )
        elif values > MANY_VALUES and label != "le":
            yield Advice(
                "many_values", "warning", f"the label {label} has {values:,} values: each makes series of its own"
            )
        if label == "le" and facts.type not in {"histogram", "untyped"}:
            yield Advice("le_label", "warning", f"le belongs to histograms; this is a {facts.type}")
        if label == "quantile" and facts.type not in {"summary", "untyped"}:
            yield Advice("quantile_label", "warning", f"quantile belongs to summaries; this is a {facts.type}")
        if CAMEL_CASE.search(label):
            yield Advice("camel_case_label", "info", f"write the label {label} with underscores")
