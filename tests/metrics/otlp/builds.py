"""Requests made with the published messages."""

from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

DELTA, CUMULATIVE = 1, 2
NANOS = 1_000_000


def attributes(**texts: str) -> list[KeyValue]:
    return [KeyValue(key=key.replace("__", "."), value=AnyValue(string_value=text)) for key, text in texts.items()]


def number(time_ms: int, value: float, *, since_ms: int = 0, flags: int = 0, **labels: str) -> pb.NumberDataPoint:
    return pb.NumberDataPoint(
        time_unix_nano=time_ms * NANOS,
        start_time_unix_nano=since_ms * NANOS,
        as_double=value,
        flags=flags,
        attributes=attributes(**labels),
    )


def total(name: str, *points: Any, temporality: int = CUMULATIVE, monotonic: bool = True, **more: str) -> pb.Metric:
    data = pb.Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=monotonic)
    return pb.Metric(name=name, sum=data, **more)


def gauge(name: str, *points: Any, **more: str) -> pb.Metric:
    return pb.Metric(name=name, gauge=pb.Gauge(data_points=points), **more)


def explicit(time_ms: int, bounds: list[float], counts: list[int], **more: Any) -> pb.HistogramDataPoint:
    fields = {"count": sum(counts), "sum": 1.5, **more}
    return pb.HistogramDataPoint(time_unix_nano=time_ms * NANOS, explicit_bounds=bounds, bucket_counts=counts, **fields)


def histogram(name: str, *points: Any, temporality: int = CUMULATIVE) -> pb.Metric:
    return pb.Metric(name=name, histogram=pb.Histogram(data_points=points, aggregation_temporality=temporality))


def sparse(time_ms: int, counts: list[int], *, scale: int = 0, offset: int = 0, **more: Any):
    fields = {"count": sum(counts) + more.get("zero_count", 0), "sum": 2.0, **more}
    return pb.ExponentialHistogramDataPoint(
        time_unix_nano=time_ms * NANOS,
        scale=scale,
        positive=pb.ExponentialHistogramDataPoint.Buckets(offset=offset, bucket_counts=counts),
        **fields,
    )


def exponential(name: str, *points: Any, temporality: int = CUMULATIVE) -> pb.Metric:
    data = pb.ExponentialHistogram(data_points=points, aggregation_temporality=temporality)
    return pb.Metric(name=name, exponential_histogram=data)


def request(*metrics: pb.Metric, resource: dict[str, str] | None = None, scope: str = "") -> Any:
    message = ExportMetricsServiceRequest()
    one = message.resource_metrics.add()
    one.resource.attributes.extend(attributes(**(resource or {})))
    within = one.scope_metrics.add()
    within.scope.name = scope
    within.metrics.extend(metrics)
    return message
