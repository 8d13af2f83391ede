"""Binary operators: between numbers, between a vector and a number, between vectors."""

from collections.abc import Callable

import numpy as np

from metrics.promql.frames import Frame
from metrics.promql.labels import merged
from metrics.promql.matching import Pairs, filled, match_pairs, set_operation
from metrics.promql.native.binary import TRIMS, Sides, beside
from metrics.promql.nodes import Binary
from metrics.promql.operands import Operand, ScalarValue, VectorValue
from metrics.promql.types import Bools, Floats, QueryError

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
COMPARISONS: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SET_OPERATORS = frozenset({"and", "or", "unless"})


def combine(frame: Frame[Binary], left: Operand, right: Operand) -> Operand:
    """Apply a binary operator to two operands."""
    node = frame.node
    if not any(node.op in known for known in (ARITHMETIC, COMPARISONS, SET_OPERATORS, TRIMS)):
        raise QueryError(f"operator {node.op!r} is not supported", kind="unsupported")
    match left, right:
        case VectorValue(), VectorValue() if node.op in SET_OPERATORS:
            return merged(set_operation(node.op, left, right, node.matching))
        case VectorValue(), VectorValue():
            return _vectors(frame, left, right)
        case ScalarValue(), ScalarValue():
            return ScalarValue(_numbers(node.op, left.values, right.values))
        case VectorValue(), ScalarValue():
            numbers = _with_number(frame, left, left.values, right.values[None, :])
            return _beside(frame, numbers, left, Sides(left.values, right.values[None, :], left.histograms, None))
        case ScalarValue(), VectorValue():
            numbers = _with_number(frame, right, left.values[None, :], right.values)
            return _beside(frame, numbers, right, Sides(left.values[None, :], right.values, None, right.histograms))
        case _:
            raise QueryError("binary operators need numbers or instant vectors", kind="bad_data")


def _beside(frame: Frame[Binary], numbers: VectorValue, vector: VectorValue, sides: Sides) -> VectorValue:
    if vector.histograms is None and frame.node.op not in TRIMS:
        return numbers
    return beside(frame, numbers, sides, vector.present)


def _numbers(op: str, left: Floats, right: Floats) -> Floats:
    if op in ARITHMETIC:
        return ARITHMETIC[op](left, right)
    return COMPARISONS[op](left, right).astype(np.float64)


def _with_number(frame: Frame[Binary], vector: VectorValue, left: Floats, right: Floats) -> VectorValue:
    node = frame.node
    if node.op in ARITHMETIC or node.returns_bool:
        return vector.with_values(_numbers(node.op, left, right), drops_name=True)
    if node.op in TRIMS:
        return vector
    kept = COMPARISONS[node.op](left, right)
    return VectorValue(vector.labels, vector.values, vector.present & kept, vector.drops_name)


def _vectors(frame: Frame[Binary], left: VectorValue, right: VectorValue) -> VectorValue:
    node = frame.node
    filters = node.op in TRIMS or (node.op in COMPARISONS and not node.returns_bool)
    pairs = match_pairs(left, right, node.matching, keeps_name=node.op in COMPARISONS or node.op in TRIMS)
    left, right = filled(left, _fill_of(node, "left")), filled(right, _fill_of(node, "right"))
    a, b = left.values[pairs.left], right.values[pairs.right]
    if filters:
        kept = pairs.present if node.op in TRIMS else pairs.present & COMPARISONS[node.op](a, b)
        many = (right, pairs.right) if node.matching.side == "one-to-many" else (left, pairs.left)
        numbers = VectorValue(pairs.labels, a, kept, many[0].drops_name[many[1]])
    else:
        numbers = _paired(pairs, _numbers(node.op, a, b), pairs.present, drops=node.returns_bool)
    if node.op in TRIMS or left.histograms is not None or right.histograms is not None:
        histograms = (
            None if side.histograms is None else side.histograms[rows]
            for side, rows in ((left, pairs.left), (right, pairs.right))
        )
        numbers = beside(frame, numbers, Sides(a, b, *histograms), pairs.present)
    return merged(numbers)


def _fill_of(node: Binary, side: str) -> float | None:
    one = "left" if node.matching.side == "one-to-many" else "right"
    return node.matching.fill_right if side == one else node.matching.fill_left


def _paired(pairs: Pairs, values: Floats, present: Bools, *, drops: bool) -> VectorValue:
    return VectorValue(pairs.labels, values, present, np.full(len(pairs.labels), drops, dtype=np.bool_))
