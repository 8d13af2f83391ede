"""POST /v1/metrics: what an OpenTelemetry sender pushes is there to ask for."""

import gzip
import json
import math
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from metrics.ingest import otlp
from metrics.models import DeltaTotal, MetadataEntry, RejectedRequest
from metrics.native_histograms.codec import decode
from metrics.promql.types import Matcher
from metrics.store.postgres import STORE
from tests.metrics.otlp import builds

pytestmark = pytest.mark.django_db
PROTOBUF, JSON = "application/x-protobuf", "application/json"
Push = Callable[..., HttpResponse]


@pytest.fixture
def push(client: Client, token: str) -> Push:
    def pushed(body: object, media: str = PROTOBUF, path: str = "/v1/metrics", **headers: str) -> HttpResponse:
        data = body if isinstance(body, bytes) else body.SerializeToString()
        # The test client leaves the type of an empty body out.
        sent = {"Authorization": f"Bearer {token}", "Content-Type": media, **headers}
        return client.post(path, data=data, content_type=media, headers=sent)

    return pushed


def values(name: str, now_ms: int) -> list[float]:
    found = STORE.select([Matcher("__name__", "=", name)], now_ms - 10**6, now_ms + 10**6)
    return found.values.tolist()


def reply(answer: HttpResponse) -> ExportMetricsServiceResponse:
    return ExportMetricsServiceResponse.FromString(answer.content)


@pytest.mark.parametrize("path", ["/v1/metrics", "/api/v1/otlp/v1/metrics"])
def test_a_request_is_stored_and_answered_in_its_own_form(push: Push, now_ms: int, path: str):
    answer = push(
        builds.request(builds.gauge("g", builds.number(now_ms, 2.5)), resource={"service__name": "x"}), path=path
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, PROTOBUF)
    assert not reply(answer).HasField("partial_success")
    assert values("g", now_ms) == [2.5]
    assert MetadataEntry.objects.get(family="g").type == "gauge"


def test_an_empty_request_is_a_success(push: Push):
    assert push(b"").content == b""
    answer = push(b"{}", JSON)
    assert (answer.status_code, json.loads(answer.content)) == (200, {})


def test_json_and_gzip_are_taken(push: Push, now_ms: int):
    point = {
        "timeUnixNano": str(now_ms * 10**6),
        "asInt": "3",
        "attributes": [{"key": "x", "value": {"stringValue": "\ud800"}}],
    }
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "g", "gauge": {"dataPoints": [point]}}]}]}]}
    answer = push(gzip.compress(json.dumps(body).encode()), JSON, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, JSON, b"{}")
    assert values("g", now_ms) == [3.0]


def test_the_good_part_is_stored_and_the_rest_is_told(push: Push, now_ms: int):
    day = 86_400_000
    answer = push(
        builds.request(
            builds.gauge("g", builds.number(now_ms, 1.0), builds.number(now_ms - 30 * day, 1.0)),
            builds.gauge("long", builds.number(now_ms, 1.0, x="y" * 3_000)),
            builds.histogram("h", builds.explicit(now_ms, [1.0], [1, 2, 3])),
        )
    )
    partial = reply(answer).partial_success
    assert (answer.status_code, partial.rejected_data_points) == (200, 3)
    assert "outside the window" in partial.error_message
    assert values("g", now_ms) == [1.0]


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [(b"\xff\xff", PROTOBUF, 400), (b"{", JSON, 400), (b"x", "text/plain", 415), (b"", JSON, 400)],
)
def test_what_is_no_request_is_refused_with_a_status_message(push: Push, body: bytes, media: str, status: int):
    answer = push(body, media)
    assert answer.status_code == status
    if media == PROTOBUF:
        assert Status.FromString(answer.content).message
    else:
        assert json.loads(answer.content)["code"] == 3
    assert RejectedRequest.objects.get().door == "otlp"


def test_without_a_token_the_refusal_has_the_requests_form(client: Client):
    answer = client.post("/v1/metrics", data=b"x", content_type=PROTOBUF)
    assert (answer.status_code, Status.FromString(answer.content).code) == (401, 16)


