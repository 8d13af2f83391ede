"""Binary operators: between numbers, between a vector and a number, between vectors."""

from collections.abc import Callable

import numpy as np

from metrics.promql.frames import Frame
from metrics.promql.labels import merged
from metrics.promql.matching import Pairs, match_pairs, set_operation
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
    if node.op not in ARITHMETIC and node.op not in COMPARISONS and node.op not in SET_OPERATORS:
        raise QueryError(f"operator {node.op!r} is not supported", kind="unsupported")
    match left, right:
        case VectorValue(), VectorValue() if node.op in SET_OPERATORS:
            return merged(set_operation(node.op, left, right, node.matching))
        case VectorValue(), VectorValue():
            return _vectors(frame, left, right)
        case ScalarValue(), ScalarValue():
            return ScalarValue(_numbers(node.op, left.values, right.values))
        case VectorValue(), ScalarValue():
            return _with_number(frame, left, left.values, right.values[None, :])
        case ScalarValue(), VectorValue():
            return _with_number(frame, right, left.values[None, :], right.values)
        case _:
            raise QueryError("binary operators need numbers or instant vectors", kind="bad_data")


def _numbers(op: str, left: Floats, right: Floats) -> Floats:
    if op in ARITHMETIC:
        return ARITHMETIC[op](left, right)
    return COMPARISONS[op](left, right).astype(np.float64)


def _with_number(frame: Frame[Binary], vector: VectorValue, left: Floats, right: Floats) -> VectorValue:
    node = frame.node
    if node.op in ARITHMETIC or node.returns_bool:
        return vector.with_values(_numbers(node.op, left, right), drops_name=True)
    kept = COMPARISONS[node.op](left, right)
    return VectorValue(vector.labels, vector.values, vector.present & kept, vector.drops_name)


def _vectors(frame: Frame[Binary], left: VectorValue, right: VectorValue) -> VectorValue:
    node = frame.node
    pairs = match_pairs(left, right, node.matching, keeps_name=node.op in COMPARISONS)
    a, b = left.values[pairs.left], right.values[pairs.right]
    filters = node.op in COMPARISONS and not node.returns_bool
    kept = pairs.present & COMPARISONS[node.op](a, b) if filters else pairs.present
    if not filters:
        return merged(_paired(pairs, _numbers(node.op, a, b), pairs.present, drops=node.returns_bool))
    named_by = right.drops_name[pairs.right] if node.matching.side == "one-to-many" else left.drops_name[pairs.left]
    return merged(VectorValue(pairs.labels, a, kept, named_by))


def _paired(pairs: Pairs, values: Floats, present: Bools, *, drops: bool) -> VectorValue:
    return VectorValue(pairs.labels, values, present, np.full(len(pairs.labels), drops, dtype=np.bool_))
