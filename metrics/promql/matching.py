"""How the series of two vectors find each other."""

import re
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
from metrics.promql.syntax.strings import quoted
from metrics.promql.types import Bools, Histograms, Ints, Labels, QueryError

PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear


@dataclass(slots=True)
class Pairs:
    """Rows that meet: left[p] with right[p], named labels[p], at the steps where both are present.

    A row of -1 is the fill of that side.
    """

    left: Ints
    right: Ints
    labels: list[dict[str, str]]
    present: Bools


@dataclass(slots=True)
class _Sides:
    """The two vectors as one and many, with the number of each row's match group."""

    many: VectorValue
    one: VectorValue
    many_of: Ints
    one_of: Ints
    groups: int


def match_pairs(left: VectorValue, right: VectorValue, matching: Matching, *, keeps_name: bool) -> Pairs:
    """Match two vectors one to one or many to one; where a side is missing its fill stands in."""
    signature = signature_function(matching.labels, on=matching.on)
    numbers: dict[Signature, int] = {}
    left_of = numbered((signature(labels) for labels in left.labels), numbers)
    right_of = numbered((signature(labels) for labels in right.labels), numbers)
    one_is_left = matching.side == "one-to-many"
    sides = (
        _Sides(right, left, right_of, left_of, len(numbers))
        if one_is_left
        else _Sides(left, right, left_of, right_of, len(numbers))
    )
    _refuse_duplicates(sides, matching, "left" if one_is_left else "right")
    many_rows, one_rows = _meeting(sides.many_of, sides.one_of)
    present = sides.many.present[many_rows] & sides.one.present[one_rows]
    # Prometheus fills the "one" side with the right one's fill, whichever side that is.
    if matching.fill_right is not None:
        many_rows, one_rows, present = _without_one(sides, many_rows, one_rows, present)
    if matching.fill_left is not None:
        many_rows, one_rows, present = _without_many(sides, many_rows, one_rows, present)
    kept = present.any(axis=1)
    many_rows, one_rows, present = many_rows[kept], one_rows[kept], present[kept]
    names = [
        _result_labels(*_labels_of(sides, i, j, matching), matching, keeps_name=keeps_name)
        for i, j in zip(many_rows.tolist(), one_rows.tolist(), strict=True)
    ]
    group = np.where(many_rows >= 0, _at(sides.many_of, many_rows), _at(sides.one_of, one_rows))
    _refuse_ambiguous(group, names, present, matching)
    return Pairs(*((one_rows, many_rows) if one_is_left else (many_rows, one_rows)), names, present)


def _at(numbers: Ints, rows: Ints) -> Ints:
    return numbers[rows] if numbers.size else np.zeros_like(rows)


def filled(vector: VectorValue, value: float | None) -> VectorValue:
    """Return a vector with one more row, the last, that holds its fill."""
    if value is None:
        return vector
    steps = vector.values.shape[1]
    histograms = vector.histograms
    return VectorValue(
        [*vector.labels, {}],
        np.concatenate((vector.values, np.full((1, steps), value))),
        np.concatenate((vector.present, np.ones((1, steps), np.bool_))),
        np.concatenate((vector.drops_name, [False])),
        None if histograms is None else np.concatenate((histograms, np.full((1, steps), None, np.object_))),
    )


def _without_one(sides: _Sides, many_rows: Ints, one_rows: Ints, present: Bools) -> tuple[Ints, Ints, Bools]:
    there = _present_counts(sides.one_of, sides.one.present, sides.groups) > 0
    alone = sides.many.present & ~there[sides.many_of]
    rows = np.arange(len(sides.many.labels), dtype=np.int64)
    return _joined(many_rows, rows), _joined(one_rows, np.full_like(rows, -1)), np.concatenate((present, alone))


def _without_many(sides: _Sides, many_rows: Ints, one_rows: Ints, present: Bools) -> tuple[Ints, Ints, Bools]:
    there = _present_counts(sides.many_of, sides.many.present, sides.groups) > 0
    alone = sides.one.present & ~there[sides.one_of]
    rows = np.arange(len(sides.one.labels), dtype=np.int64)
    return _joined(many_rows, np.full_like(rows, -1)), _joined(one_rows, rows), np.concatenate((present, alone))


def _joined(one: Ints, other: Ints) -> Ints:
    return np.concatenate((one, other))


def _labels_of(sides: _Sides, many: int, one: int, matching: Matching) -> tuple[dict[str, str], dict[str, str]]:
    if many < 0:
        return _matched(sides.one.labels[one], matching), sides.one.labels[one]
    if one < 0:
        return sides.many.labels[many], _matched(sides.many.labels[many], matching)
    return sides.many.labels[many], sides.one.labels[one]


def _matched(labels: dict[str, str], matching: Matching) -> dict[str, str]:
    return only(labels, matching.labels) if matching.on else without(without_name(labels), matching.labels)


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


def _refuse_duplicates(sides: _Sides, matching: Matching, side: str) -> None:
    one, group = sides.one, sides.one_of
    if np.unique(group).size == group.size:
        return
    doubled = _present_counts(group, one.present, sides.groups) > 1
    if matching.fill_left is None and matching.fill_right is None:
        # Where the other side has nothing at a step, nothing is matched and nothing is ambiguous.
        doubled &= sides.many.present.any(axis=0)[None, :]
    if not bool(doubled.any()):
        return
    step = int(np.argmax(doubled.any(axis=0)))
    rows = [np.flatnonzero((group == number) & one.present[:, step])[:2] for number in np.flatnonzero(doubled[:, step])]
    first, second = min(rows, key=lambda pair: int(pair[1])).tolist()
    texts = sorted(labels_text(one.labels[row]) for row in (first, second))
    raise QueryError(
        f"found duplicate series for the match group {labels_text(_matched(one.labels[first], matching))} on the {side}"
        f" hand-side of the operation: [{texts[0]}, {texts[1]}];"
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


def labels_text(labels: Labels) -> str:
    """Write labels as Prometheus does in its messages."""
    names = {name: name if PLAIN_NAME.fullmatch(name) else quoted(name) for name in labels}
    return "{" + ", ".join(f"{names[name]}={quoted(value)}" for name, value in sorted(labels.items())) + "}"
