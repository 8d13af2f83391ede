"""Whether a counter started anew between two histograms."""

from dataclasses import replace

from metrics.native_histograms.arithmetic import mapped, shared_bounds
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.tally import Counts, Tally, beyond, coarser_side, tally_of
from metrics.native_histograms.zero import zero_for


def is_reset(current: Histogram, previous: Histogram) -> bool:
    """Tell whether the counter was reset; an explicit hint decides, else anything that became smaller."""
    if current.reset_hint == ResetHint.YES:
        return True
    if current.reset_hint == ResetHint.NO:
        return False
    if current.count < previous.count or current.schema > previous.schema:
        return True
    if current.is_custom and not previous.is_custom:
        return True
    now, before = tally_of(current), tally_of(previous)
    return _custom_fell(now, before) if current.is_custom else _exponential_fell(now, before)


def _custom_fell(now: Tally, before: Tally) -> bool:
    if now.custom_values == before.custom_values:
        return _fell(now.positive, before.positive)
    bounds = shared_bounds(now.custom_values, before.custom_values)
    current = mapped(now.positive, now.custom_values, bounds)
    previous = mapped(before.positive, before.custom_values, bounds)
    return any(current.get(index, 0.0) < count for index, count in previous.items())


def _exponential_fell(now: Tally, before: Tally) -> bool:
    if now.zero_threshold < before.zero_threshold:
        return True
    zeros, threshold, _ = zero_for(before, now.zero_threshold)
    # A threshold that had to move lies within a filled bucket of before, which no growing histogram does.
    if threshold != now.zero_threshold or now.zero_count < zeros:
        return True
    return any(
        _fell(
            beyond(mine, now.schema, threshold),
            beyond(coarser_side(theirs, before.schema, now.schema), now.schema, threshold),
        )
        for mine, theirs in ((now.positive, before.positive), (now.negative, before.negative))
    )


def _fell(now: Counts, before: Counts) -> bool:
    return any(now[index] < count if index in now else count != 0 for index, count in before.items())


def _continues(current: Histogram, previous: Histogram) -> bool:
    """Tell whether a histogram may share a block of samples with the one before, so that no reset is between them."""
    gauges = current.reset_hint == ResetHint.GAUGE, previous.reset_hint == ResetHint.GAUGE
    if any(gauges) or current.reset_hint == ResetHint.YES:
        return all(gauges)
    same_shape = (
        current.schema == previous.schema
        and current.zero_threshold == previous.zero_threshold
        and current.custom_values == previous.custom_values
    )
    return same_shape and not is_reset(replace(current, reset_hint=ResetHint.UNKNOWN), previous)


def as_stored(current: Histogram, previous: Histogram | None) -> Histogram:
    """Return a histogram with the hint it has when read back from a store that keeps runs without resets.

    `previous` is the sample before as it was written, None after a number, a stale marker or nothing.
    """
    if current.reset_hint == ResetHint.GAUGE:
        return current
    known = previous is not None and _continues(current, previous)
    return replace(current, reset_hint=ResetHint.NO if known else ResetHint.UNKNOWN)
