"""Delimited `io.prometheus.client.MetricFamily` messages: the form in which native histograms are scraped.

The messages are described here field by field (number, type, name) and read by the official runtime, which is compiled.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from metrics.domain import METRIC_NAME_LABEL, Metadata, NewExemplar, SeriesBatch
from metrics.native_histograms.codec import encode
from metrics.native_histograms.model import CUSTOM_SCHEMA, MAX_SCHEMA, MIN_SCHEMA, Histogram, ResetHint, Span
from metrics.native_histograms.validation import InvalidHistogram, validate_sent
from metrics.wire.errors import TooLarge
from metrics.wire.exposition.forms import MAX_LINES, NO_TIMESTAMP, ExpositionError
from metrics.wire.exposition.naming import number_text

TYPES = ("counter", "gauge", "summary", "untyped", "histogram", "gaugehistogram")
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)
MAX_FAMILY_BYTES = 16 << 20
_FIELD = descriptor_pb2.FieldDescriptorProto
_KINDS = {
    "string": _FIELD.TYPE_STRING, "double": _FIELD.TYPE_DOUBLE, "uint64": _FIELD.TYPE_UINT64,
    "int64": _FIELD.TYPE_INT64, "sint32": _FIELD.TYPE_SINT32, "sint64": _FIELD.TYPE_SINT64,
    "uint32": _FIELD.TYPE_UINT32, "int32": _FIELD.TYPE_INT32,
}  # fmt: skip
# A star marks a repeated field; a name that is not a plain type is a message. Enumerations travel as int32.
_MESSAGES = {
    "LabelPair": "1 string name, 2 string value",
    "Gauge": "1 double value",
    "Stamp": "1 int64 seconds, 2 int32 nanos",
    "Exemplar": "1 LabelPair* label, 2 double value, 3 Stamp timestamp",
    "Counter": "1 double value, 2 Exemplar exemplar, 3 Stamp created_timestamp",
    "Quantile": "1 double quantile, 2 double value",
    "Summary": "1 uint64 sample_count, 2 double sample_sum, 3 Quantile* quantile, 4 Stamp created_timestamp",
    "Untyped": "1 double value",
    "Span": "1 sint32 offset, 2 uint32 length",
    "Bucket": ("1 uint64 cumulative_count, 4 double cumulative_count_float, 2 double upper_bound, 3 Exemplar exemplar"),
    "Histogram": (
        "1 uint64 sample_count, 4 double sample_count_float, 2 double sample_sum, 3 Bucket* bucket,"
        " 15 Stamp created_timestamp, 5 sint32 schema, 6 double zero_threshold, 7 uint64 zero_count,"
        " 8 double zero_count_float, 9 Span* negative_span, 10 sint64* negative_delta, 11 double* negative_count,"
        " 12 Span* positive_span, 13 sint64* positive_delta, 14 double* positive_count, 16 Exemplar* exemplars"
    ),
    "Metric": (
        "1 LabelPair* label, 2 Gauge gauge, 3 Counter counter, 4 Summary summary, 5 Untyped untyped,"
        " 7 Histogram histogram, 6 int64 timestamp_ms"
    ),
    "MetricFamily": "1 string name, 2 string help, 3 int32 type, 4 Metric* metric, 5 string unit",
}


def _message_class() -> Any:
    package = "console.exposition"
    proto = descriptor_pb2.FileDescriptorProto(name="console/exposition.proto", package=package, syntax="proto2")
    for title, fields in _MESSAGES.items():
        message = proto.message_type.add(name=title)
        for text in fields.split(", "):
            place, kind, name = text.replace("\n", " ").split()
            label = _FIELD.LABEL_REPEATED if kind.endswith("*") else _FIELD.LABEL_OPTIONAL
            field = message.field.add(name=name, number=int(place), label=label)
            if (plain := kind.rstrip("*")) in _KINDS:
                field.type = _KINDS[plain]
            else:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{package}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(proto)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.MetricFamily"))


_FAMILY = _message_class()


def new_family() -> Any:
    """Return an empty family, for those who write pages."""
    return _FAMILY()


def families(data: bytes) -> Iterator[Any]:
    """Yield the families of a body; raises ExpositionError."""
    place, end = 0, len(data)
    while place < end:
        size = shift = 0
        while True:
            if place >= end or shift > 28:
                raise ExpositionError("the length in front of a family cannot be read")
            byte = data[place]
            place += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if size > end - place:
            raise ExpositionError("a family is longer than the bytes that are left")
        if size > MAX_FAMILY_BYTES:
            raise TooLarge(f"a family of {size} bytes, at most {MAX_FAMILY_BYTES} are taken")
        family = _FAMILY()
        try:
            family.ParseFromString(data[place : place + size])
        except DecodeError as error:
            raise ExpositionError(f"not a MetricFamily: {error}") from None
        place += size
        yield family


class _Columns:
    """The rows of a body as they are found."""

    def __init__(self) -> None:
        self.labels: list[dict[str, str]] = []
        self.times: list[int] = []
        self.values: list[float] = []
        self.histograms: list[bytes | None] = []
        self.exemplars: list[NewExemplar] = []

    def add(self, name: str, labels: dict[str, str], value: float, at_ms: int, histogram: bytes | None = None) -> int:
        """Add one sample and return the place of its series."""
        if len(self.labels) >= MAX_LINES:
            raise TooLarge(f"more than {MAX_LINES} samples on a page")
        self.labels.append({METRIC_NAME_LABEL: name, **labels})
        self.times.append(at_ms)
        self.values.append(value)
        self.histograms.append(histogram)
        return len(self.labels) - 1

    def exemplar(self, series: int, message: Any) -> None:
        at = message.timestamp
        at_ms = at.seconds * 1000 + at.nanos // 1_000_000 if message.HasField("timestamp") else NO_TIMESTAMP
        self.exemplars.append(NewExemplar(series, at_ms, message.value, _labels(message.label)))


def _labels(pairs: Any) -> dict[str, str]:
    labels = {pair.name: pair.value for pair in pairs}
    if len(labels) != len(pairs):
        raise ExpositionError(f"a label name is given twice: {sorted(pair.name for pair in pairs)}")
    return labels


def _running(deltas: Sequence[int]) -> tuple[float, ...]:
    total, counts = 0, []
    for delta in deltas:
        total += delta
        counts.append(float(total))
    return tuple(counts)


def _side(spans: Any, deltas: Sequence[int], counts: Sequence[float]) -> tuple[tuple[Span, ...], tuple[float, ...]]:
    return tuple(Span(span.offset, span.length) for span in spans), _running(deltas) if deltas else tuple(counts)


def is_native(message: Any) -> bool:
    """Tell whether a histogram has sparse buckets; one without any marks itself by its zero bucket or an empty span."""
    return bool(
        message.positive_span or message.negative_span or message.zero_threshold > 0
        or message.zero_count or message.zero_count_float
    )  # fmt: skip


def native(name: str, message: Any, *, gauge: bool) -> Histogram:
    """Return the native part of a histogram; raises ExpositionError."""
    if not MIN_SCHEMA <= message.schema <= MAX_SCHEMA or message.schema == CUSTOM_SCHEMA:
        raise ExpositionError(f"{name} has the schema {message.schema}, known are {MIN_SCHEMA} to {MAX_SCHEMA}")
    positive_spans, positive = _side(message.positive_span, message.positive_delta, message.positive_count)
    negative_spans, negative = _side(message.negative_span, message.negative_delta, message.negative_count)
    made = Histogram(
        message.schema, message.sample_count_float or float(message.sample_count), message.sample_sum,
        message.zero_threshold, message.zero_count_float or float(message.zero_count),
        positive_spans, positive, negative_spans, negative,
        reset_hint=ResetHint.GAUGE if gauge else ResetHint.UNKNOWN,
    )  # fmt: skip
    try:
        validate_sent(made, whole=not message.sample_count_float)
    except InvalidHistogram as error:
        raise ExpositionError(f"{name}: {error}") from None
    return made


def _histogram(
    columns: _Columns, family: Any, metric: Any, labels: dict[str, str], at_ms: int, *, classic: bool
) -> None:
    message, name = metric.histogram, family.name
    sparse = is_native(message)
    if sparse:
        found = native(name, message, gauge=family.type == GAUGE_HISTOGRAM)
        series = columns.add(name, labels, found.count, at_ms, encode(found))
        for exemplar in message.exemplars or [each.exemplar for each in message.bucket if each.HasField("exemplar")]:
            columns.exemplar(series, exemplar)
    if sparse and not (classic and message.bucket):
        return
    count = message.sample_count_float or float(message.sample_count)
    columns.add(f"{name}_sum", labels, message.sample_sum, at_ms)
    columns.add(f"{name}_count", labels, count, at_ms)
    infinite = False
    for bucket in message.bucket:
        value = bucket.cumulative_count_float or float(bucket.cumulative_count)
        bound = number_text(bucket.upper_bound)
        infinite = infinite or bound == "+Inf"
        series = columns.add(f"{name}_bucket", {**labels, "le": bound}, value, at_ms)
        if bucket.HasField("exemplar"):
            columns.exemplar(series, bucket.exemplar)
    if not infinite:
        columns.add(f"{name}_bucket", {**labels, "le": "+Inf"}, count, at_ms)


def _summary(columns: _Columns, name: str, message: Any, labels: dict[str, str], at_ms: int) -> None:
    columns.add(f"{name}_sum", labels, message.sample_sum, at_ms)
    columns.add(f"{name}_count", labels, float(message.sample_count), at_ms)
    for quantile in message.quantile:
        columns.add(name, {**labels, "quantile": number_text(quantile.quantile)}, quantile.value, at_ms)


def _metric(columns: _Columns, family: Any, metric: Any, *, classic: bool) -> None:
    labels = _labels(metric.label)
    at_ms = metric.timestamp_ms if metric.HasField("timestamp_ms") else NO_TIMESTAMP
    if family.type in (HISTOGRAM, GAUGE_HISTOGRAM):
        _histogram(columns, family, metric, labels, at_ms, classic=classic)
    elif family.type == SUMMARY:
        _summary(columns, family.name, metric.summary, labels, at_ms)
    elif family.type in (COUNTER, GAUGE, UNTYPED):
        part = {COUNTER: metric.counter, GAUGE: metric.gauge, UNTYPED: metric.untyped}[family.type]
        series = columns.add(family.name, labels, part.value, at_ms)
        if family.type == COUNTER and part.HasField("exemplar"):
            columns.exemplar(series, part.exemplar)
    else:
        raise ExpositionError(f"{family.name} has the unknown type {family.type}")


def read_protobuf(data: bytes, *, classic: bool = False) -> SeriesBatch:
    """Return the rows of a body; `classic` keeps the classic buckets of histograms that have native ones too."""
    columns, known = _Columns(), []
    for family in families(data):
        if not family.name:
            raise ExpositionError("a family has no name")
        for metric in family.metric:
            _metric(columns, family, metric, classic=classic)
        kind = TYPES[family.type] if 0 <= family.type < len(TYPES) else "untyped"
        known.append(Metadata(family.name, kind, family.unit[:64], family.help[:1024]))
    histograms = None
    if any(columns.histograms):
        histograms = np.empty(len(columns.histograms), np.object_)
        histograms[:] = columns.histograms
    return SeriesBatch(
        columns.labels,
        np.arange(len(columns.labels), dtype=np.int64),
        np.array(columns.times, np.int64),
        np.array(columns.values, np.float64),
        histograms,
        columns.exemplars,
        known,
    )
