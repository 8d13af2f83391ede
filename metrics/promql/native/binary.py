"""Operators where one side or both are histograms."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from metrics.native_histograms.arithmetic import (
    IncompatibleSchemas,
    added,
    divided_by,
    multiplied,
    subtracted,
)
from metrics.native_histograms.equality import equal
from metrics.native_histograms.layout import compacted
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.trimming import trimmed
from metrics.promql.frames import Frame
from metrics.promql.native.cells import filled, no_histograms
from metrics.promql.native.notes import ADDITION, SUBTRACTION, bounds_reconciled, hints_collide, quoted
from metrics.promql.nodes import Binary
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Floats, Histograms

TRIMS = frozenset({"</", ">/"})
Side: TypeAlias = "float | Histogram"


@dataclass(slots=True)
class Outcome:
    """What an operator makes of two samples: a histogram, or nothing; and what is to be said about it.

    A comparison that does not hold has the histogram too, and is not `kept`.
    """

    histogram: Histogram | None = None
    kept: bool = False
    warning: str = ""
    info: str = ""


@dataclass(slots=True)
class Sides:
    """Two operands of one shape; a histogram, where there is one, counts instead of the number."""

    left: Floats
    right: Floats
    left_histograms: Histograms | None
    right_histograms: Histograms | None

    def with_histograms(self, present: Bools) -> Bools:
        """Tell which cells have a histogram on one side at least."""
        found = np.zeros(present.shape, dtype=np.bool_)
        for histograms in (self.left_histograms, self.right_histograms):
            if histograms is not None:
                found |= filled(histograms)
        return found & present

    def at(self, row: int, step: int) -> tuple[Side, Side]:
        """Return both samples of a cell."""
        return (
            _one(self.left, self.left_histograms, row, step),
            _one(self.right, self.right_histograms, row, step),
        )


def _one(numbers: Floats, histograms: Histograms | None, row: int, step: int) -> Side:
    held: Histogram | None = None if histograms is None else histograms[row, step]
    # One number for all series has one row only.
    return float(numbers[min(row, numbers.shape[0] - 1), step]) if held is None else held


def beside(frame: Frame[Binary], numbers: VectorValue, sides: Sides, present: Bools) -> VectorValue:
    """Put what an operator makes of histograms beside the answer `numbers` to the plain numbers.

    Of what there is to be said at a step only the last is, as Prometheus does.
    """
    node = frame.node
    asked = present if node.op in TRIMS else sides.with_histograms(present)
    kept, truth, out = np.zeros_like(present), np.zeros_like(present), no_histograms(present.shape)
    for step in np.flatnonzero(asked.any(axis=0)).tolist():
        said = Outcome()
        for row in np.flatnonzero(asked[:, step]).tolist():
            outcome = combined(node.op, *sides.at(row, step))
            said = outcome if outcome.warning or outcome.info else said
            if outcome.histogram is not None:
                kept[row, step], truth[row, step] = outcome.kept or node.returns_bool, outcome.kept
                out[row, step] = None if node.returns_bool or not outcome.kept else outcome.histogram
        _say(frame, said)
    values = np.where(kept, truth, numbers.values)
    histograms = None if node.returns_bool else out
    return VectorValue(numbers.labels, values, (numbers.present & ~asked) | kept, numbers.drops_name, histograms)


def _say(frame: Frame[Binary], outcome: Outcome) -> None:
    if outcome.warning:
        frame.notes.warn(outcome.warning, frame.place)
    elif outcome.info:
        frame.notes.inform(outcome.info, frame.place)


def combined(op: str, left: Side, right: Side) -> Outcome:
    """Apply an operator to two samples, one of which is a histogram or the operator a trim."""
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        return _two(op, left, right)
    if isinstance(left, Histogram) and not isinstance(right, Histogram):
        change = WITH_NUMBER.get(op)
        return _mistyped(op, left, right) if change is None else Outcome(change(left, right), kept=True)
    if isinstance(right, Histogram) and not isinstance(left, Histogram) and op == "*":
        return Outcome(compacted(multiplied(right, left)), kept=True)
    return _mistyped(op, left, right)


WITH_NUMBER: dict[str, Callable[[Histogram, float], Histogram]] = {
    "*": lambda histogram, number: compacted(multiplied(histogram, number)),
    "/": lambda histogram, number: compacted(divided_by(histogram, number)),
    "</": lambda histogram, number: trimmed(histogram, number, above=True),
    ">/": lambda histogram, number: trimmed(histogram, number, above=False),
}


def _two(op: str, left: Histogram, right: Histogram) -> Outcome:
    if op in {"==", "!="}:
        return Outcome(left, kept=equal(left, right) is (op == "=="))
    if op not in {"+", "-"}:
        return _mistyped(op, left, right)
    operation = ADDITION if op == "+" else SUBTRACTION
    try:
        result, remarks = added(left, right) if op == "+" else subtracted(left, right)
    except IncompatibleSchemas:
        return Outcome(warning=f"incompatible bucket layout encountered for binary operator {op}")
    if remarks.hints_collide:
        return Outcome(warning=hints_collide(operation))
    if op == "-":
        result = replace(result, reset_hint=ResetHint.GAUGE)
    return Outcome(result, kept=True, info=bounds_reconciled(operation) if remarks.bounds_differ else "")


def _mistyped(op: str, left: Side, right: Side) -> Outcome:
    kinds = ["histogram" if isinstance(side, Histogram) else "float" for side in (left, right)]
    return Outcome(
        info=f"incompatible sample types encountered for binary operator {quoted(op)}: {kinds[0]} {op} {kinds[1]}"
    )
