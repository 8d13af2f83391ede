"""Aggregations of vectors in which there are histograms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from metrics.native_histograms.arithmetic import IncompatibleSchemas
from metrics.native_histograms.dense import dense
from metrics.native_histograms.model import Histogram
from metrics.native_histograms.sums import Mean, Sum, collide
from metrics.promql.frames import Frame
from metrics.promql.labels import NAME
from metrics.promql.native.cells import histogram_cells, histograms_of, no_histograms, numbers_of, places
from metrics.promql.native.notes import AGGREGATION, Speaker, hints_collide, ignored_in
from metrics.promql.nodes import Aggregate, Place, place_of
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Ints

OverNumbers: TypeAlias = Callable[[VectorValue], VectorValue]
GATHERED: dict[str, type[Sum] | type[Mean]] = {"sum": Sum, "avg": Mean}
# From so many histograms on a matrix is faster than one after the other.
MANY = 4
MIXED = "encountered a mix of histograms and floats for aggregation"


class Groups(Protocol):
    """Which group a series belongs to, as `aggregations.grouping` has it."""

    of: Ints
    labels: list[dict[str, str]]

    @property
    def starts(self) -> Ints:
        """Return where each group begins in `members`."""
        ...

    @property
    def members(self) -> Ints:
        """Return the series of all groups, group after group."""
        ...


@dataclass(slots=True)
class Cell:
    """One group at one step: what was gathered so far, in the order of the series."""

    gathering: Sum | Mean | None = None
    numbers_first: bool = False
    mixed: bool = False
    incompatible: bool = False


def numbers_only(frame: Frame[Aggregate], vector: VectorValue, place: Place) -> VectorValue:
    """Leave histograms out of an aggregation that knows numbers only, and say so."""
    if vector.histograms is None:
        return vector
    if bool(histogram_cells(vector).any()):
        frame.notes.inform(ignored_in(frame.node.op), place)
    return numbers_of(vector)


def gathered(frame: Frame[Aggregate], vector: VectorValue, groups: Groups, over_numbers: OverNumbers) -> VectorValue:
    """Evaluate sum and avg where some series are histograms; a group of both kinds has no answer."""
    plain = over_numbers(numbers_of(vector))
    held = histogram_cells(vector)
    out = no_histograms(plain.present.shape)
    dropped = np.zeros(plain.present.shape, dtype=np.bool_)
    asked = vector.present & _beside_histograms(groups, held)
    for group, step, members in _large(groups, held, asked):
        result = _at_once(frame, vector, members, step)
        if result is not None:
            out[group, step] = result
            asked[members, step] = False
    cells = _cells(frame, vector, groups, asked)
    for (group, step), cell in cells.items():
        dropped[group, step] = True
        out[group, step] = _result(frame, cell)
    present = (plain.present & ~dropped) | np.not_equal(out, None)
    return VectorValue(plain.labels, plain.values, present, plain.drops_name, out)


def _beside_histograms(groups: Groups, held: Bools) -> Bools:
    """Tell which cells are in a group that has a histogram at that step."""
    with_any = np.zeros((len(groups.labels), held.shape[1]), dtype=np.bool_)
    np.logical_or.at(with_any, groups.of, held)
    result: Bools = with_any[groups.of]
    return result


def _large(groups: Groups, held: Bools, asked: Bools) -> Iterator[tuple[int, int, Ints]]:
    """Yield (group, step, series) of large groups of histograms alone."""
    members, starts = groups.members, groups.starts.tolist()
    for group in range(len(groups.labels)):
        rows = members[starts[group] : starts[group + 1]]
        if rows.size >= MANY:
            native, all_of = held[rows], asked[rows]
            alone = (native == all_of).all(axis=0) & (native.sum(axis=0) >= MANY)
            for step in np.flatnonzero(alone).tolist():
                yield group, step, rows[native[:, step]]


def _at_once(frame: Frame[Aggregate], vector: VectorValue, members: Ints, step: int) -> Histogram | None:
    """Add up histograms of one shape column by column; None where they differ."""
    points = histograms_of(vector)[members, step].tolist()
    together = dense(points)
    if together is None:
        return None
    numbers, hint = together.total()
    if frame.node.op == "avg":
        numbers = [number / len(points) for number in numbers]
    if collide(set(together.hints)):
        frame.notes.warn(hints_collide(AGGREGATION), place_of(frame.node.expr))
    return together.histogram(numbers, hint)


def _cells(frame: Frame[Aggregate], vector: VectorValue, groups: Groups, asked: Bools) -> dict[tuple[int, int], Cell]:
    histograms = histograms_of(vector)
    cells: dict[tuple[int, int], Cell] = {}
    of = groups.of.tolist()
    for row, step in places(asked):
        cell = cells.setdefault((of[row], step), Cell())
        if not cell.incompatible:
            _take(frame, cell, histograms[row, step], vector.labels[row].get(NAME, ""))
    return cells


def _take(frame: Frame[Aggregate], cell: Cell, histogram: Histogram | None, name: str) -> None:
    if histogram is None:
        cell.mixed = cell.mixed or cell.gathering is not None
        cell.numbers_first = cell.numbers_first or cell.gathering is None
        return
    if cell.numbers_first:
        cell.mixed = True
        return
    if cell.gathering is None:
        cell.gathering = GATHERED[frame.node.op](histogram)
        return
    speaker = Speaker(frame.notes, place_of(frame.node.expr), name)
    try:
        cell.gathering.add(histogram)
    except IncompatibleSchemas:
        cell.incompatible = True
        speaker.mixed_schemas()
    if cell.gathering.bounds_differ:
        speaker.bounds_reconciled(AGGREGATION)
    speaker.speak()


def _result(frame: Frame[Aggregate], cell: Cell) -> Histogram | None:
    place = place_of(frame.node.expr)
    if cell.mixed:
        frame.notes.warn(MIXED, place)
        return None
    if cell.incompatible or cell.gathering is None:
        return None
    if collide(cell.gathering.hints):
        frame.notes.warn(hints_collide(AGGREGATION), place)
    return cell.gathering.result(compact=True)
