"""What a Prometheus says of itself, its targets and its rules, and how any answer is wrapped."""

import dataclasses
import gzip
import math
from typing import Any

import numpy as np
import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from aivillage_console.accounts.models import AuditEntry, User
from aivillage_console.accounts.services import forget_denials
from metrics.compat.catalogue import unescaped
from metrics.compat.parameters import parsed_duration_ms, parsed_time_ms
from metrics.native_histograms.model import Histogram, Span
from metrics.wire.answers.histograms import histogram_json
from metrics.wire.answers.numbers import exponent_text, joined_points, point_texts, time_texts, value_texts
from tests.metrics.senders import push, snappy, write_request

FLOATS = st.floats(width=64) | st.integers(-(10**6), 10**6).map(float)


@pytest.fixture
def signed_in(client: Client, viewer: User) -> Client:
    client.force_login(viewer)
    return client


@pytest.fixture
def series(client: Client, token: str, now_ms: int) -> int:
    samples = [(now_ms - 60_000, 1.0), (now_ms - 30_000, 2.0)]
    message = write_request(
        *(({"__name__": "a", "x": str(number % 3), "long": "v" * 90 + str(number)}, samples) for number in range(300))
    )
    assert push(client, token, snappy(message)).status_code == 204
    return now_ms


@pytest.mark.django_db
def test_the_largest_parts_of_the_store_are_listed(signed_in: Client, series: int):
    data = signed_in.get("/api/v1/status/tsdb", {"limit": 2}).json()["data"]
    assert data["headStats"]["numSeries"] == 300
    assert data["headStats"]["maxTime"] == series - 30_000
    assert data["seriesCountByMetricName"] == [{"name": "a", "value": 300}]
    assert data["labelValueCountByLabelName"] == [{"name": "long", "value": 300}, {"name": "x", "value": 3}]
    assert data["memoryInBytesByLabelName"][0]["name"] == "long"
    assert data["seriesCountByLabelValuePair"][0] == {"name": "__name__=a", "value": 300}
    for limit in ("0", "-1", "x", "10001"):
        assert signed_in.get("/api/v1/status/tsdb", {"limit": limit}).status_code == 400


@pytest.mark.django_db
def test_what_a_prometheus_says_of_itself(signed_in: Client, settings: Any):
    told = signed_in.get("/api/v1/status/runtimeinfo").json()["data"]
    assert told["storageRetention"] == f"{settings.CONFIG.retention_days}d"
    assert told["startTime"].endswith("Z")
    assert signed_in.get("/api/v1/status/config").json()["data"]["yaml"].startswith("global:\n")
    assert signed_in.get("/api/v1/status/walreplay").json()["data"] == {"min": 0, "max": 0, "current": 0}
    assert signed_in.get("/api/v1/notifications").json()["data"] == []
    none = {"activeAlertmanagers": [], "droppedAlertmanagers": []}
    assert signed_in.get("/api/v1/alertmanagers").json()["data"] == none


@pytest.mark.django_db
def test_the_admin_api_is_that_of_a_prometheus_that_was_given_none(signed_in: Client):
    for verb in ("delete_series", "clean_tombstones", "snapshot"):
        answer = signed_in.post(f"/api/v1/admin/tsdb/{verb}")
        assert (answer.status_code, answer.json()["errorType"]) == (500, "unavailable")
        assert answer.json()["error"] == "admin APIs disabled"


