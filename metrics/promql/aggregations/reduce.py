"""Evaluate an aggregation over a vector."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from metrics.native_histograms.text import described, general
from metrics.promql.aggregations import kernels
from metrics.promql.aggregations.grouping import Groups, group_labels, group_series
from metrics.promql.aggregations.sampling import places_of, within
from metrics.promql.annotations import INVALID_QUANTILE, INVALID_RATIO
from metrics.promql.frames import Frame, parameter_place
from metrics.promql.labels import NAME, Signature, numbered, without
from metrics.promql.native.aggregations import GATHERED, gathered, numbers_only
from metrics.promql.nodes import Aggregate, place_of
from metrics.promql.numbers import shortest_decimal
from metrics.promql.operands import ScalarValue, VectorValue, empty_vector, refuse_too_many
from metrics.promql.syntax.strings import quoted, sound
from metrics.promql.types import Floats, Ints, Limits, QueryError

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


def aggregate(frame: Frame[Aggregate], vector: VectorValue, parameter: ScalarValue | None, label: str) -> VectorValue:
    """Aggregate; `parameter` is the number of topk and its like, `label` the text of count_values."""
    node = frame.node
    if node.op == "count_values":
        if not label or sound(label) != label:
            raise QueryError(f"invalid label name {quoted(label)}")
        return _count_values(node, vector, label, frame.limits)
    numbers = np.empty(0) if parameter is None else parameter.values
    if node.op in {"topk", "bottomk", "limitk"}:
        return _chosen(frame, vector, numbers)
    if node.op == "limit_ratio":
        return _shared(frame, vector, numbers)
    groups = group_series(node, vector)
    if vector.histograms is not None and node.op in GATHERED:
        return gathered(frame, vector, groups, lambda part: _reduced(frame, part, groups))
    if node.op in {"count", "group"}:
        return _counted(vector, groups, as_one=node.op == "group")
    vector = numbers_only(frame, vector, place_of(node.expr))
    if node.op in REDUCTIONS:
        return _reduced(frame, vector, groups)
    if node.op == "quantile":
        return _quantiles(frame, vector, groups, numbers)
    raise QueryError(f"aggregation {node.op!r} is not supported", kind="unsupported")


def _reduced(frame: Frame[Aggregate], vector: VectorValue, groups: Groups) -> VectorValue:
    shape = (len(groups.labels), vector.values.shape[1])
    out, counts = np.empty(shape), np.empty(shape)
    kernels.reduce_groups(REDUCTIONS[frame.node.op], vector.values, vector.present, groups.of, out, counts)
    return VectorValue(groups.labels, out, counts > 0, groups.drops_name)


def _counted(vector: VectorValue, groups: Groups, *, as_one: bool) -> VectorValue:
    counts = np.zeros((len(groups.labels), vector.values.shape[1]))
    np.add.at(counts, groups.of, vector.present)
    present = counts > 0
    return VectorValue(groups.labels, present.astype(np.float64) if as_one else counts, present, groups.drops_name)


def _quantiles(frame: Frame[Aggregate], vector: VectorValue, groups: Groups, q: Floats) -> VectorValue:
    for outside in (
        q[np.isnan(q)][:1],
        [np.nanmax(q)] if (q > 1).any() else [],
        [np.nanmin(q)] if (q < 0).any() else [],
    ):
        for value in outside:
            frame.notes.warn(f"{INVALID_QUANTILE}, got {general(float(value))}", parameter_place(frame))
    shape = (len(groups.labels), vector.values.shape[1])
    out, seen = np.empty(shape), np.empty(shape, np.bool_)
    kernels.group_quantiles(q, vector.values, vector.present, groups.starts, groups.members, out, seen)
    return VectorValue(groups.labels, out, seen, groups.drops_name)


def _chosen(frame: Frame[Aggregate], vector: VectorValue, numbers: Floats) -> VectorValue:
    node = frame.node
    if not numbers.size or not bool((np.nan_to_num(numbers, nan=np.inf) >= 1).any()):
        return empty_vector(vector.values.shape[1])
    if bool(np.isnan(numbers).any()):
        raise QueryError("Parameter value is NaN")
    if np.min(numbers) <= -INT64_LIMIT:
        raise QueryError(f"Scalar value {general(float(np.min(numbers)))} underflows int64")
    if np.max(numbers) >= INT64_LIMIT:
        raise QueryError(f"Scalar value {general(float(np.max(numbers)))} overflows int64")
    if node.op in {"topk", "bottomk"}:
        vector = numbers_only(frame, vector, frame.place)
    groups = group_series(node, vector)
    ranks = {"topk": -vector.values, "bottomk": vector.values, "limitk": np.zeros_like(vector.values)}[node.op]
    kept = np.zeros(vector.present.shape, dtype=np.bool_)
    wanted = np.clip(numbers, 0, len(vector.labels)).astype(np.int64)
    kernels.best_of_groups(wanted, ranks, vector.present, groups.starts, groups.members, kept)
    chosen = VectorValue(vector.labels, vector.values, kept, vector.drops_name, vector.histograms)
    rows = np.flatnonzero(kept.any(axis=1))
    if vector.values.shape[1] == 1:
        rows = rows[np.lexsort((ranks[rows, 0], groups.of[rows]))]
    return chosen.rows(rows)


def _shared(frame: Frame[Aggregate], vector: VectorValue, shares: Floats) -> VectorValue:
    """Keep a share of the series, chosen by their labels."""
    if not bool((np.nan_to_num(shares, nan=1.0) != 0).any()):
        return empty_vector(vector.values.shape[1])
    if bool(np.isnan(shares).any()):
        raise QueryError("Ratio value is NaN")
    for outside, most in ((np.max(shares), 1.0), (np.min(shares), -1.0)):
        if outside / most > 1.0:
            text = f"{INVALID_RATIO}, got {general(float(outside))}, capping to {general(most)}"
            frame.notes.warn(text, parameter_place(frame))
    kept = vector.present & within(places_of(vector.labels), shares)
    chosen = VectorValue(vector.labels, vector.values, kept, vector.drops_name, vector.histograms)
    return chosen.rows(np.flatnonzero(kept.any(axis=1)))


def _count_values(node: Aggregate, vector: VectorValue, label: str, limits: Limits) -> VectorValue:
    steps = vector.values.shape[1]
    rows, columns = np.nonzero(vector.present)
    if not rows.size:
        return empty_vector(steps)
    kept = [without(group_labels(node, labels), (label,)) for labels in vector.labels]
    numbers: dict[Signature, int] = {}
    group = numbered((frozenset(labels.items()) for labels in kept), numbers)
    first = np.unique(group, return_index=True)[1].tolist()
    # `without` takes away the label that would tell the values apart.
    hidden = node.without and label in {*node.grouping, NAME}
    value, texts = (np.zeros_like(rows), [""]) if hidden else _value_texts(vector, rows, columns)
    places, place = np.unique(group[rows] * len(texts) + value, return_inverse=True)
    refuse_too_many(places.size, steps, limits)
    counts = np.bincount(place * steps + columns, minlength=places.size * steps).reshape(-1, steps).astype(np.float64)
    labels = [
        kept[first[code // len(texts)]] | ({} if hidden else {label: texts[code % len(texts)]})
        for code in places.tolist()
    ]
    return VectorValue(labels, counts, counts > 0, np.zeros(len(labels), dtype=np.bool_))


def _value_texts(vector: VectorValue, rows: Ints, columns: Ints) -> tuple[Ints, list[str]]:
    """Give the distinct values of some cells numbers and texts."""
    distinct, value = np.unique(_ordered_bits(vector.values[rows, columns]), return_inverse=True)
    texts = [shortest_decimal(number) for number in _from_ordered_bits(distinct).tolist()]
    if vector.histograms is not None:
        known: dict[str, int] = {}
        for place, histogram in enumerate(vector.histograms[rows, columns].tolist()):
            if histogram is not None:
                value[place] = known.setdefault(described(histogram), len(texts) + len(known))
        texts.extend(known)
    return value.astype(np.int64), texts


def _ordered_bits(values: Floats) -> Ints:
    """Map floats to integers of the same order, so that -0 differs from 0 and all NaN are one."""
    bits = np.where(np.isnan(values), np.nan, values).view(np.int64)
    return bits ^ ((bits >> 63) & np.int64(2**63 - 1))


def _from_ordered_bits(bits: Ints) -> Floats:
    return (bits ^ ((bits >> 63) & np.int64(2**63 - 1))).view(np.float64)
