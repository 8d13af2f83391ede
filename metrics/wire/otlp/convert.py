"""An ExportMetricsServiceRequest to rows of series."""

from collections.abc import Sequence
from typing import Any

from metrics.domain import MAX_NAME_BYTES, Metadata
from metrics.wire.otlp import points
from metrics.wire.otlp.attributes import texts_of
from metrics.wire.otlp.labels import LabelNames, Origin, origin_of, target_info_labels
from metrics.wire.otlp.naming import BadName, Instrument, metric_name, unit_name
from metrics.wire.otlp.points import Family
from metrics.wire.otlp.rows import NO_POINT, Rows, Translation

DELTA, CUMULATIVE = 1, 2
# Half of how far a query looks back, so that every moment between two points finds the target.
TARGET_INFO_EVERY_MS = 150_000
MAX_TARGET_INFO = 100
WRITERS = {
    "gauge": points.number, "sum": points.number, "histogram": points.histogram,
    "exponential_histogram": points.exponential, "summary": points.summary,
}  # fmt: skip
TYPES = {"gauge": "gauge", "histogram": "histogram", "exponential_histogram": "histogram", "summary": "summary"}


def rows_of(request: Any, translation: Translation, rows: Rows | None = None) -> Rows:
    """Return the rows of a request; what cannot be taken is counted with its reason."""
    rows = rows or Rows()
    names = LabelNames(translation.strategy)
    info: dict[tuple[frozenset[tuple[str, str]], int], dict[str, str]] = {}
    for resource_metrics in request.resource_metrics:
        attributes = texts_of(resource_metrics.resource.attributes)
        try:
            origin = origin_of(attributes, names, translation)
            labels = target_info_labels(attributes, origin)
        except BadName as error:
            _refuse(rows, str(error), sum(_size(scope.metrics) for scope in resource_metrics.scope_metrics))
            continue
        first = len(rows.timestamps_ms)
        for scope_metrics in resource_metrics.scope_metrics:
            _scope(rows, scope_metrics, origin, translation)
        if labels and len(rows.timestamps_ms) > first:
            for at_ms in _info_times(rows.timestamps_ms[first:]):
                info[frozenset(labels.items()), at_ms] = labels
    _target_info(rows, info)
    return rows


def _info_times(times_ms: Sequence[int]) -> list[int]:
    low, high = min(times_ms), max(times_ms)
    return [*range(low, high, max(TARGET_INFO_EVERY_MS, (high - low) // MAX_TARGET_INFO + 1)), high]


def _target_info(rows: Rows, info: dict[Any, dict[str, str]]) -> None:
    for (_, at_ms), labels in info.items():
        rows.sample_points[rows.add(labels, at_ms, 1.0)] = NO_POINT
    if info:
        rows.metadata["target_info"] = Metadata("target_info", "gauge", "", "Target metadata")


def _scope(rows: Rows, scope_metrics: Any, origin: Origin, translation: Translation) -> None:
    try:
        within = origin.within(scope_metrics, translation)
    except BadName as error:
        _refuse(rows, str(error), _size(scope_metrics.metrics))
        return
    for metric in scope_metrics.metrics:
        kind = metric.WhichOneof("data")
        if kind is not None:
            _metric(rows, metric, kind, within, translation)


def _metric(rows: Rows, metric: Any, kind: str, origin: Origin, translation: Translation) -> None:
    data = getattr(metric, kind)
    temporality = getattr(data, "aggregation_temporality", CUMULATIVE)
    monotonic = kind == "sum" and data.is_monotonic
    if temporality not in (DELTA, CUMULATIVE):
        reason = f"the metric {metric.name[:80]!r} does not say whether it is delta or cumulative"
        _refuse(rows, reason, len(data.data_points))
        return
    try:
        instrument = Instrument(metric.name, metric.unit, monotonic, kind == "gauge")
        name = metric_name(instrument, translation.strategy)
    except BadName as error:
        _refuse(rows, str(error), len(data.data_points))
        return
    first = len(rows.labels)
    family = Family(name, origin, translation, temporality == DELTA, monotonic)
    points.points_write(rows, family, data.data_points, WRITERS[kind])
    if len(rows.labels) > first:
        _declare(rows, metric, name, "counter" if monotonic else TYPES.get(kind, "gauge"))


def _declare(rows: Rows, metric: Any, name: str, kind: str) -> None:
    unit, text = unit_name(metric.unit), metric.description
    if "\0" not in name + unit + text and len(name.encode()) <= MAX_NAME_BYTES:
        rows.metadata[name] = Metadata(name, kind, unit[:64], text[:4_096])


def _size(metrics: Sequence[Any]) -> int:
    kinds = ((metric, metric.WhichOneof("data")) for metric in metrics)
    return sum(len(getattr(metric, kind).data_points) for metric, kind in kinds if kind is not None)


def _refuse(rows: Rows, reason: str, count: int) -> None:
    rows.points += count
    if count:
        rows.refused[reason] += count
