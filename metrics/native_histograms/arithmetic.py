"""Sums, differences and multiples of histograms.

Histograms of different resolutions meet at the coarser one, those of different listed bounds at the bounds both have.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace

from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.numbers import divided
from metrics.native_histograms.tally import (
    Counts,
    Tally,
    beyond,
    coarser_side,
    coarser_side_compensated,
    compensated,
    histogram_of,
    reduce_resolution,
    tally_of,
)
from metrics.native_histograms.zero import reconcile


class IncompatibleSchemas(ValueError):
    """One histogram has exponential buckets and the other listed bounds."""

    def __init__(self) -> None:
        """Say what cannot be done."""
        super().__init__(
            "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas"
        )


@dataclass(slots=True)
class Remarks:
    """What happened on the way to a sum."""

    hints_collide: bool = False
    bounds_differ: bool = False


def joint_hint(one: ResetHint, other: ResetHint) -> tuple[ResetHint, bool]:
    """Return the hint of a sum, and whether one side says reset and the other no reset."""
    if one == other:
        return one, False
    if ResetHint.GAUGE in {one, other}:
        return ResetHint.GAUGE, False
    return ResetHint.UNKNOWN, ResetHint.UNKNOWN not in {one, other}


def shared_bounds(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
    """Return the bounds both lists have."""
    if one == other:
        return one
    kept = set(other)
    return tuple(bound for bound in one if bound in kept)


def mapped(buckets: Counts, bounds: tuple[float, ...], target: tuple[float, ...]) -> Counts:
    """Return buckets of listed bounds as buckets of fewer of these bounds."""
    merged: Counts = {}
    for index in sorted(buckets):
        place = bisect_left(target, bounds[index]) if index < len(bounds) else len(target)
        merged[place] = merged.get(place, 0.0) + buckets[index]
    return merged


def _add_counts(total: Counts, terms: Counts, sign: float) -> None:
    for index, count in terms.items():
        total[index] = total[index] + sign * count if index in total else sign * count


def _combine(total: Tally, other: Tally, sign: float) -> Remarks:
    """Add a multiple of a histogram in place; raises IncompatibleSchemas."""
    if total.is_custom != other.is_custom:
        raise IncompatibleSchemas
    remarks = Remarks()
    total.reset_hint, remarks.hints_collide = joint_hint(total.reset_hint, other.reset_hint)
    if total.is_custom:
        bounds = shared_bounds(total.custom_values, other.custom_values)
        remarks.bounds_differ = total.custom_values != other.custom_values
        terms = other.positive
        if remarks.bounds_differ:
            total.positive = mapped(total.positive, total.custom_values, bounds)
            terms = mapped(other.positive, other.custom_values, bounds)
            total.custom_values = bounds
        _add_counts(total.positive, terms, sign)
    else:
        zeros, _ = reconcile(total, other, Tally(total.schema))
        total.zero_count += sign * zeros
        reduce_resolution(total, other.schema)
        for mine, theirs in ((total.positive, other.positive), (total.negative, other.negative)):
            outside = beyond(theirs, other.schema, total.zero_threshold)
            _add_counts(mine, coarser_side(outside, other.schema, total.schema), sign)
    total.count += sign * other.count
    total.sum += sign * other.sum
    return remarks


def add_to(total: Tally, other: Tally) -> Remarks:
    """Add a histogram in place; raises IncompatibleSchemas."""
    return _combine(total, other, 1.0)


def subtract_from(total: Tally, other: Tally) -> Remarks:
    """Subtract a histogram in place; raises IncompatibleSchemas."""
    return _combine(total, other, -1.0)


def added(one: Histogram, other: Histogram) -> tuple[Histogram, Remarks]:
    """Return the compact sum of two histograms; raises IncompatibleSchemas."""
    total = tally_of(one)
    remarks = add_to(total, tally_of(other))
    return histogram_of(total), remarks


def subtracted(one: Histogram, other: Histogram) -> tuple[Histogram, Remarks]:
    """Return the compact difference of two histograms; raises IncompatibleSchemas."""
    total = tally_of(one)
    remarks = subtract_from(total, tally_of(other))
    return histogram_of(total), remarks


def multiplied(histogram: Histogram, factor: float) -> Histogram:
    """Return a multiple; a negative one is a gauge."""
    return replace(
        histogram,
        count=histogram.count * factor,
        sum=histogram.sum * factor,
        zero_count=histogram.zero_count * factor,
        positive=tuple(count * factor for count in histogram.positive),
        negative=tuple(count * factor for count in histogram.negative),
        reset_hint=ResetHint.GAUGE if factor < 0 else histogram.reset_hint,
    )


def divided_by(histogram: Histogram, divisor: float) -> Histogram:
    """Return a part; a division by zero leaves no buckets, one by a negative number a gauge."""
    parts = replace(
        histogram,
        count=divided(histogram.count, divisor),
        sum=divided(histogram.sum, divisor),
        zero_count=divided(histogram.zero_count, divisor),
    )
    if divisor == 0:
        return replace(parts, positive=(), negative=(), positive_spans=(), negative_spans=())
    return replace(
        parts,
        positive=tuple(count / divisor for count in histogram.positive),
        negative=tuple(count / divisor for count in histogram.negative),
        reset_hint=ResetHint.GAUGE if divisor < 0 else histogram.reset_hint,
    )


def _accumulate_counts(total: Counts, lost: Counts, terms: Counts, missing: Counts) -> None:
    for index, count in terms.items():
        if index not in total:
            total[index], lost[index] = count, missing.get(index, 0.0)
            continue
        total[index], lost[index] = compensated(count, total[index], lost.get(index, 0.0))
        if missing.get(index):
            total[index], lost[index] = compensated(missing[index], total[index], lost[index])


def _accumulate_custom(total: Tally, lost: Tally, other: Tally) -> bool:
    if total.custom_values == other.custom_values:
        _accumulate_counts(total.positive, lost.positive, other.positive, {})
        return False
    bounds = shared_bounds(total.custom_values, other.custom_values)
    merged: Counts = {}
    missing: Counts = {}
    for source, rests in ((total, lost.positive), (other, {})):
        for index in sorted(source.positive):
            inside = index < len(source.custom_values)
            place = bisect_left(bounds, source.custom_values[index]) if inside else len(bounds)
            term = {place: source.positive[index]}
            merged.setdefault(place, 0.0)
            _accumulate_counts(merged, missing, term, {place: rests.get(index, 0.0)})
    total.positive, lost.positive = merged, missing
    total.custom_values = lost.custom_values = bounds
    return True


def _accumulate_exponential(total: Tally, lost: Tally, other: Tally) -> None:
    zeros, zeros_lost = reconcile(total, other, lost)
    total.zero_count, lost.zero_count = compensated(zeros, total.zero_count, lost.zero_count)
    total.zero_count, lost.zero_count = compensated(zeros_lost, total.zero_count, lost.zero_count)
    if other.schema < total.schema:
        sides = (total.schema, other.schema)
        total.positive, lost.positive = coarser_side_compensated(total.positive, lost.positive, *sides)
        total.negative, lost.negative = coarser_side_compensated(total.negative, lost.negative, *sides)
        total.schema = other.schema
    for mine, rests, theirs in (
        (total.positive, lost.positive, other.positive),
        (total.negative, lost.negative, other.negative),
    ):
        missing: Counts = {}
        terms = beyond(theirs, other.schema, total.zero_threshold)
        if other.schema > total.schema:
            terms, missing = coarser_side_compensated(terms, {}, other.schema, total.schema)
        _accumulate_counts(mine, rests, terms, missing)
    lost.schema, lost.zero_threshold = total.schema, total.zero_threshold


def accumulate(total: Tally, lost: Tally, other: Tally) -> Remarks:
    """Add a histogram in place with compensation; `lost` keeps what the sums lost. Raises IncompatibleSchemas."""
    if total.is_custom != other.is_custom:
        raise IncompatibleSchemas
    remarks = Remarks()
    total.reset_hint, remarks.hints_collide = joint_hint(total.reset_hint, other.reset_hint)
    if total.is_custom:
        remarks.bounds_differ = _accumulate_custom(total, lost, other)
    else:
        _accumulate_exponential(total, lost, other)
    total.count, lost.count = compensated(other.count, total.count, lost.count)
    total.sum, lost.sum = compensated(other.sum, total.sum, lost.sum)
    return remarks


def losses_of(total: Tally) -> Tally:
    """Return the empty record of what the sums of a histogram lose."""
    return Tally(
        total.schema, zero_threshold=total.zero_threshold, custom_values=total.custom_values,
        reset_hint=total.reset_hint,
    )  # fmt: skip


def overflows(tally: Tally) -> bool:
    """Tell whether a count or the sum became infinite."""
    numbers = (tally.zero_count, tally.count, tally.sum, *tally.positive.values(), *tally.negative.values())
    return any(math.isinf(number) for number in numbers)
