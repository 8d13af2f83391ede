"""Prometheus' HTTP API as Grafana asks it."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from django.test import Client

from aivillage_console.accounts.models import User
from aivillage_console.lib import clock
from metrics.compat.rendering import time_texts, value_texts
from metrics.services import compaction_run, partitions_prepare
from tests.metrics.senders import push, snappy, write_request

pytestmark = pytest.mark.django_db
T = 1_700_000_000


@pytest.fixture
def signed_in(client: Client, viewer: User) -> Client:
    client.force_login(viewer)
    return client


@pytest.fixture
def data(client: Client, token: str, now_ms: int) -> int:
    """Two series over a minute; returns the last second."""
    last = now_ms // 1000 * 1000
    samples = [(last - 60_000 + step * 15_000, float(step)) for step in range(5)]
    message = write_request(
        ({"__name__": "a", "x": "1"}, samples), ({"__name__": "a", "x": "2"}, samples), ({"__name__": "b"}, samples)
    )
    assert push(client, token, snappy(message)).status_code == 204
    return last // 1000


def test_grafanas_health_check(signed_in: Client):
    answer = signed_in.post("/api/v1/query", {"query": "1+1", "time": "4"})
    assert answer.json() == {"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}}
    built = signed_in.get("/api/v1/status/buildinfo").json()
    assert "features" not in built["data"]
    assert signed_in.get("/api/v1/status/flags").status_code == 404


def test_an_instant_query(signed_in: Client, data: int):
    body = signed_in.get("/api/v1/query", {"query": 'a{x="1"}', "time": data}).json()
    assert body["data"]["resultType"] == "vector"
    assert body["data"]["result"] == [{"metric": {"__name__": "a", "x": "1"}, "value": [data, "4"]}]


def test_an_instant_query_of_a_range(signed_in: Client, data: int):
    body = signed_in.get("/api/v1/query", {"query": "b[30s]", "time": data}).json()
    assert body["data"]["resultType"] == "matrix"
    assert body["data"]["result"][0]["values"] == [[data - 15, "3"], [data, "4"]]


def test_a_range_query(signed_in: Client, data: int):
    sent = {"query": "sum(a)", "start": data - 30, "end": data, "step": "15s"}
    body = signed_in.post("/api/v1/query_range", sent).json()
    assert body["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[data - 30, "4"], [data - 15, "6"], [data, "8"]]}],
    }


def test_labels_values_and_series(signed_in: Client, data: int):
    assert signed_in.get("/api/v1/labels").json()["data"] == ["__name__", "x"]
    assert signed_in.get("/api/v1/label/x/values").json()["data"] == ["1", "2"]
    assert signed_in.get("/api/v1/label/__name__/values", {"match[]": '{x="1"}'}).json()["data"] == ["a"]
    assert signed_in.get("/api/v1/series", {"match[]": "b"}).json()["data"] == [{"__name__": "b"}]
    cut = signed_in.get("/api/v1/label/x/values", {"limit": 1}).json()
    assert (cut["data"], cut["warnings"]) == (["1"], ["results truncated due to limit"])


BAD = [
    ("query", {"query": ""}, 400, "bad_data"),
    ("query", {"query": "sum("}, 400, "bad_data"),
    ("query", {"query": "up", "time": "yesterday"}, 400, "bad_data"),
    ("query", {"query": "up", "time": "NaN"}, 400, "bad_data"),
    ("query", {"query": "up", "time": "1e300"}, 400, "bad_data"),
    ("query", {"query": "up", "timeout": "soon"}, 400, "bad_data"),
    ("query", {"query": "up", "limit": "-1"}, 400, "bad_data"),
    ("query", {"query": 'up{a=~"("}'}, 400, "bad_data"),
    ("query_range", {"query": "up"}, 400, "bad_data"),
    ("query_range", {"query": "up", "start": 5, "end": 1, "step": 1}, 400, "bad_data"),
    ("query_range", {"query": "up", "start": 0, "end": 1, "step": 0}, 400, "bad_data"),
    ("query_range", {"query": "up", "start": 0, "end": 1, "step": "x"}, 400, "bad_data"),
    ("query_range", {"query": "up", "start": 0, "end": 10**6, "step": 1}, 400, "bad_data"),
    ("query", {"query": "a + on () a"}, 422, "execution"),
    ("series", {}, 400, "bad_data"),
    ("series", {"match[]": "rate(a[5m])"}, 400, "bad_data"),
    ("labels", {"match[]": "{"}, 400, "bad_data"),
    ("metadata", {"limit": "x"}, 400, "bad_data"),
]


@pytest.mark.parametrize(("name", "sent", "status", "kind"), BAD)
def test_bad_questions_get_a_clear_error(signed_in: Client, data: int, name: str, sent: dict, status: int, kind: str):
    answer = signed_in.get(f"/api/v1/{name}", sent)
    body = answer.json()
    assert (answer.status_code, body["status"], body["errorType"]) == (status, "error", kind), body
    assert body["error"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_stranger_and_an_ingest_token_may_not_ask(client: Client, token: str, issue: Callable[..., str]):
    assert client.get("/api/v1/query", {"query": "1"}).status_code == 401
    refused = client.get("/api/v1/query", {"query": "1"}, headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 403
    reader = issue("query", kind="service", of=None)
    allowed = client.get("/api/v1/query", {"query": "1"}, headers={"Authorization": f"Bearer {reader}"})
    assert allowed.status_code == 200


def test_values_and_times_are_written_as_prometheus_writes_them():
    values = np.array([1.0, 0.1, -0.0, np.nan, np.inf, -np.inf, 1e21])
    assert value_texts(values)[:6] == [b"1", b"0.1", b"-0", b"NaN", b"+Inf", b"-Inf"]
    assert [float(text) for text in value_texts(values)[6:]] == [1e21]
    assert time_texts(np.array([T * 1000, T * 1000 + 500])) == [b"1700000000", b"1700000000.5"]
    assert value_texts(np.empty(0)) == []


def test_metrics_are_shown_to_this_host_and_not_through_a_proxy(client: Client, db: None, issue: Callable[..., str]):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert b"console_ingest_rows_total" in answer.content
    assert client.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 401
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 401
    scraper = issue("scrape", kind="scrape", of=None)
    seen = client.get("/metrics", REMOTE_ADDR="203.0.113.9", headers={"Authorization": f"Bearer {scraper}"})
    assert seen.status_code == 200
    assert json.dumps(answer["Content-Type"]).startswith('"text/plain')


@pytest.mark.parametrize("compacted", [False, True])
def test_labels_values_and_series_keep_to_the_period(signed_in: Client, data: int, compacted: bool):
    if compacted:
        partitions_prepare(now=clock.now())
        compaction_run(now=clock.now())
    for path, selector in (("labels", {}), ("label/x/values", {}), ("series", {"match[]": "a"})):
        inside = signed_in.get(f"/api/v1/{path}", {**selector, "start": data - 30, "end": data}).json()["data"]
        assert inside == signed_in.get(f"/api/v1/{path}", selector).json()["data"]
        assert signed_in.get(f"/api/v1/{path}", {**selector, "start": data + 60}).json()["data"] == []
        assert signed_in.get(f"/api/v1/{path}", {**selector, "end": data - 3600}).json()["data"] == []
