"""Rates and differences of native histograms over one window."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from metrics.native_histograms.arithmetic import (
    IncompatibleSchemas,
    add_to,
    added,
    divided_by,
    multiplied,
    subtract_from,
    subtracted,
)
from metrics.native_histograms.layout import compacted
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.tally import histogram_of, reduce_resolution, tally_of
from metrics.promql.native.notes import ADDITION, SUBTRACTION, Speaker

# How much longer than usual a gap may be for the samples to count as reaching the edge of a window.
EDGE_FACTOR = 1.1


@dataclass(frozen=True, slots=True)
class Run:
    """The histograms of a window in time order; `resets[i]` tells whether the counter was reset before number i.

    `since_ms` is when the first of them began to count, 0 where that is not known or of no matter.
    """

    points: Sequence[Histogram]
    resets: Sequence[bool]
    times_ms: Sequence[int]
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Edges:
    """A window (start_ms, end_ms] and what is asked of it."""

    start_ms: int
    end_ms: int
    counter: bool
    per_second: bool


def change(run: Run, speaker: Speaker, *, counter: bool) -> Histogram | None:
    """Return by how much the histograms grew, resets of a counter made good; None where they do not go together."""
    points, last = run.points, run.points[-1]
    if counter and ResetHint.GAUGE in {points[0].reset_hint, last.reset_hint}:
        speaker.not_a_counter()
    first = points[0]
    if counter and run.resets[1]:
        # What was before the reset is not looked at, so that its buckets may be of any kind.
        first = Histogram(points[1].schema, 0.0, 0.0, custom_values=points[1].custom_values)
    between = points[1:-1] if counter else ()
    if any(one.is_custom != first.is_custom for one in (*between, last)):
        speaker.mixed_schemas(alone=last.is_custom == first.is_custom)
        return None
    if any(one.reset_hint == ResetHint.GAUGE for one in between):
        speaker.not_a_counter()
    total = tally_of(last)
    reduce_resolution(total, min(one.schema for one in (first, last, *between)))
    if subtract_from(total, tally_of(first)).bounds_differ:
        speaker.bounds_reconciled(SUBTRACTION)
    if counter:
        for place in range(2, len(points)):
            if run.resets[place] and add_to(total, tally_of(points[place - 1])).bounds_differ:
                speaker.bounds_reconciled(ADDITION)
    elif {points[0].reset_hint, last.reset_hint} != {ResetHint.GAUGE}:
        speaker.not_a_gauge()
    total.reset_hint = ResetHint.GAUGE
    return histogram_of(total)


def extrapolated(run: Run, edges: Edges, speaker: Speaker) -> Histogram | None:
    """Return rate, increase or delta: the change, stretched to the edges as far as the spacing allows."""
    started = run.since_ms != 0 and edges.start_ms < run.since_ms < run.times_ms[0]
    grown = change(run, speaker, counter=edges.counter) if len(run.points) > 1 else None
    if grown is None and (len(run.points) > 1 or not started):
        return None
    if started:
        grown = _with_first(grown, run.points[0], speaker)
    return None if grown is None else multiplied(grown, _factor(run, edges, grown, started=started))


def _with_first(grown: Histogram | None, first: Histogram, speaker: Speaker) -> Histogram | None:
    """Add what the first histogram counted since its start, when there was nothing."""
    if grown is None:
        return first
    try:
        total, remarks = added(grown, first)
    except IncompatibleSchemas:
        speaker.mixed_schemas(alone=False)
        return None
    if remarks.bounds_differ:
        speaker.bounds_reconciled(ADDITION)
    return total


def _factor(run: Run, edges: Edges, grown: Histogram, *, started: bool) -> float:
    """Return by what a change is stretched to the edges; one since a start within the window at its end only."""
    sampled = (run.times_ms[-1] - run.times_ms[0]) / 1000.0
    after = (edges.end_ms - run.times_ms[-1]) / 1000.0
    spacing = sampled / (len(run.points) - 1) if len(run.points) > 1 else 0.0
    threshold = spacing * EDGE_FACTOR
    after = after if after < threshold else spacing / 2.0
    if started:
        before, sampled = 0.0, (run.times_ms[-1] - run.since_ms) / 1000.0
    else:
        before = (run.times_ms[0] - edges.start_ms) / 1000.0
        before = before if before < threshold else spacing / 2.0
        first = run.points[0]
        if edges.counter and grown.count > 0 and first.count >= 0:
            before = min(before, sampled * (first.count / grown.count))
    factor = (sampled + before + after) / sampled
    return factor / ((edges.end_ms - edges.start_ms) / 1000.0) if edges.per_second else factor


def instantaneous(run: Run, speaker: Speaker, *, rate: bool) -> Histogram | None:
    """Return irate or idelta: the change between two histograms; a counter that was reset started from zero."""
    before, last = run.points
    hints = {before.reset_hint, last.reset_hint}
    if rate and ResetHint.GAUGE in hints:
        speaker.not_a_counter()
    if not rate and hints != {ResetHint.GAUGE}:
        speaker.not_a_gauge()
    grown = last
    if not (rate and run.resets[1]):
        try:
            grown, remarks = subtracted(last, before)
        except IncompatibleSchemas:
            speaker.mixed_schemas(alone=False)
            return None
        if remarks.bounds_differ:
            speaker.bounds_reconciled(SUBTRACTION)
    grown = compacted(replace(grown, reset_hint=ResetHint.GAUGE))
    return divided_by(grown, (run.times_ms[1] - run.times_ms[0]) / 1000.0) if rate else grown
