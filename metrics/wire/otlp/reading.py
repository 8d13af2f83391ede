"""Bytes to an ExportMetricsServiceRequest: protobuf as a whole, JSON point by point, both measured first."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics.wire import kernels as wire_kernels
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.otlp import kernels
from metrics.wire.otlp.histograms import MAX_BUCKETS
from metrics.wire.otlp.rows import Rows

MAX_DECODED_BYTES = 64 << 20
MAX_POINTS = 500_000
MAX_MESSAGES = 6_000_000
MAX_BUCKET_BYTES = 16 << 20
MAX_JSON_NODES = 4_000_000
MAX_JSON_DEPTH = 64
DATA = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
# In both spellings that JSON of protobuf has.
LISTS = ("bucketCounts", "bucket_counts", "explicitBounds", "explicit_bounds", "quantileValues", "quantile_values")
Json = dict[str, Any]


def protobuf_request(body: bytes) -> Any:
    """Return the request of protobuf bytes; raises WireError."""
    counts = np.zeros(kernels.MESSAGES, np.int64)
    if kernels.count(np.frombuffer(body, np.uint8), counts) < 0:
        raise WireError("the body is not an ExportMetricsServiceRequest, or is nested too deep")
    points = int(counts[kernels.NUMBER : kernels.SUMMARY + 1].sum())
    messages = int(counts.sum() - counts[kernels.BUCKETS])
    _check_size(points, messages, MAX_MESSAGES)
    if counts[kernels.BUCKETS] > MAX_BUCKET_BYTES:
        raise TooLarge(f"the buckets have {counts[kernels.BUCKETS]} bytes, at most {MAX_BUCKET_BYTES} are taken")
    request = ExportMetricsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise WireError("the body is not an ExportMetricsServiceRequest") from None
    return request


def _check_size(points: int, nodes: int, most: int) -> None:
    if points > MAX_POINTS:
        raise TooLarge(f"{points} data points in one request, at most {MAX_POINTS} are taken")
    if nodes > most:
        raise TooLarge(f"{nodes} values in one request, at most {most} are taken")


def json_request(body: bytes, rows: Rows) -> Any:
    """Return the request of JSON; raises WireError. Points that cannot be read are counted in `rows`."""
    depth, nodes = wire_kernels.json_shape(np.frombuffer(body or b" ", np.uint8))
    if depth > MAX_JSON_DEPTH:
        raise WireError(f"the JSON is {depth} deep, at most {MAX_JSON_DEPTH} are taken")
    _check_size(0, nodes, MAX_JSON_NODES)
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WireError(f"the body is not JSON: {error}") from None
    if not isinstance(decoded, dict):
        raise WireError("the body is not an ExportMetricsServiceRequest: it is no object")
    request = ExportMetricsServiceRequest()
    for one in _objects(decoded, "resourceMetrics"):
        _read_resource(one, request.resource_metrics.add(), rows)
    _check_size(rows.points, 0, 0)
    rows.points = rows.refused.total()
    return request


def _objects(parent: Json, name: str) -> Iterator[Json]:
    found = parent.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise WireError(f"the body is not an ExportMetricsServiceRequest: {name} is no list of objects")
    yield from found


def _parse(found: Json, message: Any) -> str:
    """Fill a message; returns what is wrong with the JSON, if anything is."""
    try:
        json_format.ParseDict(found, message, ignore_unknown_fields=True)
    except (json_format.ParseError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return f"not as OTLP/JSON has it: {str(error)[:120]}"
    return ""


def _read_resource(found: Json, message: Any, rows: Rows) -> None:
    inner = list(_objects(found, "scopeMetrics"))
    fault = _parse({name: value for name, value in found.items() if name != "scopeMetrics"}, message)
    for one in inner:
        added = message.scope_metrics.add()
        metrics = list(_objects(one, "metrics"))
        shell = {name: value for name, value in one.items() if name != "metrics"}
        scope_fault = fault or _parse(shell, added)
        for metric in metrics:
            _read_metric(metric, added.metrics.add(), scope_fault, rows)


def _read_metric(found: Json, message: Any, fault: str, rows: Rows) -> None:
    kind = next((name for name in DATA if isinstance(found.get(name), dict)), None)
    if kind is None:
        return
    data = found[kind]
    points = data.get("dataPoints")
    points = points if isinstance(points, list) else []
    rows.points += len(points)
    shell = {name: value for name, value in found.items() if name not in DATA}
    shell[kind] = {name: value for name, value in data.items() if name != "dataPoints"}
    fault = fault or _parse(shell, message)
    target = getattr(message, message.WhichOneof("data") or "gauge").data_points
    for point in points:
        bad = fault or _read_point(point, target)
        if bad:
            rows.refused[bad] += 1


def _read_point(point: object, target: Any) -> str:
    if not isinstance(point, dict):
        return "a data point is no object"
    if long := _long_list(point):
        return long
    try:
        _ids_as_bytes(point)
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return "a trace_id or span_id is not hexadecimal"
    fault = _parse(point, target.add())
    if fault:
        del target[-1]
    return fault


def _long_list(point: Json) -> str:
    """Say which list is longer than a point may have: the parser of JSON would take seconds over it first."""
    for part in (point, point.get("positive"), point.get("negative")):
        for name in LISTS:
            found = part.get(name) if isinstance(part, dict) else None
            if isinstance(found, list) and len(found) > MAX_BUCKETS:
                return f"{name} of a data point has {len(found)} elements, at most {MAX_BUCKETS} are taken"
    return ""


def _ids_as_bytes(point: Json) -> None:
    """Write ids as protobuf's JSON has bytes: OTLP's JSON has them hexadecimal."""
    for one in point.get("exemplars") or []:
        for name in ("traceId", "spanId"):
            if one.get(name):
                one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
