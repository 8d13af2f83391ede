"""`/api/v1/read`: what Prometheus reads of samples kept here."""

from collections.abc import Callable

import cramjam
import numpy as np
import pytest
from django.http import HttpResponse
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from remote_pb2.remote_pb2 import ReadRequest, ReadResponse

from metrics.native_histograms.model import Histogram, ResetHint, Span
from metrics.promql.types import SeriesColumns
from metrics.wire.errors import WireError
from metrics.wire.remote_read import read_request, read_response
from tests.metrics.senders import push, snappy, write_request

Read = Callable[..., HttpResponse]


@pytest.fixture
def read(client: Client, issue: Callable[..., str]) -> Read:
    bearer = f"Bearer {issue('query', kind='service', of=None)}"

    def asked(body: bytes) -> HttpResponse:
        headers = {"Authorization": bearer, "Content-Encoding": "snappy"}
        return client.post("/api/v1/read", data=body, content_type="application/x-protobuf", headers=headers)

    return asked


def request(*queries: tuple[int, int, list[tuple[int, str, str]]], accepted: tuple[int, ...] = (0,)) -> bytes:
    message = ReadRequest(accepted_response_types=accepted)
    for start, end, matchers in queries:
        query = message.queries.add(start_timestamp_ms=start, end_timestamp_ms=end)
        for kind, name, value in matchers:
            query.matchers.add(type=kind, name=name, value=value)
    return snappy(message)


def answer_of(body: bytes) -> ReadResponse:
    return ReadResponse.FromString(bytes(cramjam.snappy.decompress_raw(body)))


@pytest.mark.django_db
def test_each_query_gets_its_series_with_sorted_labels(client: Client, token: str, read: Read, now_ms: int):
    samples = [(now_ms - 30_000, 1.5), (now_ms - 15_000, 0.0), (now_ms, -2.0)]
    message = write_request(({"__name__": "a", "x": "1"}, samples), ({"__name__": "a", "x": "2"}, samples[:1]))
    assert push(client, token, snappy(message)).status_code == 204
    answer = read(
        request(
            (now_ms - 20_000, now_ms, [(0, "__name__", "a"), (1, "x", "2")]),
            (now_ms - 60_000, now_ms, [(2, "__name__", "a|b"), (3, "x", "1.*")]),
            accepted=(1, 0),
        )
    )
    assert (answer.status_code, answer["Content-Encoding"]) == (200, "snappy")
    assert answer["Content-Type"] == "application/x-protobuf"
    first, second = answer_of(answer.content).results
    assert [(label.name, label.value) for label in first.timeseries[0].labels] == [("__name__", "a"), ("x", "1")]
    assert [(sample.timestamp, sample.value) for sample in first.timeseries[0].samples] == samples[1:]
    assert [series.labels[1].value for series in second.timeseries] == ["2"]


@pytest.mark.django_db
def test_bad_requests_are_refused_with_a_line_of_text(client: Client, read: Read):
    assert read(b"nonsense").status_code == 400
    assert read(request((0, 1, [(9, "a", "b")]))).status_code == 400
    assert read(request((0, 1, [(2, "a", "(")]))).status_code == 400
    refused = read(request((0, 1, [(0, "a", "b")]), accepted=(1,)))
    assert (refused.status_code, b"SAMPLES" in refused.content) == (400, True)
    assert read(request(*[(0, 1, [(0, "a", "b")])] * 21)).status_code == 413
    assert read(request((0, 10**14, [(0, "a", "b")]))).status_code == 422
    assert client.post("/api/v1/read").status_code == 401


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), st.floats(allow_nan=False)), max_size=20))
def test_samples_of_any_time_read_back(samples: list[tuple[int, float]]):
    times = np.array([at for at, _ in samples], np.int64)
    values = np.array([value for _, value in samples], np.float64)
    columns = SeriesColumns([{"__name__": "a", "own": "1"}], np.array([0, len(samples)]), times, values)
    series = answer_of(read_response([columns], {"own": "2", "zone": "z"})).results[0].timeseries[0]
    assert [(sample.timestamp, sample.value) for sample in series.samples] == samples
    assert {label.name: label.value for label in series.labels} == {"__name__": "a", "own": "1", "zone": "z"}


def test_native_histograms_are_sent_beside_numbers():
    histogram = Histogram(2, 5.0, 12.5, 0.001, 1.0, (Span(-3, 2),), (1.0, 3.0), reset_hint=ResetHint.GAUGE)
    column = np.array([None, histogram], np.object_)
    columns = SeriesColumns(
        [{"__name__": "h"}],
        np.array([0, 2]),
        np.array([1_700_000_000_000, 1_700_000_015_000]),
        np.array([1.0, 5.0]),
        column,
    )
    series = answer_of(read_response([columns], {})).results[0].timeseries[0]
    assert [sample.value for sample in series.samples] == [1.0]
    (found,) = series.histograms
    assert (found.timestamp, found.count_float, found.schema, found.reset_hint) == (1_700_000_015_000, 5.0, 2, 3)
    assert [(span.offset, span.length) for span in found.positive_spans] == [(-3, 2)]
    assert list(found.positive_counts) == [1.0, 3.0]


def test_a_request_that_claims_to_be_huge_is_refused_before_it_is_decoded():
    with pytest.raises(WireError, match="at most"):
        read_request(b"\xff\xff\xff\xff\x0f")