def test_a_source_beyond_its_series_may_try_later(push: Push, now_ms: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(otlp.gate(), "max_series", 0)
    answer = push(builds.request(builds.gauge("g", builds.number(now_ms, 1.0))))
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert Status.FromString(answer.content).code == 8


def test_a_bomb_is_refused(push: Push):
    answer = push(gzip.compress(bytes(70 << 20)), **{"Content-Encoding": "gzip"})
    assert answer.status_code == 413


def delta(now_ms: int, at: int, value: float, **more: str):
    point = builds.number(now_ms + at, value, since_ms=now_ms + at - 10, **more)
    return builds.request(builds.total("d", point, temporality=builds.DELTA))


def test_deltas_add_up_and_begin_at_nothing(push: Push, now_ms: int):
    for step in (0, 10, 20):
        push(delta(now_ms, step, 2.0))
    assert values("d_total", now_ms) == [0.0, 2.0, 4.0, 6.0]


def test_a_delta_that_is_sent_again_counts_once(push: Push, now_ms: int):
    for step in (0, 10, 10, 10):
        answer = push(delta(now_ms, step, 2.0))
        assert not reply(answer).HasField("partial_success")
    assert values("d_total", now_ms) == [0.0, 2.0, 4.0]


def test_a_delta_from_before_is_refused(push: Push, now_ms: int):
    push(delta(now_ms, 10, 2.0))
    answer = push(delta(now_ms, 0, 5.0))
    assert reply(answer).partial_success.rejected_data_points == 1
    assert values("d_total", now_ms) == [0.0, 2.0]


def test_deltas_of_series_that_are_all_refused_are_counted_and_nothing_fails(push: Push, now_ms: int):
    answer = push(delta(now_ms, 0, 2.0, x="\0"))
    assert (answer.status_code, reply(answer).partial_success.rejected_data_points) == (200, 1)
    assert "NUL" in reply(answer).partial_success.error_message
    assert DeltaTotal.objects.count() == 0


@pytest.mark.parametrize(
    "point",
    [
        {"bucketCounts": ["1"] * 2001},
        {"explicit_bounds": [1] * 2001},
        {"positive": {"bucketCounts": ["1"] * 2001}},
        {"negative": {"bucket_counts": ["1"] * 2001}},
    ],
)
def test_lists_of_a_point_are_measured_before_they_are_parsed(push: Push, now_ms: int, point: dict[str, object]):
    kind = "exponentialHistogram" if "positive" in point or "negative" in point else "histogram"
    points = [{"timeUnixNano": str(now_ms * 10**6), **point}]
    metric = {"name": "h", kind: {"aggregationTemporality": 2, "dataPoints": points}}
    answer = push(json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode(), JSON)
    told = json.loads(answer.content)["partialSuccess"]
    assert (answer.status_code, told["rejectedDataPoints"]) == (200, "1")
    assert "has 2001 elements, at most 2000 are taken" in told["errorMessage"]


def test_deltas_of_one_request_add_up_in_the_order_of_time(push: Push, now_ms: int):
    points = [builds.number(now_ms + at, 1.0, x="a") for at in (20, 0, 10)]
    push(builds.request(builds.total("d", *points, temporality=builds.DELTA)))
    assert values("d_total", now_ms) == [1.0, 2.0, 3.0]


def test_a_request_that_fails_has_added_nothing(push: Push, now_ms: int, monkeypatch: pytest.MonkeyPatch):
    push(delta(now_ms, 0, 2.0))

    def broken(*_args: object, **_more: object) -> None:
        raise otlp.Refusal(503, "away", "test")

    with monkeypatch.context() as patched:
        patched.setattr(otlp, "write_series", broken)
        assert push(delta(now_ms, 10, 2.0)).status_code == 503
    push(delta(now_ms, 10, 2.0))
    assert DeltaTotal.objects.get().value == 4.0


def test_delta_histograms_add_up(push: Push, now_ms: int):
    for step in (0, 10):
        explicit = builds.explicit(now_ms + step, [1.0], [1, 2])
        sparse = builds.sparse(now_ms + step, [1, 2], scale=9 if step else 3, zero_count=1)
        push(
            builds.request(
                builds.histogram("h", explicit, temporality=builds.DELTA),
                builds.exponential("e", sparse, temporality=builds.DELTA),
            )
        )
    assert values("h_count", now_ms) == [3.0, 6.0]
    assert values("h_sum", now_ms) == [1.5, 3.0]
    assert sorted(values("h_bucket", now_ms)) == [1.0, 2.0, 3.0, 6.0]
    total = decode(bytes(DeltaTotal.objects.exclude(histogram=None).get().histogram))
    assert (total.schema, total.count, total.zero_count, total.sum) == (3, 8.0, 2.0, 4.0)
    found = STORE.select([Matcher("__name__", "=", "e")], now_ms - 1000, now_ms + 1000)
    assert [histogram.count for histogram in found.histograms] == [4.0, 8.0]


def test_a_nan_gauge_is_kept(push: Push, now_ms: int):
    push(builds.request(builds.gauge("g", builds.number(now_ms, math.nan))))
    assert math.isnan(values("g", now_ms)[0])
