"""How the series of two vectors find each other."""

from dataclasses import dataclass

import numpy as np

from metrics.promql.labels import (
    Signature,
    numbered,
    only,
    signature_function,
    without,
    without_name,
)
from metrics.promql.nodes import Matching
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Histograms, Ints, QueryError


@dataclass(slots=True)
class Pairs:
    """Rows that meet: left[p] with right[p], named labels[p], at the steps where both are present."""

    left: Ints
    right: Ints
    labels: list[dict[str, str]]
    present: Bools


def match_pairs(left: VectorValue, right: VectorValue, matching: Matching, *, keeps_name: bool) -> Pairs:
    """Match two vectors one to one or many to one."""
    signature = signature_function(matching.labels, on=matching.on)
    numbers: dict[Signature, int] = {}
    left_of = numbered((signature(labels) for labels in left.labels), numbers)
    right_of = numbered((signature(labels) for labels in right.labels), numbers)
    one_is_left = matching.side == "one-to-many"
    many, one = (right, left) if one_is_left else (left, right)
    many_of, one_of = (right_of, left_of) if one_is_left else (left_of, right_of)
    _refuse_duplicates(many, one, one_of, len(numbers), "left" if one_is_left else "right")
    many_rows, one_rows = _meeting(many_of, one_of)
    present = many.present[many_rows] & one.present[one_rows]
    names = [
        _result_labels(many.labels[i], one.labels[j], matching, keeps_name=keeps_name)
        for i, j in zip(many_rows.tolist(), one_rows.tolist(), strict=True)
    ]
    _refuse_ambiguous(many_of[many_rows], names, present, matching)
    return Pairs(*((one_rows, many_rows) if one_is_left else (many_rows, one_rows)), names, present)


def _refuse_ambiguous(group: Ints, names: list[dict[str, str]], present: Bools, matching: Matching) -> None:
    """Refuse two pairs of one match group that would have one name at one step.

    As in Prometheus this comes before a comparison filters, so that a query fails always or never. Equal names from
    different match groups only matter where both survive, which joining the rows finds out.
    """
    if matching.side == "one-to-one":
        if _any_twice_a_step(group, present):
            raise QueryError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        return
    if np.unique(group).size == group.size:
        return
    seen: dict[Signature, int] = {}
    named = numbered((frozenset(labels.items()) for labels in names), seen)
    if _any_twice_a_step(group * len(seen) + named, present):
        raise QueryError("multiple matches for labels: grouping labels must ensure unique matches")


def _meeting(many_of: Ints, one_of: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(one_of, kind="stable")
    ordered = one_of[order]
    begin, end = np.searchsorted(ordered, many_of, "left"), np.searchsorted(ordered, many_of, "right")
    counts = end - begin
    many_rows = np.repeat(np.arange(many_of.size), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return many_rows.astype(np.int64), order[np.repeat(begin, counts) + within].astype(np.int64)


def _present_counts(group: Ints, present: Bools, groups: int) -> Ints:
    counts = np.zeros((groups, present.shape[1]), dtype=np.int64)
    np.add.at(counts, group, present)
    return counts


def _refuse_duplicates(many: VectorValue, one: VectorValue, one_of: Ints, groups: int, side: str) -> None:
    if np.unique(one_of).size == one_of.size:
        return
    doubled = _present_counts(one_of, one.present, groups) > 1
    # Where the other side has nothing at a step, nothing is matched and nothing is ambiguous.
    doubled &= many.present.any(axis=0)[None, :]
    if not bool(doubled.any()):
        return
    group, step = (int(place[0]) for place in np.nonzero(doubled))
    rows = np.flatnonzero((one_of == group) & one.present[:, step])[:2]
    first, second = (one.labels[row] for row in rows.tolist())
    raise QueryError(
        f"found duplicate series for the match group on the {side} hand-side of the operation: [{first}, {second}];"
        "many-to-many matching not allowed: matching labels must be unique on one side"
    )


def _any_twice_a_step(group: Ints, present: Bools) -> bool:
    distinct, place = np.unique(group, return_inverse=True)
    return distinct.size < group.size and bool((_present_counts(place, present, distinct.size) > 1).any())


def _result_labels(
    many: dict[str, str], one: dict[str, str], matching: Matching, *, keeps_name: bool
) -> dict[str, str]:
    labels = many if keeps_name else without_name(many)
    if matching.side == "one-to-one":
        return only(labels, matching.labels) if matching.on else without(labels, matching.labels)
    if not matching.include:
        return labels
    return {**without(labels, matching.include), **only(one, matching.include)}


def set_operation(op: str, left: VectorValue, right: VectorValue, matching: Matching) -> VectorValue:
    """Evaluate and, or, unless."""
    signature = signature_function(matching.labels, on=matching.on)
    numbers: dict[Signature, int] = {}
    left_of = numbered((signature(labels) for labels in left.labels), numbers)
    right_of = numbered((signature(labels) for labels in right.labels), numbers)
    if op == "or":
        seen = _present_counts(left_of, left.present, len(numbers)) > 0
        return _stacked(left, right, right.present & ~seen[right_of])
    seen = _present_counts(right_of, right.present, len(numbers)) > 0
    met = seen[left_of]
    present = left.present & (met if op == "and" else ~met)
    return VectorValue(left.labels, left.values, present, left.drops_name, left.histograms)


def _stacked(left: VectorValue, right: VectorValue, right_present: Bools) -> VectorValue:
    return VectorValue(
        left.labels + right.labels,
        np.concatenate((left.values, right.values)),
        np.concatenate((left.present, right_present)),
        np.concatenate((left.drops_name, right.drops_name)),
        _stacked_histograms(left, right),
    )


def _stacked_histograms(left: VectorValue, right: VectorValue) -> Histograms | None:
    if left.histograms is None and right.histograms is None:
        return None
    parts = [
        np.full(side.present.shape, None, np.object_) if side.histograms is None else side.histograms
        for side in (left, right)
    ]
    return np.concatenate(parts)