@pytest.mark.django_db
def test_large_answers_are_compressed_but_not_within_this_machine(signed_in: Client, series: int):
    asked = {"match[]": "a"}
    takes = {"Accept-Encoding": "br, gzip;q=0.8"}
    plain = signed_in.get("/api/v1/series", asked, headers=takes)
    assert "Content-Encoding" not in plain
    far = signed_in.get("/api/v1/series", asked, headers=takes, REMOTE_ADDR="203.0.113.9")
    assert (far["Content-Encoding"], far["Vary"].split(", ")[0]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(far.content) == plain.content
    assert len(far.content) < len(plain.content) / 3
    for refuses in ("gzip;q=0", "br", ""):
        kept = signed_in.get("/api/v1/series", asked, headers={"Accept-Encoding": refuses}, REMOTE_ADDR="203.0.113.9")
        assert "Content-Encoding" not in kept


@pytest.mark.django_db
def test_pages_of_configured_origins_may_ask_and_no_others(client: Client, settings: Any):
    settings.CONFIG = dataclasses.replace(settings.CONFIG, api_cors_origins=["https://dash.example.org"])
    for origin, allowed in (("https://dash.example.org", True), ("https://evil.example.org", False)):
        answer = client.options("/api/v1/query", headers={"Origin": origin})
        assert answer.status_code == 204
        assert answer.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.django_db
def test_a_refused_token_is_in_the_audit_trail(client: Client, token: str):
    forget_denials()
    assert client.get("/api/v1/query", {"query": "1"}, headers={"Authorization": f"Bearer {token}"}).status_code == 403
    assert AuditEntry.objects.filter(action="access.denied").exists()


@pytest.mark.django_db
def test_statistics_of_a_query_are_given_when_asked_for(signed_in: Client, series: int):
    asked = {"query": "count(a)", "time": series / 1000, "stats": "all"}
    body = signed_in.get("/api/v1/query", asked).json()
    assert body["data"]["stats"]["samples"]["totalQueryableSamples"] == 600
    assert body["data"]["stats"]["timings"]["execTotalTime"] > 0
    assert "warnings" not in body
    odd = signed_in.get("/api/v1/query", {**asked, "stats": "yes"}).json()
    assert "deprecated" in odd["warnings"][0]
    assert "stats" not in signed_in.get("/api/v1/query", {**asked, "stats": ""}).json()["data"]


@pytest.mark.django_db
def test_limits_of_metadata(signed_in: Client):
    assert signed_in.get("/api/v1/metadata", {"limit": 0}).json()["data"] == {}
    for name in ("limit", "limit_per_metric"):
        answer = signed_in.get("/api/v1/metadata", {name: "x"})
        assert (answer.status_code, answer.json()["error"]) == (400, f"{name} must be a number")


@given(
    st.lists(st.lists(FLOATS | st.none(), min_size=4, max_size=4), min_size=1, max_size=5),
    st.lists(st.integers(-(10**14), 10**14), min_size=4, max_size=4),
)
@settings(deadline=None)
def test_points_are_joined_as_one_by_one(rows: list[list[float | None]], times: list[int]):
    stamps = np.array(times, np.int64)
    present = np.array([[value is not None for value in row] for row in rows])
    values = np.array([[value if value is not None else 0.0 for value in row] for row in rows])
    texts = time_texts(stamps)
    expected = [
        joined_points(texts, np.flatnonzero(present[row]), value_texts(values[row][present[row]]))
        for row in range(len(rows))
    ]
    assert point_texts(stamps, values, present) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_and_have_no_exponent_where_prometheus_writes_none(value: float):
    (text,) = value_texts(np.array([value]))
    assert float(text) == value
    plain = value == 0 or 1e-6 <= abs(value) < 1e21
    assert (b"e" not in text) == plain
    assert float(exponent_text(value)) == value


def test_values_of_alerts_have_an_exponent():
    assert [exponent_text(value) for value in (1.0, 0.0, 12.5, -0.001, math.inf)] == [
        "1e+00", "0e+00", "1.25e+01", "-1e-03", "+Inf",
    ]  # fmt: skip


def test_a_native_histogram_is_written_with_the_bounds_of_its_buckets():
    histogram = Histogram(0, 9.0, 18.5, 0.001, 2.0, (Span(0, 3),), (1.0, 0.0, 4.0), (Span(1, 1),), (2.0,))
    assert histogram_json(histogram) == (
        b'{"count":"9","sum":"18.5","buckets":[[1,"-2","-1","2"],[3,"-0.001","0.001","2"],[0,"0.5","1","1"],'
        b'[0,"2","4","4"]]}'
    )
    assert histogram_json(Histogram(0, 0.0, 0.0)) == b'{"count":"0","sum":"0"}'


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        ("U__service_2e_name", "service.name"), ("U__a__b", "a_b"), ("U___1f600_", "\U0001f600"), ("plain", "plain"),
        ("U__a_zz_b", "U__a_zz_b"), ("U__a_d800_", "U__a_d800_"), ("U__cut_2", "U__cut_2"),
    ],
)  # fmt: skip
def test_escaped_names_are_read(escaped: str, name: str):
    assert unescaped(escaped) == name


def test_times_and_durations_in_every_notation():
    assert parsed_time_ms("1700000000.5") == 1_700_000_000_500
    assert parsed_time_ms("2023-11-14T22:13:20Z") == 1_700_000_000_000
    assert parsed_time_ms("2023-11-14T23:13:20.25+01:00") == 1_700_000_000_250
    assert parsed_time_ms("-292273086-05-16T16:47:06Z") is not None
    assert [parsed_time_ms(text) for text in ("", "x", "inf", "1e300")] == [None] * 4
    assert (parsed_duration_ms("1h30m"), parsed_duration_ms("0.5"), parsed_duration_ms("250ms")) == (
        5_400_000,
        500,
        250,
    )
    assert [parsed_duration_ms(text) for text in ("", "5", "m5", "1m1h", "٣s")] == [None, 5000, None, None, None]
