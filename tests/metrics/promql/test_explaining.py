"""Explanations: what each part of a query read, returned and took, and how it is told in words."""

from itertools import count

import pytest

from metrics.promql.engine import evaluate
from metrics.promql.explaining import MOST_STEPS, Measured, Step, Tape, steps_of
from metrics.promql.types import Limits
from tests.metrics.promql.script import MINUTE, Series, source_of

SERIES: Series = {"up host=a": [1] * 11, "up host=b": [2] * 11, "cap host=a": [9] * 11, "hits host=a": [*range(11)]}


def explained(query: str, *, start: int = 5, end: int = 10) -> tuple[list[Step], int]:
    """Explain with a clock that goes on by a second each time it is read."""
    tape = Tape(count().__next__)
    evaluate(
        query, start_ms=start * MINUTE, end_ms=end * MINUTE, step_ms=MINUTE if end > start else 0,
        source=source_of(SERIES), experimental=True, walk=lambda reader: Measured(reader, tape),
        limits=Limits(max_depth=1000),
    )  # fmt: skip
    return steps_of(query, tape)


def test_the_parts_come_outermost_first_with_their_own_text() -> None:
    steps, more = explained("sum by (host) (rate(hits[2m])) / on (host) group_left () (cap)")
    assert [(step.depth, step.kind, step.detail, step.text) for step in steps] == [
        (0, "operator", "/ on (host), many-to-one", "sum by (host) (rate(hits[2m])) / on (host) group_left () (cap)"),
        (1, "aggregation", "sum by (host)", "sum by (host) (rate(hits[2m]))"),
        (2, "function", "rate()", "rate(hits[2m])"),
        (3, "range selector", "all samples of 2m", "hits[2m]"),
        (1, "selector", "the newest sample of each series", "cap"),
    ]
    assert more == 0
    assert all(step.measured for step in steps)


def test_series_points_and_samples_are_those_of_each_part() -> None:
    steps, _ = explained("sum(up) + 1")
    told = {step.text: (step.series, step.points) for step in steps}
    assert told == {"sum(up) + 1": (1, 6), "sum(up)": (1, 6), "up": (2, 12), "1": (0, 6)}
    by_text = {step.text: step.samples for step in steps}
    assert by_text["up"] == by_text["sum(up)"] == by_text["sum(up) + 1"] > 0
    assert by_text["1"] == 0


def test_time_below_a_part_is_not_its_own() -> None:
    steps, _ = explained("sum(up)")
    outer, inner = steps
    # The clock is read before and after each part: the selector takes one second, all of it three.
    assert (inner.total_ms, inner.own_ms) == (1000, 1000)
    assert (outer.total_ms, outer.own_ms) == (3000, 2000)


def test_the_work_over_a_window_is_the_functions_and_not_the_selectors() -> None:
    steps, _ = explained("max_over_time(up[3m])")
    function, window = steps
    assert (window.series, window.points > 0) == (2, True)
    assert function.total_ms == function.own_ms + window.total_ms
    assert function.own_ms > 0


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("up offset 90s", "selector", "the newest sample of each series, 90s earlier"),
        ("up offset -1m", "selector", "the newest sample of each series, 1m later"),
        ("up @ 120", "selector", "the newest sample of each series, at one fixed time"),
        ("-up", "sign", "changes the sign"),
        ("2", "number", "a constant"),
        ("sum(up)", "aggregation", "sum of all"),
        ("sum without (host) (up)", "aggregation", "sum without (host)"),
        ("up - ignoring (host) group_left cap", "operator", "- ignoring (host), many-to-one"),
        ("up * 2", "operator", "*"),
    ],
)
def test_what_a_part_does_is_told_in_words(query: str, kind: str, words: str) -> None:
    steps, _ = explained(query)
    assert (steps[0].kind, steps[0].detail) == (kind, words)


def test_windows_and_subqueries_tell_their_spans() -> None:
    steps, _ = explained("max_over_time(up[5m:30s] offset 1m)")
    assert [(step.kind, step.detail) for step in steps] == [
        ("function", "max_over_time()"),
        ("subquery", "5m every 30s, 1m earlier"),
        ("selector", "the newest sample of each series"),
    ]
    assert explained("sum_over_time(up[5m:])")[0][1].detail == "5m every minute"
    assert explained("sum_over_time(up[1500ms])")[0][1].detail == "all samples of 1500ms"
    assert explained('label_replace(up, "a", "b", "c", "d")')[0][2].kind == "text"


def test_an_instant_query_is_explained_too() -> None:
    steps, _ = explained("up", start=3, end=3)
    assert [(step.series, step.points) for step in steps] == [(2, 2)]


def test_an_explanation_is_cut_where_it_would_be_too_long() -> None:
    query = " + ".join(["1"] * 180)
    steps, more = explained(query)
    assert (len(steps), more) == (MOST_STEPS, 359 - MOST_STEPS)


def test_nothing_was_measured_of_a_query_that_was_not_evaluated() -> None:
    assert steps_of("up", Tape(count().__next__)) == ([], 0)
