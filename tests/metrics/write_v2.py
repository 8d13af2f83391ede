"""The official messages of remote write 2, built field by field from their published definition, and a sender of them.

Source: https://buf.build/prometheus/prometheus/docs/main:io.prometheus.write.v2
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cramjam
from django.http import HttpResponse
from django.test import Client
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.metrics.senders import push

PROTO = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
DEFINITION = """
Request: 4 repeated string symbols; 5 repeated TimeSeries timeseries
TimeSeries: 1 repeated uint32 labels_refs; 2 repeated Sample samples; 3 repeated Histogram histograms; \
4 repeated Exemplar exemplars; 5 Metadata metadata
Exemplar: 1 repeated uint32 labels_refs; 2 double value; 3 int64 timestamp
Sample: 1 double value; 2 int64 timestamp; 3 int64 start_timestamp
Metadata: 1 int32 type; 3 uint32 help_ref; 4 uint32 unit_ref
Histogram: 1 count/uint64 count_int; 2 count/double count_float; 3 double sum; 4 sint32 schema; \
5 double zero_threshold; 6 zero/uint64 zero_count_int; 7 zero/double zero_count_float; \
8 repeated BucketSpan negative_spans; 9 repeated sint64 negative_deltas; 10 repeated double negative_counts; \
11 repeated BucketSpan positive_spans; 12 repeated sint64 positive_deltas; 13 repeated double positive_counts; \
14 int32 reset_hint; 15 int64 timestamp; 16 repeated double custom_values; 17 int64 start_timestamp
BucketSpan: 1 sint32 offset; 2 uint32 length
"""
Kind = descriptor_pb2.FieldDescriptorProto


def _add_field(message: Any, text: str) -> None:
    number, *words = text.split()
    repeated = words[0] == "repeated"
    kind, name = words[-2:]
    choice, _, kind = kind.rpartition("/")
    field = message.field.add(number=int(number), name=name)
    field.label = Kind.LABEL_REPEATED if repeated else Kind.LABEL_OPTIONAL
    field.type = getattr(Kind, f"TYPE_{kind.upper()}", Kind.TYPE_MESSAGE)
    if field.type == Kind.TYPE_MESSAGE:
        field.type_name = f".io.prometheus.write.v2.{kind}"
    if choice:
        names = [one.name for one in message.oneof_decl]
        if choice not in names:
            message.oneof_decl.add(name=choice)
        field.oneof_index = names.index(choice) if choice in names else len(names)


def _request_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="v2.proto", package="io.prometheus.write.v2", syntax="proto3")
    for line in DEFINITION.strip().splitlines():
        name, _, fields = line.partition(":")
        message = file.message_type.add(name=name)
        for text in fields.split(";"):
            _add_field(message, text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("io.prometheus.write.v2.Request"))


Request = _request_class()


class Builder:
    """A request under construction; symbols are given refs as they come."""

    def __init__(self) -> None:
        self.message = Request()
        self.refs: dict[str, int] = {}
        self.ref("")

    def ref(self, text: str) -> int:
        if text not in self.refs:
            self.refs[text] = len(self.refs)
            self.message.symbols.append(text)
        return self.refs[text]

    def series(
        self, labels: Mapping[str, str], *samples: tuple[int, float], metadata: tuple[int, str, str] | None = None
    ) -> Any:
        entry = self.message.timeseries.add()
        for name in sorted(labels):
            entry.labels_refs.extend([self.ref(name), self.ref(labels[name])])
        for time_ms, value in samples:
            entry.samples.add(timestamp=time_ms, value=value)
        if metadata:
            kind, text, unit = metadata
            entry.metadata.type, entry.metadata.help_ref, entry.metadata.unit_ref = kind, self.ref(text), self.ref(unit)
        return entry

    def exemplar(self, entry: Any, labels: Mapping[str, str], value: float, time_ms: int) -> None:
        refs = [self.ref(text) for pair in labels.items() for text in pair]
        entry.exemplars.add(labels_refs=refs, value=value, timestamp=time_ms)

    def raw(self) -> bytes:
        return bytes(self.message.SerializeToString())

    def body(self) -> bytes:
        return bytes(cramjam.snappy.compress_raw(self.raw()))


def whole_histogram(entry: Any, time_ms: int, deltas: Sequence[int] = (2, 1, -2), **fields: Any) -> Any:
    """Add counts 2, 3, 1 in three neighbouring buckets and one observation of zero."""
    made = entry.histograms.add(timestamp=time_ms, count_int=7, zero_count_int=1, sum=20.5, schema=1)
    made.zero_threshold = 1e-128
    made.positive_spans.add(offset=0, length=len(deltas))
    made.positive_deltas.extend(deltas)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def push2(client: Client, token: str, body: bytes, **headers: str) -> HttpResponse:
    sent = {"Content-Type": PROTO, "X-Prometheus-Remote-Write-Version": "2.0.0", **headers}
    return push(client, token, body, **sent)


def written(answer: HttpResponse) -> tuple[int, int, int]:
    """Return the numbers of samples, histograms and exemplars the answer tells."""
    kinds = ("Samples", "Histograms", "Exemplars")
    return tuple(int(answer[f"X-Prometheus-Remote-Write-{kind}-Written"]) for kind in kinds)  # type: ignore[return-value]
