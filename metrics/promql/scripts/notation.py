"""Histograms as the scripts write them: `{{schema:1 sum:3 count:22 buckets:[5 10 7]}}`."""

import re
from collections.abc import Callable
from typing import Any

from metrics.native_histograms import arithmetic
from metrics.native_histograms.model import Histogram, ResetHint, Span
from metrics.promql.scripts.durations import BadScript

ENTRY = re.compile(r"\s*(\w+):(\[[^\]]*\]|[^\s\[\]]+)")  # noqa: TID251 - our own constant, linear
HINTS = {
    "unknown": ResetHint.UNKNOWN,
    "reset": ResetHint.YES,
    "not_reset": ResetHint.NO,
    "gauge": ResetHint.GAUGE,
}
NUMBERS = frozenset({"sum", "count", "z_bucket", "z_bucket_w"})
WHOLE = frozenset({"schema", "offset", "n_offset"})
LISTS = frozenset({"custom_values", "buckets", "n_buckets"})


def _list_of(text: str) -> tuple[float, ...]:
    if not text.startswith("["):
        raise ValueError(text)
    return tuple(float(part) for part in text[1:-1].split())


def _hint_of(text: str) -> ResetHint:
    if text.lower() not in HINTS:
        raise ValueError(text)
    return HINTS[text.lower()]


READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(NUMBERS, float),
    **dict.fromkeys(WHOLE, int),
    **dict.fromkeys(LISTS, _list_of),
    "counter_reset_hint": _hint_of,
}


def histogram_of(text: str) -> tuple[Histogram, bool]:
    """Read what stands between the braces; returns the histogram and whether a reset hint is written."""
    said: dict[str, Any] = {}
    at = 0
    while text[at:].strip():
        found = ENTRY.match(text, at)
        name = found.group(1).lower() if found else ""
        if found is None or name not in READERS:
            raise BadScript(f"histogram description incomplete: {text[at:]!r}")
        try:
            said[name] = READERS[name](found.group(2))
        except ValueError:
            raise BadScript(f"error parsing {name}: {found.group(2)!r}") from None
        at = found.end()
    positive, negative = said.get("buckets", ()), said.get("n_buckets", ())
    histogram = Histogram(
        schema=said.get("schema", 0),
        count=said.get("count", 0.0),
        sum=said.get("sum", 0.0),
        zero_threshold=said.get("z_bucket_w", 0.0),
        zero_count=said.get("z_bucket", 0.0),
        positive_spans=(Span(said.get("offset", 0), len(positive)),) if positive else (),
        positive=positive,
        negative_spans=(Span(said.get("n_offset", 0), len(negative)),) if negative else (),
        negative=negative,
        custom_values=said.get("custom_values", ()),
        reset_hint=said.get("counter_reset_hint", ResetHint.UNKNOWN),
    )
    return histogram, "counter_reset_hint" in said


def histograms_expanded(first: Histogram, step: Histogram, times: int, *, added: bool) -> list[Histogram]:
    """Return a histogram and what it becomes by adding or subtracting another again and again."""
    if first.schema > step.schema:
        raise BadScript(f"error combining histograms: cannot merge from schema {step.schema} to {first.schema}")
    combine = arithmetic.added if added else arithmetic.subtracted
    found = [first]
    for _ in range(times):
        try:
            found.append(combine(found[-1], step)[0])
        except arithmetic.IncompatibleSchemas as problem:
            raise BadScript(str(problem)) from problem
    return found
