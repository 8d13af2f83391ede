"""Data points become rows of series."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from metrics.promql.types import STALE_NAN_BITS
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.otlp import kernels, reading
from metrics.wire.otlp.convert import rows_of
from metrics.wire.otlp.naming import Strategy
from metrics.wire.otlp.rows import Rows, Translation
from tests.metrics.otlp import builds

T = 1_700_000_000_000
PLAIN = Translation()


def found(rows: Rows) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted((name, text) for name, text in labels.items() if text)): value
        for labels, value in zip(rows.labels, rows.values, strict=True)
    }


def named(name: str, **labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"__name__": name, **labels}.items()))


def test_a_resource_names_job_and_instance_and_the_rest_is_target_info():
    resource = {"service__name": "forge", "service__namespace": "ai", "service__instance__id": "i1", "host__name": "h"}
    rows = rows_of(builds.request(builds.gauge("g", builds.number(T, 2.0, x="y")), resource=resource), PLAIN)
    assert found(rows) == {
        named("g", job="ai/forge", instance="i1", x="y"): 2.0,
        named("target_info", job="ai/forge", instance="i1", host_name="h"): 1.0,
    }


def test_promoted_resource_attributes_and_the_scope_are_labels():
    how = Translation(promoted=frozenset({"host.name"}))
    resource = {"service__name": "forge", "host__name": "h", "os__type": "linux"}
    rows = rows_of(builds.request(builds.gauge("g", builds.number(T, 2.0)), resource=resource, scope="lib"), how)
    assert named("g", job="forge", host_name="h", otel_scope_name="lib") in found(rows)
    silent = Translation(scope_labels=False)
    rows = rows_of(builds.request(builds.gauge("g", builds.number(T, 2.0)), scope="lib"), silent)
    assert found(rows) == {named("g"): 2.0}


def test_attributes_whose_names_become_the_same_are_joined():
    point = builds.number(T, 1.0, a__b="2")
    point.attributes.append(KeyValue(key="a-b", value=AnyValue(string_value="1")))
    assert found(rows_of(builds.request(builds.gauge("g", point)), PLAIN)) == {named("g", a_b="1;2"): 1.0}


def test_sums_are_counters_or_gauges():
    rows = rows_of(
        builds.request(
            builds.total("up.down", builds.number(T, -1.0), monotonic=False),
            builds.total("calls", builds.number(T, 5.0), description="Calls.", unit="s"),
        ),
        PLAIN,
    )
    assert found(rows) == {named("up_down"): -1.0, named("calls_seconds_total"): 5.0}
    declared = {one.family: (one.type, one.unit, one.help) for one in rows.metadata.values()}
    assert declared == {"up_down": ("gauge", "", ""), "calls_seconds_total": ("counter", "seconds", "Calls.")}


def test_an_explicit_histogram_is_a_classic_one():
    rows = rows_of(builds.request(builds.histogram("h", builds.explicit(T, [0.5, 1.0], [1, 2, 3]))), PLAIN)
    assert found(rows) == {
        named("h_bucket", le="0.5"): 1.0,
        named("h_bucket", le="1"): 3.0,
        named("h_bucket", le="+Inf"): 6.0,
        named("h_sum"): 1.5,
        named("h_count"): 6.0,
    }


def test_a_histogram_without_buckets_has_the_infinite_one():
    rows = rows_of(builds.request(builds.histogram("h", builds.explicit(T, [], [], count=4))), PLAIN)
    assert found(rows) == {named("h_bucket", le="+Inf"): 4.0, named("h_sum"): 1.5, named("h_count"): 4.0}


def test_an_exponential_histogram_is_a_native_one():
    point = builds.sparse(T, [3, 0, 0, 0, 1], scale=2, offset=-2, zero_count=2, zero_threshold=0.25)
    rows = rows_of(builds.request(builds.exponential("h", point)), PLAIN)
    native = rows.histograms[0]
    assert (native.schema, native.count, native.zero_count, native.zero_threshold) == (2, 6.0, 2.0, 0.25)
    assert [(span.offset, span.length) for span in native.positive_spans] == [(-1, 1), (3, 1)]
    assert native.positive == (3.0, 1.0)


@given(st.integers(9, 20), st.integers(-3000, 3000), st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_downscaling_puts_each_observation_into_the_bucket_that_holds_it(scale: int, offset: int, counts: list[int]):
    rows = rows_of(builds.request(builds.exponential("h", builds.sparse(T, counts, scale=scale, offset=offset))), PLAIN)
    native = rows.histograms[0]
    place, wanted = 0, {}
    for index, count in enumerate(counts):
        # OpenTelemetry's bucket i ends at base ** (i + 1), so it is Prometheus' bucket i + 1.
        coarse = math.ceil((offset + index + 1) / 2 ** (scale - 8))
        wanted[coarse] = wanted.get(coarse, 0) + count
    indices = []
    for span in native.positive_spans:
        place += span.offset
        indices += range(place, place + span.length)
        place += span.length
    assert native.schema == 8
    assert dict(zip(indices, native.positive, strict=True)) == {key: value for key, value in wanted.items() if value}


def test_a_summary_has_its_quantiles():
    point = pb.SummaryDataPoint(time_unix_nano=T * builds.NANOS, count=2, sum=3.0)
    point.quantile_values.add(quantile=0.99, value=2.5)
    rows = rows_of(builds.request(pb.Metric(name="s", summary=pb.Summary(data_points=[point]))), PLAIN)
    assert found(rows) == {named("s", quantile="0.99"): 2.5, named("s_sum"): 3.0, named("s_count"): 2.0}


def test_a_point_with_nothing_recorded_is_a_stale_marker():
    empty = builds.explicit(T, [1.0], [0, 0], flags=1)
    rows = rows_of(
        builds.request(builds.gauge("g", builds.number(T, 0.0, flags=1)), builds.histogram("h", empty)), PLAIN
    )
    assert len(rows.values) == 1 + 4
    assert set(np.array(rows.values).view(np.uint64).tolist()) == {STALE_NAN_BITS}


def test_an_exemplar_is_in_the_bucket_of_its_value_with_its_ids_in_hexadecimal():
    exemplar = pb.Exemplar(
        as_double=0.7, time_unix_nano=T * builds.NANOS, trace_id=bytes(range(16)), span_id=bytes(range(8))
    )
    exemplar.filtered_attributes.extend(builds.attributes(user="u1"))
    point = builds.explicit(T, [0.5, 1.0], [1, 2, 3], exemplars=[exemplar])
    rows = rows_of(builds.request(builds.histogram("h", point)), PLAIN)
    (row,) = rows.exemplars
    assert rows.labels[row.series]["le"] == "1"
    assert row.labels == {"trace_id": bytes(range(16)).hex(), "span_id": bytes(range(8)).hex(), "user": "u1"}


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (builds.histogram("h", builds.explicit(T, [1.0], [1, 2, 3])), "bounds"),
        (builds.histogram("h", builds.explicit(T, [2.0, 1.0], [1, 2, 3])), "rise"),
        (builds.histogram("h", builds.explicit(T, [math.nan], [1, 2])), "finite"),
        (builds.histogram("h", builds.explicit(T, [1.0], [1, 2], count=9)), "add up"),
        (builds.exponential("h", builds.sparse(T, [1], scale=-5)), "scale"),
        (builds.exponential("h", builds.sparse(T, [1], count=7)), "add up"),
        (builds.exponential("h", builds.sparse(T, [1], offset=2**31 - 1)), "beyond"),
        (builds.exponential("h", builds.sparse(T, [1] * 3_000)), "at most"),
        (builds.total("d", builds.number(T, -1.0), temporality=1), "negative"),
        (builds.total("d", builds.number(T, math.nan), temporality=1), "finite"),
        (builds.total("d", builds.number(T, 1.0), temporality=0), "delta or cumulative"),
        (builds.gauge("...", builds.number(T, 1.0)), "no letter"),
        (builds.gauge("g", pb.NumberDataPoint(time_unix_nano=T * builds.NANOS)), "no value"),
        (builds.gauge("g", builds.number(T, 1.0, **{f"k{n}": "v" for n in range(300)})), "attributes"),
    ],
)
def test_a_bad_point_is_refused_and_the_good_one_stays(metric: pb.Metric, reason: str):
    rows = rows_of(builds.request(metric, builds.gauge("good", builds.number(T, 1.0))), PLAIN)
    assert found(rows) == {named("good"): 1.0}
    (told,) = rows.refused
    assert reason in told
    assert rows.points == 2


def test_points_outside_the_window_are_refused():
    rows = rows_of(builds.request(builds.gauge("g", builds.number(T, 1.0))), Translation(low_ms=T + 1))
    assert (rows.labels, rows.refused.total()) == ([], 1)


def test_values_of_all_kinds_are_texts():
    point = builds.number(T, 1.0)
    nested = AnyValue()
    nested.array_value.values.add(int_value=1)
    nested.array_value.values.add(string_value="x")
    for name, value in {
        "flag": AnyValue(bool_value=True),
        "whole": AnyValue(int_value=-7),
        "part": AnyValue(double_value=0.5),
        "bytes": AnyValue(bytes_value=b"\x01"),
        "list": nested,
    }.items():
        point.attributes.append(KeyValue(key=name, value=value))
    rows = rows_of(builds.request(builds.gauge("g", point)), PLAIN)
    assert found(rows) == {named("g", flag="true", whole="-7", part="0.5", bytes="AQ==", list='[1,"x"]'): 1.0}


def test_the_canonical_example_is_read_the_same_from_json_and_protobuf(corpora_dir: Path):
    body = (corpora_dir / "otlp" / "proto-examples" / "metrics.json").read_bytes()
    rows = Rows()
    request = reading.json_request(body, rows)
    from_json = rows_of(request, PLAIN, rows)
    from_bytes = rows_of(reading.protobuf_request(request.SerializeToString()), PLAIN)
    assert (from_json.points, from_json.refused.total()) == (4, 0)
    assert from_json == from_bytes
    assert "my_counter_total" in {labels["__name__"] for labels in from_json.labels}


def test_json_takes_whole_numbers_as_texts_and_unknown_fields():
    body = (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","new":1,"gauge":{"dataPoints":['
        b'{"timeUnixNano":1700000000000000000,"asInt":"9007199254740993"},'
        b'{"timeUnixNano":"1700000000000000000","asDouble":"NaN"},'
        b'{"timeUnixNano":"-4","asInt":1},{"asInt":[]},5]}}]}]}]}'
    )
    rows = Rows()
    rows_of(reading.json_request(body, rows), PLAIN, rows)
    assert rows.values[0] == 9007199254740992.0
    assert math.isnan(rows.values[1])
    assert (len(rows.values), rows.refused.total(), rows.points) == (2, 3, 5)


def test_json_ids_are_hexadecimal():
    body = (
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"g","gauge":{"dataPoints":['
        b'{"timeUnixNano":"1700000000000000000","asInt":1,"exemplars":[{"asInt":"1","traceId":"5B8EFFF798038103D269B633813FC60C"}]},'
        b'{"timeUnixNano":"1700000000000000000","asInt":1,"exemplars":[{"asInt":"1","spanId":"xyz"}]}]}}]}]}]}'
    )
    rows = Rows()
    rows_of(reading.json_request(body, rows), PLAIN, rows)
    assert [row.labels for row in rows.exemplars] == [{"trace_id": "5b8efff798038103d269b633813fc60c"}]
    assert rows.refused.total() == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"resourceMetrics":5}', b'{"resourceMetrics":[1]}', b'{"a":' + b"[" * 80 + b"]" * 80 + b"}"],
)
def test_json_that_is_no_request_is_refused(body: bytes):
    with pytest.raises(WireError):
        reading.json_request(body, Rows())


def wrapped(tag: int, body: bytes) -> bytes:
    return bytes([tag]) + _varint(len(body)) + body


def test_nesting_that_would_cost_the_stack_is_refused():
    body = b""
    for _ in range(80):
        body = wrapped(0x2A, wrapped(0x0A, body))
    point = wrapped(0x3A, wrapped(0x12, body))
    for tag in (0x0A, 0x2A, 0x12, 0x12, 0x0A):
        point = wrapped(tag, point)
    with pytest.raises(WireError):
        reading.protobuf_request(point)


def test_a_million_empty_points_are_refused_before_they_are_objects():
    body = b"\x0a\x00" * 600_000
    for tag in (0x2A, 0x12, 0x12, 0x0A):
        body = wrapped(tag, body)
    with pytest.raises(TooLarge):
        reading.protobuf_request(body)


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3))
def test_the_walk_counts_what_the_decoder_finds(points: int, labels: int, exemplars: int):
    point = builds.number(T, 1.0, **{f"k{n}": "v" for n in range(labels)})
    point.exemplars.extend([pb.Exemplar(as_int=1)] * exemplars)
    body = builds.request(builds.gauge("g", *[point] * points), resource={"a": "b"}).SerializeToString()
    counts = np.zeros(kernels.MESSAGES, np.int64)
    assert kernels.count(np.frombuffer(body, np.uint8), counts) == 0
    message = ExportMetricsServiceRequest.FromString(body)
    gauge = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge
    assert counts[kernels.NUMBER] == len(gauge.data_points) == points
    assert counts[kernels.EXEMPLAR] == sum(len(one.exemplars) for one in gauge.data_points)
    assert counts[kernels.KEY_VALUE] == 1 + points * labels


# Without a deadline: the first walk is compiled.
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(body: bytes):
    try:
        request = reading.protobuf_request(body)
    except WireError:
        return
    assert rows_of(request, PLAIN).points >= 0


def test_utf8_names_stay_where_they_are_allowed():
    rows = rows_of(builds.request(builds.gauge("größe.x", builds.number(T, 1.0, a__b="c"))), Translation(Strategy.UTF8))
    assert found(rows) == {named("größe.x", **{"a.b": "c"}): 1.0}
