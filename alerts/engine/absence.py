"""Series that stopped coming, as PromQL.

A stale marker is no sample, and neither is a time in which the store took in nothing at all: after an outage of the
console, or of its doors, silence is counted from its end on, so a restart makes no alert of everything that has not
sent again yet. What tells that the store is alive is the console's own collector, or whatever else was selected.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from metrics.promql.paths import quoted

# What the collector of this host sends every ten seconds.
PULSE = "cpu_usage_percent"
SLICE_SECONDS = 30
PULSE_KNOWN_SECONDS = 86_400
STOPPED_SECONDS = 300
SEEN_SECONDS = 3600
SEEN_STEP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Expected:
    """Which series should go on: a selector, the name and the texts it asks for, and the times that matter."""

    selector: str
    name: str = ""
    equal: Mapping[str, str] | None = None
    missing_seconds: int = STOPPED_SECONDS
    look_back_seconds: int = SEEN_SECONDS
    absent: bool = True


def _last(selector: str, seconds: int) -> str:
    return f"last_over_time({selector}[{seconds}s])"


def _each(expected: Expected, seconds: int) -> str:
    """Return the series with a sample within a time; those of several metrics are told apart by their labels alone."""
    found = _last(expected.selector, seconds)
    return found if expected.name else f"max without (__name__) ({found})"


def alive(reference: str, seconds: int) -> str:
    """Return what holds while the store took in something in every slice of a time; `reference` may be part of it."""
    counted = f"count({_last(PULSE, SLICE_SECONDS)}) or count({reference}) or vector(0)"
    window = max(seconds, 2 * SLICE_SECONDS)
    pulse_unknown = f"absent({_last(PULSE, PULSE_KNOWN_SECONDS)})"
    return f"min_over_time(({counted})[{window}s:{SLICE_SECONDS}s]) > 0 or {pulse_unknown}"


def absence_query(expected: Expected) -> str:
    """Return the series that were seen and have stopped; and one where none was seen at all, if that is asked."""
    seen, fresh = _each(expected, expected.look_back_seconds), _each(expected, expected.missing_seconds)
    gone = f"({seen} unless {fresh})"
    if expected.absent:
        gone = f"({gone} or absent_over_time({expected.selector}[{expected.look_back_seconds}s]))"
    return f"{gone} and on () ({alive(_last(expected.selector, SLICE_SECONDS), expected.missing_seconds)})"


def presence_query(expected: Expected) -> str:
    """Return the series that go on; and, once there is any, the labels of the alert that there was none."""
    fresh = _each(expected, expected.missing_seconds)
    if not expected.absent:
        return fresh
    any_of_them = f"group({_last(expected.selector, expected.missing_seconds)})"
    for label, text in (expected.equal or {}).items():
        any_of_them = f'label_replace({any_of_them}, {quoted(label)}, {quoted(text.replace("$", "$$"))}, "", "")'
    return f"{fresh} or {any_of_them}"


def stopped_query(expression: str) -> str:
    """Return the label sets an expression answered within the last hour and has not answered for five minutes."""
    seen, fresh = (
        f"last_over_time(({expression})[{seconds}s:{SEEN_STEP_SECONDS}s])"
        for seconds in (SEEN_SECONDS, STOPPED_SECONDS)
    )
    return f"({seen} unless {fresh}) and on () ({alive(expression, STOPPED_SECONDS)})"
