"""Aggregations over series that come in parts: each part is reduced where it was read, and the few rows put together.

The many series of a part are in a processor's cache when they are reduced, and no thread waits for another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metrics.promql.aggregations import kernels
from metrics.promql.aggregations.grouping import group_series
from metrics.promql.labels import Signature, numbered
from metrics.promql.nodes import Aggregate
from metrics.promql.operands import VectorValue, empty_vector
from metrics.promql.types import Bools, Floats, Ints

EXTREMES = {"min": kernels.MIN, "max": kernels.MAX}
IN_PARTS = frozenset({"sum", "avg", "count", "group", *EXTREMES})


@dataclass(slots=True)
class Part:
    """The groups of some series: the reduced values, what rounding took from sums, and how many had a value."""

    labels: list[dict[str, str]]
    values: Floats
    lost: Floats
    counts: Floats
    drops_name: Bools


def reduced_part(node: Aggregate, vector: VectorValue) -> Part | None:
    """Return the groups of some series, None where there are histograms among them."""
    if vector.histograms is not None:
        return None
    groups = group_series(node, vector)
    shape = (len(groups.labels), vector.values.shape[1])
    values, lost, counts = np.empty(shape), np.zeros(shape), np.empty(shape)
    if node.op in EXTREMES:
        kernels.reduce_groups(EXTREMES[node.op], vector.values, vector.present, groups.of, values, counts)
    else:
        kernels.sum_groups(vector.values, vector.present, groups.of, values, lost, counts)
    return Part(groups.labels, values, lost, counts, groups.drops_name)


def parts_together(node: Aggregate, found: Sequence[Part | None], steps: int) -> VectorValue | None:
    """Return the answer of all parts, None where they cannot be put together and have to be reduced at once."""
    parts = [part for part in found if part is not None]
    if len(parts) < len(found):
        return None
    if not parts:
        return empty_vector(steps)
    labels = [one for part in parts for one in part.labels]
    numbers: dict[Signature, int] = {}
    group = numbered((frozenset(one.items()) for one in labels), numbers)
    first = np.unique(group, return_index=True)[1].tolist()
    values, counts = _merged(node, parts, group, (len(numbers), steps))
    if node.op == "avg" and bool(np.isinf(values).any()):
        # What overflows is averaged step by step, which needs every series.
        return None
    drops = np.zeros(len(numbers), dtype=np.bool_)
    drops[group[np.concatenate([part.drops_name for part in parts])]] = True
    return VectorValue([labels[row] for row in first], values, counts > 0, drops)


def _merged(node: Aggregate, parts: Sequence[Part], group: Ints, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    values, counts = np.concatenate([part.values for part in parts]), np.concatenate([part.counts for part in parts])
    out, out_counts = np.empty(shape), np.empty(shape)
    if node.op in EXTREMES:
        kernels.reduce_groups(EXTREMES[node.op], values, counts > 0, group, out, out_counts)
        return out, out_counts
    lost, out_lost = np.concatenate([part.lost for part in parts]), np.empty(shape)
    kernels.merge_sums(values, lost, counts, group, out, out_lost, out_counts)
    if node.op == "sum":
        return out + out_lost, out_counts
    if node.op == "avg":
        return out / out_counts + out_lost / out_counts, out_counts
    return (out_counts if node.op == "count" else (out_counts > 0).astype(np.float64)), out_counts
