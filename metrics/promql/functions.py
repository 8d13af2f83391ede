"""Functions of instant vectors and numbers, by name."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from metrics.promql.annotations import SORT_IN_RANGE
from metrics.promql.frames import Frame
from metrics.promql.histograms.calls import fraction_call, quantile_call, quantiles_call
from metrics.promql.mathematics import CALENDAR, ELEMENTWISE, maximum, minimum, rounded
from metrics.promql.native.cells import numbers_of, read_from_histograms
from metrics.promql.native.functions import READINGS
from metrics.promql.nodes import Call, Node, RangeSelector, Selector
from metrics.promql.operands import Operand, ScalarValue, TextValue, VectorValue, empty_vector, vector_of
from metrics.promql.relabelling import label_replaced, labels_joined, sorted_by_label, sorted_by_value
from metrics.promql.rolling import ROLLUP_LABEL
from metrics.promql.types import Floats, QueryError

# These leave histograms out without a word, as all elementwise functions do.
NUMBERS_ONLY = frozenset({"clamp", "clamp_min", "clamp_max", "round", "sort", "sort_desc", "scalar"})
SORTS = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})
Function: TypeAlias = Callable[[Frame[Call], list[Any]], Operand]


def call(frame: Frame[Call], arguments: list[Operand]) -> Operand:
    """Evaluate a function whose arguments are known."""
    name = frame.node.name
    if name in READINGS:
        return read_from_histograms(_vector_in(arguments), READINGS[name])
    if name in ELEMENTWISE or name in CALENDAR or name in NUMBERS_ONLY:
        arguments = [numbers_of(one) if isinstance(one, VectorValue) else one for one in arguments]
    if name in ELEMENTWISE:
        return _each(arguments[0], ELEMENTWISE[name])
    if name in CALENDAR:
        return _each(arguments[0] if arguments else _vector(frame, [_time(frame, [])]), CALENDAR[name])
    if name in SORTS and not frame.grid.is_instant:
        frame.notes.warn(SORT_IN_RANGE, frame.place)
    if name not in FUNCTIONS:
        raise QueryError(f"function {name!r} is not supported", kind="unsupported")
    return FUNCTIONS[name](frame, arguments)


def _vector_in(arguments: list[Operand]) -> VectorValue:
    if arguments and isinstance(arguments[0], VectorValue):
        return arguments[0]
    raise QueryError("the function needs an instant vector", kind="bad_data")


def _each(argument: Operand, function: Callable[[Floats], Floats]) -> VectorValue:
    if not isinstance(argument, VectorValue):
        raise QueryError("the function needs an instant vector", kind="bad_data")
    return argument.with_values(function(argument.values), drops_name=True)


def _time(frame: Frame[Call], _arguments: list[Any]) -> ScalarValue:
    return ScalarValue(frame.grid.times_ms / 1000.0)


def _vector(frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    values = arguments[0].values[None, :].copy()
    return vector_of([{}], values, np.ones((1, frame.grid.count), dtype=np.bool_))


def _scalar(frame: Frame[Call], arguments: list[Any]) -> ScalarValue:
    vector = arguments[0]
    if not vector.labels:
        return ScalarValue(np.full(frame.grid.count, np.nan))
    only = np.where(vector.present, vector.values, 0.0).sum(axis=0)
    single = vector.present.sum(axis=0) == 1
    chosen = vector.values[np.argmax(vector.present, axis=0), np.arange(frame.grid.count)]
    return ScalarValue(np.where(single, chosen, np.nan * only if only.size else np.nan))


def _clamp(_frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    vector, low, high = arguments[0], arguments[1].values, arguments[2].values
    result: VectorValue = vector.with_values(maximum(low, minimum(high, vector.values)), drops_name=True)
    return VectorValue(result.labels, result.values, result.present & ~(high < low)[None, :], result.drops_name)


def _bounded(bound: Callable[[Floats, Floats], Floats], arguments: list[Any]) -> Any:
    return arguments[0].with_values(bound(arguments[1].values, arguments[0].values), drops_name=True)


def _round(frame: Frame[Call], arguments: list[Any]) -> Any:
    to_nearest = arguments[1].values if len(arguments) > 1 else np.ones(frame.grid.count)
    return arguments[0].with_values(rounded(arguments[0].values, to_nearest), drops_name=True)


def _timestamp(frame: Frame[Call], arguments: list[Any]) -> Any:
    values = np.broadcast_to(frame.grid.times_ms / 1000.0, arguments[0].values.shape).copy()
    return arguments[0].with_values(values, drops_name=True)


def _label_replace(_frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    return label_replaced(arguments[0], *(argument.text for argument in arguments[1:]))


def _label_join(_frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    target, separator, *sources = (argument.text for argument in arguments[1:])
    return labels_joined(arguments[0], target, separator, sources)


def _sort(frame: Frame[Call], arguments: list[Any], *, falling: bool) -> Any:
    return sorted_by_value(arguments[0], falling=falling) if frame.grid.is_instant else arguments[0]


def _sort_by_label(_frame: Frame[Call], arguments: list[Any], *, falling: bool) -> VectorValue:
    names = [argument.text for argument in arguments[1:] if isinstance(argument, TextValue)]
    return sorted_by_label(arguments[0], names, falling=falling)


FUNCTIONS: dict[str, Function] = {
    "time": _time,
    "pi": lambda frame, _arguments: ScalarValue(np.full(frame.grid.count, np.pi)),
    "vector": _vector,
    "scalar": _scalar,
    "clamp": _clamp,
    "clamp_min": lambda _frame, arguments: _bounded(maximum, arguments),
    "clamp_max": lambda _frame, arguments: _bounded(minimum, arguments),
    "round": _round,
    "timestamp": _timestamp,
    "histogram_quantile": quantile_call,
    "histogram_quantiles": quantiles_call,
    "histogram_fraction": fraction_call,
    "label_replace": _label_replace,
    "label_join": _label_join,
    "sort": lambda frame, arguments: _sort(frame, arguments, falling=False),
    "sort_desc": lambda frame, arguments: _sort(frame, arguments, falling=True),
    "sort_by_label": lambda frame, arguments: _sort_by_label(frame, arguments, falling=False),
    "sort_by_label_desc": lambda frame, arguments: _sort_by_label(frame, arguments, falling=True),
    "max_of": lambda _frame, arguments: ScalarValue(maximum(arguments[0].values, arguments[1].values)),
    "min_of": lambda _frame, arguments: ScalarValue(minimum(arguments[0].values, arguments[1].values)),
}


def absence(node: Node, vector: VectorValue, steps: int) -> VectorValue:
    """Return 1 at the steps where nothing is present, named after the selector's plain equalities."""
    missing = ~vector.present.any(axis=0) if vector.labels else np.ones(steps, dtype=np.bool_)
    if not bool(missing.any()):
        return empty_vector(steps)
    absent = vector_of([_labels_of_absence(node)], np.ones((1, steps)), missing[None, :])
    absent.drops_name[:] = True
    return absent


def _labels_of_absence(node: Node) -> dict[str, str]:
    selector = node.selector if isinstance(node, RangeSelector) else node
    if not isinstance(selector, Selector) or len(selector.alternatives) > 1:
        return {}
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.alternatives[0]:
        if matcher.op == "=" and matcher.name not in seen:
            seen.add(matcher.name)
            labels[matcher.name] = matcher.value
        else:
            labels.pop(matcher.name, None)
    return {name: value for name, value in labels.items() if name not in ("__name__", ROLLUP_LABEL) and value}
