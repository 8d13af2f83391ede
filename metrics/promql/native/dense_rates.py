"""Rates of series whose histograms have one shape: all windows of a series at once."""

import numpy as np

from metrics.native_histograms.dense import COUNT, Dense, dense
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.promql.native.notes import Speaker
from metrics.promql.native.rates import EDGE_FACTOR
from metrics.promql.types import Floats, Ints


def rates_at_once(
    points: list[Histogram], times_ms: Ints, windows: tuple[Ints, Ints, Ints], how: tuple[int, bool, bool],
    speaker: Speaker,
) -> list[Histogram | None] | None:  # fmt: skip
    """Return rate, increase or delta of windows with two histograms or more; None where the shapes differ.

    `windows` are the first and the last sample of each and where it ends; `how` is (range_ms, counter, per_second).
    """
    held = dense(points)
    range_ms, counter, per_second = how
    if held is None or (counter and ResetHint.GAUGE in held.hints):
        return None
    first, last, _ = windows
    if not counter:
        gauge = np.array([hint == ResetHint.GAUGE for hint in held.hints])
        if not bool((gauge[first] & gauge[last]).all()):
            speaker.not_a_gauge()
    change = held.rows[last] - held.rows[first]
    if counter:
        made_good = _before_resets(held)
        change += made_good[last] - made_good[first]
    factor = _factors(held.rows[first, COUNT], change[:, COUNT], times_ms, windows, range_ms, counter=counter)
    if per_second:
        factor /= range_ms / 1000.0
    return [held.histogram(numbers, ResetHint.GAUGE) for numbers in (change * factor[:, None]).tolist()]


def _before_resets(held: Dense) -> Floats:
    """Return for each row the sum of what the counter stood at before each reset so far."""
    lost = np.zeros_like(held.rows)
    lost[1:] = np.where(held.resets()[1:, None], held.rows[:-1], 0.0)
    total: Floats = np.cumsum(lost, axis=0)
    return total


def _factors(
    opening: Floats, grown: Floats, times_ms: Ints, windows: tuple[Ints, Ints, Ints], range_ms: int, *, counter: bool
) -> Floats:
    """Return by what each change is stretched to the edges of its window."""
    first, last, ends_ms = windows
    sampled = (times_ms[last] - times_ms[first]) / 1000.0
    spacing = sampled / (last - first)
    before = (times_ms[first] - (ends_ms - range_ms)) / 1000.0
    after = (ends_ms - times_ms[last]) / 1000.0
    before = np.where(before < spacing * EDGE_FACTOR, before, spacing / 2.0)
    after = np.where(after < spacing * EDGE_FACTOR, after, spacing / 2.0)
    if counter:
        from_zero = sampled * np.divide(opening, grown, out=np.full_like(grown, np.inf), where=grown > 0)
        before = np.where((grown > 0) & (opening >= 0), np.minimum(before, from_zero), before)
    result: Floats = (sampled + before + after) / sampled
    return result
