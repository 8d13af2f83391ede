"""Evaluate an aggregation over a vector."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from metrics.promql.aggregations import kernels
from metrics.promql.aggregations.grouping import Groups, group_labels, group_series
from metrics.promql.labels import merged
from metrics.promql.nodes import Aggregate
from metrics.promql.numbers import shortest_decimal
from metrics.promql.operands import ScalarValue, VectorValue, empty_vector
from metrics.promql.types import Floats, QueryError

INT64_LIMIT = 2.0**63
Reducer: TypeAlias = Callable[[VectorValue, Groups, Floats], VectorValue]
REDUCTIONS = {
    "sum": kernels.SUM,
    "avg": kernels.AVG,
    "min": kernels.MIN,
    "max": kernels.MAX,
    "stdvar": kernels.STDVAR,
    "stddev": kernels.STDDEV,
}


def aggregate(node: Aggregate, vector: VectorValue, parameter: ScalarValue | None, label: str) -> VectorValue:
    """Aggregate; `parameter` is the number of topk and its like, `label` the text of count_values."""
    if node.op == "count_values":
        return _count_values(node, vector, label)
    numbers = np.empty(0) if parameter is None else parameter.values
    if node.op in {"topk", "bottomk", "limitk"}:
        return _chosen(node, vector, numbers)
    groups = group_series(node, vector)
    if node.op in REDUCTIONS:
        return _reduced(REDUCTIONS[node.op], vector, groups)
    if node.op in {"count", "group"}:
        return _counted(vector, groups, as_one=node.op == "group")
    if node.op == "quantile":
        return _quantiles(vector, groups, numbers)
    raise QueryError(f"aggregation {node.op!r} is not supported", kind="unsupported")


def _reduced(op: int, vector: VectorValue, groups: Groups) -> VectorValue:
    shape = (len(groups.labels), vector.values.shape[1])
    out, counts = np.empty(shape), np.empty(shape)
    kernels.reduce_groups(op, vector.values, vector.present, groups.of, out, counts)
    return VectorValue(groups.labels, out, counts > 0, groups.drops_name)


def _counted(vector: VectorValue, groups: Groups, *, as_one: bool) -> VectorValue:
    counts = np.zeros((len(groups.labels), vector.values.shape[1]))
    np.add.at(counts, groups.of, vector.present)
    present = counts > 0
    return VectorValue(groups.labels, present.astype(np.float64) if as_one else counts, present, groups.drops_name)


def _quantiles(vector: VectorValue, groups: Groups, q: Floats) -> VectorValue:
    shape = (len(groups.labels), vector.values.shape[1])
    out, seen = np.empty(shape), np.empty(shape, np.bool_)
    kernels.group_quantiles(q, vector.values, vector.present, groups.starts, groups.members, out, seen)
    return VectorValue(groups.labels, out, seen, groups.drops_name)


def _chosen(node: Aggregate, vector: VectorValue, numbers: Floats) -> VectorValue:
    if not numbers.size or not bool((np.nan_to_num(numbers, nan=np.inf) >= 1).any()):
        return empty_vector(vector.values.shape[1])
    if bool(np.isnan(numbers).any()):
        raise QueryError("Parameter value is NaN")
    if bool((np.abs(numbers) >= INT64_LIMIT).any()):
        raise QueryError(f"Scalar value {numbers[np.argmax(np.abs(numbers))]} overflows int64")
    groups = group_series(node, vector)
    ranks = {"topk": -vector.values, "bottomk": vector.values, "limitk": np.zeros_like(vector.values)}[node.op]
    kept = np.zeros(vector.present.shape, dtype=np.bool_)
    wanted = np.clip(numbers, 0, len(vector.labels)).astype(np.int64)
    kernels.best_of_groups(wanted, ranks, vector.present, groups.starts, groups.members, kept)
    chosen = VectorValue(vector.labels, vector.values, kept, vector.drops_name)
    rows = np.flatnonzero(kept.any(axis=1))
    if vector.values.shape[1] == 1:
        rows = rows[np.lexsort((ranks[rows, 0], groups.of[rows]))]
    return chosen.rows(rows)


def _count_values(node: Aggregate, vector: VectorValue, label: str) -> VectorValue:
    labels: list[dict[str, str]] = []
    places: dict[frozenset[tuple[str, str]], int] = {}
    counts: list[Floats] = []
    steps = vector.values.shape[1]
    for row, source in enumerate(vector.labels):
        here = vector.present[row]
        for value in np.unique(vector.values[row][here]).tolist():
            named = group_labels(node, {**source, label: shortest_decimal(value)})
            if label in node.grouping or not node.without:
                named = {**named, label: shortest_decimal(value)} if not node.without else named
            place = places.setdefault(frozenset(named.items()), len(labels))
            if place == len(labels):
                labels.append(named)
                counts.append(np.zeros(steps))
            same = np.isnan(vector.values[row]) if np.isnan(value) else vector.values[row] == value
            counts[place] += here & same
    if not labels:
        return empty_vector(steps)
    stacked = np.array(counts)
    return merged(VectorValue(labels, stacked, stacked > 0, np.zeros(len(labels), dtype=np.bool_)))
