"""Aggregations of vectors in which there are histograms."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from metrics.native_histograms.arithmetic import IncompatibleSchemas
from metrics.native_histograms.model import Histogram
from metrics.native_histograms.sums import Mean, Sum, collide
from metrics.promql.aggregations.grouping import Groups
from metrics.promql.frames import Frame
from metrics.promql.labels import NAME
from metrics.promql.native.cells import histogram_cells, histograms_of, no_histograms, numbers_of, places
from metrics.promql.native.notes import AGGREGATION, Speaker, ignored_in
from metrics.promql.nodes import Aggregate, Place, place_of
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools

OverNumbers: TypeAlias = Callable[[VectorValue], VectorValue]
GATHERED: dict[str, type[Sum] | type[Mean]] = {"sum": Sum, "avg": Mean}
MIXED = "encountered a mix of histograms and floats for aggregation"


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
    cells = _cells(frame, vector, groups, held)
    for (group, step), cell in cells.items():
        dropped[group, step] = True
        out[group, step] = _result(frame, cell)
    present = (plain.present & ~dropped) | np.not_equal(out, None)
    return VectorValue(plain.labels, plain.values, present, plain.drops_name, out)


def _cells(frame: Frame[Aggregate], vector: VectorValue, groups: Groups, held: Bools) -> dict[tuple[int, int], Cell]:
    histograms = histograms_of(vector)
    cells: dict[tuple[int, int], Cell] = {}
    of = groups.of.tolist()
    with_any = np.zeros((len(groups.labels), held.shape[1]), dtype=np.bool_)
    np.logical_or.at(with_any, groups.of, held)
    for row, step in places(vector.present & with_any[groups.of]):
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
        speaker = Speaker(frame.notes, place, "")
        speaker.hints_collide(AGGREGATION)
        speaker.speak()
    return cell.gathering.result(compact=True)
