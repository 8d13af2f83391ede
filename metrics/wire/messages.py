"""The rare messages of remote write, native histograms and exemplars, through the protobuf library.

Both versions of the protocol have the same histogram message. The descriptors live in a pool of their own.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from metrics.domain import BadSeries
from metrics.native_histograms.model import Histogram, ResetHint, Span
from metrics.native_histograms.validation import InvalidHistogram, validate_sent
from metrics.promql.types import STALE_NAN_BITS

Kind = descriptor_pb2.FieldDescriptorProto
_FIELDS: dict[str, list[tuple[int, str, int, str, bool]]] = {
    "Label": [(1, "name", Kind.TYPE_STRING, "", False), (2, "value", Kind.TYPE_STRING, "", False)],
    "BucketSpan": [(1, "offset", Kind.TYPE_SINT32, "", False), (2, "length", Kind.TYPE_UINT32, "", False)],
    "LabelledExemplar": [
        (1, "labels", Kind.TYPE_MESSAGE, "Label", True),
        (2, "value", Kind.TYPE_DOUBLE, "", False),
        (3, "timestamp", Kind.TYPE_INT64, "", False),
    ],
    "SymbolExemplar": [
        (1, "labels_refs", Kind.TYPE_UINT32, "", True),
        (2, "value", Kind.TYPE_DOUBLE, "", False),
        (3, "timestamp", Kind.TYPE_INT64, "", False),
    ],
    "Histogram": [
        (1, "count_int", Kind.TYPE_UINT64, "count", False),
        (2, "count_float", Kind.TYPE_DOUBLE, "count", False),
        (3, "sum", Kind.TYPE_DOUBLE, "", False),
        (4, "schema", Kind.TYPE_SINT32, "", False),
        (5, "zero_threshold", Kind.TYPE_DOUBLE, "", False),
        (6, "zero_count_int", Kind.TYPE_UINT64, "zero_count", False),
        (7, "zero_count_float", Kind.TYPE_DOUBLE, "zero_count", False),
        (8, "negative_spans", Kind.TYPE_MESSAGE, "BucketSpan", True),
        (9, "negative_deltas", Kind.TYPE_SINT64, "", True),
        (10, "negative_counts", Kind.TYPE_DOUBLE, "", True),
        (11, "positive_spans", Kind.TYPE_MESSAGE, "BucketSpan", True),
        (12, "positive_deltas", Kind.TYPE_SINT64, "", True),
        (13, "positive_counts", Kind.TYPE_DOUBLE, "", True),
        (14, "reset_hint", Kind.TYPE_INT32, "", False),
        (15, "timestamp", Kind.TYPE_INT64, "", False),
        (16, "custom_values", Kind.TYPE_DOUBLE, "", True),
        (17, "start_timestamp", Kind.TYPE_INT64, "", False),
    ],
}
_PACKAGE = "aivillage.write"


def _describe(message: Any, fields: Sequence[tuple[int, str, int, str, bool]]) -> None:
    """Add fields; the text of a scalar is the choice it belongs to, that of a message its type."""
    for number, name, kind, text, repeated in fields:
        field = message.field.add(number=number, name=name, type=kind)
        field.label = Kind.LABEL_REPEATED if repeated else Kind.LABEL_OPTIONAL
        if kind == Kind.TYPE_MESSAGE:
            field.type_name = f".{_PACKAGE}.{text}"
        elif text:
            choices = [choice.name for choice in message.oneof_decl]
            if text not in choices:
                message.oneof_decl.add(name=text)
            field.oneof_index = choices.index(text) if text in choices else len(choices)


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="write.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        _describe(file.message_type.add(name=name), fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS}


_MESSAGES = _classes()


def _read(name: str, data: bytes) -> Any:
    try:
        return _MESSAGES[name].FromString(data)
    except DecodeError:
        what = "a histogram" if name == "Histogram" else "an exemplar"
        raise BadSeries(f"{what} is not the message it should be") from None


def labelled_exemplar(data: bytes) -> Any:
    """Return an exemplar whose labels are written out; raises BadSeries."""
    return _read("LabelledExemplar", data)


def symbol_exemplar(data: bytes) -> Any:
    """Return an exemplar whose labels point at symbols; raises BadSeries."""
    return _read("SymbolExemplar", data)


def histogram(data: bytes) -> tuple[int, Histogram | None]:
    """Return the time of a histogram and the histogram, None where it is a stale marker; raises BadSeries."""
    message = _read("Histogram", data)
    if np.float64(message.sum).view(np.uint64) == STALE_NAN_BITS:
        return message.timestamp, None
    whole = message.WhichOneof("count") != "count_float"
    made = Histogram(
        schema=message.schema,
        count=float(message.count_int if whole else message.count_float),
        sum=message.sum,
        zero_threshold=message.zero_threshold,
        zero_count=float(message.zero_count_int if whole else message.zero_count_float),
        positive_spans=_spans(message.positive_spans),
        positive=_counts(message.positive_deltas, message.positive_counts, whole=whole),
        negative_spans=_spans(message.negative_spans),
        negative=_counts(message.negative_deltas, message.negative_counts, whole=whole),
        custom_values=tuple(message.custom_values),
        reset_hint=ResetHint(message.reset_hint) if 0 <= message.reset_hint <= ResetHint.GAUGE else ResetHint.UNKNOWN,
    )
    try:
        validate_sent(made, whole=whole)
    except InvalidHistogram as error:
        raise BadSeries(str(error)) from None
    return message.timestamp, made


def _spans(spans: Sequence[Any]) -> tuple[Span, ...]:
    return tuple(Span(span.offset, span.length) for span in spans)


def _counts(deltas: Sequence[int], counts: Sequence[float], *, whole: bool) -> tuple[float, ...]:
    return tuple(map(float, accumulate(deltas))) if whole else tuple(counts)


def histogram_message(timestamp_ms: int, histogram: Histogram) -> bytes:
    """Return a histogram as the protocol's message, its counts as floats."""
    message = _MESSAGES["Histogram"](
        count_float=histogram.count,
        sum=histogram.sum,
        schema=histogram.schema,
        zero_threshold=histogram.zero_threshold,
        zero_count_float=histogram.zero_count,
        positive_counts=histogram.positive,
        negative_counts=histogram.negative,
        custom_values=histogram.custom_values,
        reset_hint=int(histogram.reset_hint),
        timestamp=timestamp_ms,
    )
    for span in histogram.positive_spans:
        message.positive_spans.add(offset=span.offset, length=span.length)
    for span in histogram.negative_spans:
        message.negative_spans.add(offset=span.offset, length=span.length)
    return bytes(message.SerializeToString())
