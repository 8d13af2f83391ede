"""Prometheus' remote read: a request's queries, and samples as its answer.

The messages are described field by field (number, type, name); the request is read by the official runtime, the samples
of the answer are laid out as columns of bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cramjam
import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from metrics.domain import METRIC_NAME_LABEL
from metrics.native_histograms.model import Histogram
from metrics.promql.types import Matcher, SeriesColumns
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.federation import varint
from metrics.wire.messages import histogram_message
from metrics.wire.remote_write import decompress

MAX_REQUEST_BYTES = 1 << 20
MAX_QUERIES = 20
OPERATORS = ("=", "!=", "=~", "!~")
SAMPLES, STREAMED_XOR_CHUNKS = 0, 1
# Milliseconds whose variable-length form has six bytes: from February 1971 to 2109.
SIX_BYTES = (1 << 35, 1 << 42)
SAMPLE_BYTES = 18
_FIELD = descriptor_pb2.FieldDescriptorProto
_MESSAGES = {
    "Matcher": ((1, "type", _FIELD.TYPE_INT32, ""), (2, "name", _FIELD.TYPE_STRING, ""),
                (3, "value", _FIELD.TYPE_STRING, "")),
    "Query": ((1, "start_timestamp_ms", _FIELD.TYPE_INT64, ""), (2, "end_timestamp_ms", _FIELD.TYPE_INT64, ""),
              (3, "matchers", _FIELD.TYPE_MESSAGE, "Matcher")),
    "ReadRequest": ((1, "queries", _FIELD.TYPE_MESSAGE, "Query"), (2, "accepted", _FIELD.TYPE_INT32, "*")),
}  # fmt: skip
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """The samples of some series over a range, both ends included."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int


def _request_class() -> Any:
    package = "console.read"
    proto = descriptor_pb2.FileDescriptorProto(name="console/read.proto", package=package, syntax="proto3")
    for title, fields in _MESSAGES.items():
        message = proto.message_type.add(name=title)
        for number, name, kind, of in fields:
            field = message.field.add(name=name, number=number, type=kind)
            field.label = _FIELD.LABEL_REPEATED if of else _FIELD.LABEL_OPTIONAL
            if kind == _FIELD.TYPE_MESSAGE:
                field.type_name = f".{package}.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.ReadRequest"))


_REQUEST = _request_class()


def read_request(body: bytes) -> tuple[list[ReadQuery], frozenset[int]]:
    """Return the queries of a compressed request and the kinds of answer its sender takes; raises WireError."""
    try:
        message = _REQUEST.FromString(decompress(body, max_bytes=MAX_REQUEST_BYTES))
    except DecodeError as error:
        raise WireError(f"the body is not a ReadRequest: {error}") from None
    if len(message.queries) > MAX_QUERIES:
        raise TooLarge(f"{len(message.queries)} queries in one request, at most {MAX_QUERIES} are taken")
    queries = [
        ReadQuery(tuple(map(_matcher, query.matchers)), query.start_timestamp_ms, query.end_timestamp_ms)
        for query in message.queries
    ]
    return queries, frozenset(message.accepted)


def _matcher(message: Any) -> Matcher:
    if not 0 <= message.type < len(OPERATORS):
        raise WireError(f"{message.type} is no kind of matcher")
    return Matcher(message.name, OPERATORS[message.type], message.value)  # type: ignore[arg-type]


def field_bytes(number: int, body: bytes) -> bytes:
    """Return a field that holds a message or a text."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def sample_bytes(timestamps_ms: Ints, values: npt.NDArray[np.float64]) -> bytes:
    """Return samples as the fields of a series; remote read and both versions of remote write have the same."""
    if timestamps_ms.size and not (SIX_BYTES[0] <= np.min(timestamps_ms) and np.max(timestamps_ms) < SIX_BYTES[1]):
        pairs = zip(timestamps_ms.tolist(), values, strict=True)
        return b"".join(
            field_bytes(2, b"\x09" + value.tobytes() + b"\x10" + varint(at & 0xFFFF_FFFF_FFFF_FFFF))
            for at, value in pairs
        )
    out = np.empty((timestamps_ms.size, SAMPLE_BYTES), np.uint8)
    out[:, 0], out[:, 1], out[:, 2], out[:, 11] = 0x12, SAMPLE_BYTES - 2, 0x09, 0x10
    out[:, 3:11] = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    for place in range(6):
        group = timestamps_ms >> (7 * place) & 0x7F
        out[:, 12 + place] = group | 0x80 if place < 5 else group
    return out.tobytes()


def label_bytes(labels: dict[str, str], extra: dict[str, str]) -> bytes:
    """Return labels as the fields of a series, `extra` ones where a series has none of the name."""
    pairs = sorted({**extra, **labels}.items())
    return b"".join(
        field_bytes(1, field_bytes(1, name.encode()) + field_bytes(2, text.encode())) for name, text in pairs
    )


def _series(columns: SeriesColumns, extra: dict[str, str]) -> Iterator[bytes]:
    for index, labels in enumerate(columns.labels):
        part = slice(int(columns.offsets[index]), int(columns.offsets[index + 1]))
        times, values = columns.timestamps_ms[part], columns.values[part]
        histograms = b""
        if columns.histograms is not None:
            column = columns.histograms[part]
            numbers = np.equal(column, None).astype(np.bool_)
            histograms = _histogram_bytes(times[~numbers].tolist(), column[~numbers].tolist())
            times, values = times[numbers], values[numbers]
        yield label_bytes(labels, extra) + sample_bytes(times, values) + histograms


def _histogram_bytes(times: Sequence[int], histograms: Sequence[Histogram]) -> bytes:
    return b"".join(field_bytes(4, histogram_message(at, found)) for at, found in zip(times, histograms, strict=True))


def read_response(results: Sequence[SeriesColumns], extra: dict[str, str]) -> bytes:
    """Return the compressed answer: for each query its series with `extra` labels, numbers and histograms."""
    parts = [
        field_bytes(1, b"".join(field_bytes(1, series) for series in _series(columns, extra))) for columns in results
    ]
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


def without_own(matchers: Sequence[Matcher], extra: dict[str, str]) -> list[Matcher]:
    """Return matchers in which an external label that is asked for stands for a label no stored series has."""
    return [
        Matcher(matcher.name, "=", "")
        if matcher.op == "=" and matcher.name != METRIC_NAME_LABEL and extra.get(matcher.name) == matcher.value
        else matcher
        for matcher in matchers
    ]
