"""Quantiles and fractions of classic histograms, whose buckets are series with an `le` label."""

import math
from collections.abc import Callable

import numpy as np

from metrics.promql.labels import Signature, without
from metrics.promql.numbers import bound_of
from metrics.promql.operands import VectorValue, empty_vector
from metrics.promql.types import Floats

# Below this relative difference two bucket counts differ by rounding alone.
SMALL_DELTA = 1e-12
BucketFunction = Callable[[Floats, Floats, int], float]


def over_buckets(vector: VectorValue, evaluate: BucketFunction) -> VectorValue:
    """Apply a function of (upper bounds, cumulative counts, step) to each histogram at each step."""
    groups: dict[Signature, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        bound = bound_of(labels.get("le", ""))
        if bound is not None:
            groups.setdefault(frozenset(without(labels, ("le",)).items()), []).append((bound, row))
    if not groups:
        return empty_vector(vector.values.shape[1])
    shape = (len(groups), vector.values.shape[1])
    out, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    names = []
    for number, members in enumerate(groups.values()):
        members.sort()
        names.append(without(vector.labels[members[0][1]], ("le",)))
        bounds, rows = np.array([bound for bound, _ in members]), [row for _, row in members]
        counts, here = vector.values[rows], vector.present[rows]
        present[number] = here.any(axis=0)
        for step in np.flatnonzero(present[number]).tolist():
            chosen = here[:, step]
            out[number, step] = evaluate(*_coalesced(bounds[chosen], counts[chosen, step]), step)
    return VectorValue(names, out, present, np.ones(len(names), dtype=np.bool_))


def _coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    distinct, place = np.unique(bounds, return_inverse=True)
    if distinct.size == bounds.size:
        return bounds, counts
    return distinct, np.bincount(place, weights=counts)


def _monotonic(counts: Floats) -> Floats:
    fixed = counts.copy()
    for i in range(1, fixed.size):
        before, here = fixed[i - 1], fixed[i]
        close = abs(before - here) < SMALL_DELTA * (abs(before) + abs(here))
        if here < before or close:
            fixed[i] = before
    return fixed


def bucket_quantile(q: float, bounds: Floats, counts: Floats) -> float:
    """Interpolate linearly within the bucket that holds the quantile."""
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return math.copysign(math.inf, q)
    counts = _monotonic(counts)
    if bounds[-1] != math.inf or bounds.size < 2 or counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = q * counts[-1]
    bucket = int(np.searchsorted(counts[:-1], rank, side="left"))
    if bucket == bounds.size - 1:
        return float(bounds[-2])
    if bucket == 0 and bounds[0] <= 0:
        return float(bounds[0])
    start, below = (float(bounds[bucket - 1]), float(counts[bucket - 1])) if bucket else (0.0, 0.0)
    return float(start + (bounds[bucket] - start) * ((rank - below) / (counts[bucket] - below)))


def bucket_fraction(lower: float, upper: float, bounds: Floats, counts: Floats) -> float:
    """Return the share of observations between two values."""
    total = float(counts[-1])
    if bounds[-1] != math.inf or total == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank_of(upper, bounds, counts) - _rank_of(lower, bounds, counts)) / total


def _rank_of(value: float, bounds: Floats, counts: Floats) -> float:
    start, below = (0.0 if bounds[0] > 0 else -math.inf), 0.0
    for bound, count in zip(bounds.tolist(), counts.tolist(), strict=True):
        if start >= value:
            return below
        if bound > value:
            if math.isinf(start):
                return float(count)
            return min(float(below + (count - below) * (value - start) / (bound - start)), float(counts[-1]))
        start, below = bound, count
    return float(counts[-1])
