"""Rates of histograms over windows that reach beyond their edges, and histograms between two samples."""

from bisect import bisect_left, bisect_right
from dataclasses import replace

from metrics.native_histograms.arithmetic import (
    added,
    divided_by,
    multiplied,
    subtracted,
)
from metrics.native_histograms.layout import compacted
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.resets import is_reset
from metrics.promql.native.notes import ADDITION, SUBTRACTION, Speaker
from metrics.promql.native.rates import Edges, Run


def _sum(one: Histogram, other: Histogram, speaker: Speaker) -> Histogram:
    total, remarks = added(one, other)
    if remarks.bounds_differ:
        speaker.bounds_reconciled(ADDITION)
    return total


def _difference(one: Histogram, other: Histogram, speaker: Speaker) -> Histogram:
    total, remarks = subtracted(one, other)
    if remarks.bounds_differ:
        speaker.bounds_reconciled(SUBTRACTION)
    return total


def between(run: Run, place: int, instant_ms: int, speaker: Speaker, *, counter: bool) -> Histogram:
    """Return the histogram at an instant from number `place` on to the next, both of one kind."""
    before, after = run.points[place], run.points[place + 1]
    begin, end = run.times_ms[place], run.times_ms[place + 1]
    if instant_ms in {begin, end}:
        return before if instant_ms == begin else after
    part = (instant_ms - begin) / (end - begin)
    if counter and is_reset(after, before):
        return multiplied(after, part)
    return _sum(multiplied(_difference(after, before, speaker), part), before, speaker)


def extended(run: Run, edges: Edges, speaker: Speaker, *, smoothed: bool) -> Histogram | None:
    """Return rate, increase or delta from edge to edge, what is there taken from the samples around them."""
    times = run.times_ms
    last = len(times) - 1
    first = max(0, bisect_right(times, edges.start_ms, 0, last) - 1)
    if smoothed:
        last = bisect_left(times, edges.end_ms, 0, last)
    if times[last] <= edges.start_ms or (smoothed and times[first] > edges.end_ms):
        return None
    points = run.points[first : last + 1]
    if any(one.is_custom != points[0].is_custom for one in points):
        speaker.mixed_schemas(alone=False)
        return None
    if edges.counter and any(one.reset_hint == ResetHint.GAUGE for one in points):
        speaker.not_a_counter()
    return _extended(run, (first, last), edges, speaker, smoothed=smoothed)


def _extended(run: Run, within: tuple[int, int], edges: Edges, speaker: Speaker, *, smoothed: bool) -> Histogram:
    first, last = within
    times, counter = run.times_ms, edges.counter
    left, right = run.points[first], run.points[last]
    cut_left = smoothed and times[first] < edges.start_ms
    if cut_left:
        left = between(run, first, edges.start_ms, speaker, counter=counter)
    if smoothed and last > 0 and times[last] > edges.end_ms:
        right = between(run, last - 1, edges.end_ms, speaker, counter=counter)
    if not counter and {left.reset_hint, right.reset_hint} != {ResetHint.GAUGE}:
        speaker.not_a_gauge()
    total = _difference(right, left, speaker)
    if counter:
        for lost in _lost_to_resets(run, within, (left, right), cut_left=cut_left):
            total = _sum(total, lost, speaker)
    if edges.per_second:
        total = divided_by(total, (edges.end_ms - edges.start_ms) / 1000.0)
    return compacted(replace(total, reset_hint=ResetHint.GAUGE))


def _lost_to_resets(
    run: Run, within: tuple[int, int], ends: tuple[Histogram, Histogram], *, cut_left: bool
) -> list[Histogram]:
    """Return what the counter stood at before each reset between both ends."""
    first, last = within
    before, right = ends
    begin = first + 1
    if cut_left and is_reset(run.points[begin], run.points[first]):
        # What is at the left edge has seen this reset already.
        before = run.points[begin]
        begin += 1
    if begin > last:
        return []
    lost = []
    # The last sample is left out: what is at the right edge stands for it, with its hint.
    for point in (*run.points[begin:last], right):
        if is_reset(point, before):
            lost.append(before)
        before = point
    return lost


def at_instant(run: Run, instant_ms: int, speaker: Speaker) -> Histogram | None:
    """Return the histogram at an instant between the samples around it; behind the last it stays as it was."""
    place = bisect_left(run.times_ms, instant_ms)
    if place < len(run.points) and run.times_ms[place] == instant_ms:
        return run.points[place]
    if place == 0:
        return None
    before = run.points[place - 1]
    if place == len(run.points):
        return replace(before, reset_hint=ResetHint.UNKNOWN)
    after = run.points[place]
    if before.is_custom != after.is_custom:
        speaker.mixed_schemas(alone=False)
        return None
    gauges = before.reset_hint == after.reset_hint == ResetHint.GAUGE
    return between(run, place - 1, instant_ms, speaker, counter=not gauges)
