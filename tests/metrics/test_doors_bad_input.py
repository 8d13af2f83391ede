"""The table of bad input: what each door was sent, and the status and message that came back; never a 5xx."""

import gzip
import json
from collections.abc import Callable

import cramjam
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.models import HeadBlock, RejectedRequest, Series
from tests.metrics.senders import push, push_rows, snappy, write_request

pytestmark = pytest.mark.django_db
GOOD_ROW = {"name": "a", "value": 1}


def raw_snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


VERSION_2 = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
REMOTE_WRITE = [
    ("no length", b"\xff", {}, 400, "length of a snappy block"),
    ("not snappy", b"hello world, this is text", {}, 400, "snappy"),
    ("declares 4 GiB", b"\xff\xff\xff\xff\x0f" + b"x" * 20, {}, 400, "at most 33554432 are taken"),
    ("declares more than it holds", b"\x80\x80\x04" + b"\x00x", {}, 400, "not a snappy block"),
    ("length never ends", b"\xff" * 30, {}, 400, "length of a snappy block"),
    ("not protobuf", raw_snappy(b"\xff" * 40), {}, 400, "WriteRequest"),
    ("field beyond the end", raw_snappy(b"\x0a\x7f\x01"), {}, 400, "longer than the bytes that are left"),
    ("length of 2^63", raw_snappy(b"\x0a" + b"\xff" * 8 + b"\x7f"), {}, 400, "longer than the bytes that are left"),
    ("varint of eleven bytes", raw_snappy(b"\x0a" + b"\xff" * 10 + b"\x01"), {}, 400, "longer than ten bytes"),
    ("group wire type", raw_snappy(b"\x0b\x0c"), {}, 400, "wire type"),
    ("field number 0", raw_snappy(b"\x02\x00"), {}, 400, "number 0"),
    ("JSON", b"{}", {"Content-Type": "application/json"}, 415, "application/x-protobuf"),
    ("another message", b"x", {"Content-Type": "application/x-protobuf;proto=x.v3"}, 415, "write.v2.Request"),
    ("version 2, not protobuf", raw_snappy(b"\xff" * 40), VERSION_2, 400, "write.v2.Request"),
    ("version 2, refs never end", raw_snappy(b"\x22\x00\x2a\x03\x0a\x01\xff"), VERSION_2, 400, "bytes that are left"),
    ("version 2, first symbol not empty", raw_snappy(b"\x22\x01x"), VERSION_2, 400, "first symbol is not empty"),
    ("gzip", gzip.compress(b""), {"Content-Encoding": "gzip"}, 415, "snappy"),
    ("two encodings", b"x", {"Content-Encoding": "snappy, gzip"}, 415, "snappy"),
]


REMOTE_IDS = [case[0] for case in REMOTE_WRITE]


@pytest.mark.parametrize(("case", "body", "headers", "status", "message"), REMOTE_WRITE, ids=REMOTE_IDS)
def test_remote_write(
    client: Client, token: str, case: str, body: bytes, headers: dict[str, str], status: int, message: str
):
    answer = push(client, token, body, **headers)
    assert (answer.status_code, message in answer.content.decode()) == (status, True), answer.content
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert RejectedRequest.objects.get().status == status
    assert HeadBlock.objects.count() == 0


def batch(*rows: object, **more: object) -> bytes:
    return json.dumps({"batch_id": "b1", "rows": rows, **more}).encode()


NATIVE = [
    ("blank body", b" ", {}, 400, "not a batch"),
    ("not JSON", b"hello", {}, 400, "not a batch"),
    ("cut off", b'{"batch_id": "b1", "rows": [', {}, 400, "not a batch"),
    ("an array", b"[]", {}, 400, "not a batch"),
    ("rows missing", b'{"batch_id": "b1"}', {}, 400, "rows"),
    ("rows not an array", b'{"batch_id": "b1", "rows": {}}', {}, 400, "rows"),
    ("batch_id missing", b'{"rows": []}', {}, 400, "batch_id"),
    ("batch_id empty", b'{"batch_id": "", "rows": []}', {}, 400, "1 to 64"),
    ("batch_id of 65", batch(batch_id="x" * 65), {}, 400, "1 to 64"),
    ("batch_id with NUL", batch(batch_id="a\0b"), {}, 400, "1 to 64"),
    ("NaN", b'{"batch_id": "b1", "rows": [{"name": "a", "value": NaN}]}', {}, 400, "not a batch"),
    ("Infinity", b'{"batch_id": "b1", "rows": [{"name": "a", "value": Infinity}]}', {}, 400, "not a batch"),
    ("not UTF-8", b'{"batch_id": "\xff\xfe", "rows": []}', {}, 400, "not a batch"),
    ("batch_id of half a pair", b'{"batch_id": "\\ud800", "rows": []}', {}, 400, "not a batch"),
    ("an escape cut off", b'{"batch_id": "b1", "rows": ["\\ud8"]}', {}, 400, "not a batch"),
    ("deep nesting", b"[" * 5000 + b"]" * 5000, {}, 413, "depth 5000"),
    ("many nodes", batch(*([1] * 200_001)), {}, 413, "nodes"),
    ("many rows", batch(*([1] * 50_001)), {}, 413, "50001 rows"),
    ("too large", b" " * 10_000_001, {}, 413, "larger than 10000000 bytes"),
    ("gzip of 200 MiB", gzip.compress(b"\0" * (200 << 20), 1)[:900_000], {"Content-Encoding": "gzip"}, 413, "decoded"),
    ("gzip cut off", gzip.compress(b"{}" * 500)[:20], {"Content-Encoding": "gzip"}, 400, "gzip"),
    ("not gzip", b"{}", {"Content-Encoding": "gzip"}, 400, "not gzip"),
    (
        "zstd of 64 MiB",
        bytes(cramjam.zstd.compress(b"\0" * (64 << 20), 3)),
        {"Content-Encoding": "zstd"},
        413,
        "larger than",
    ),
    ("zstd of a huge window", b"\x28\xb5\x2f\xfd\x00\xa8" + b"\0" * 20, {"Content-Encoding": "zstd"}, 413, "window"),
    ("not zstd", b"{}", {"Content-Encoding": "zstd"}, 400, "not zstd"),
    ("brotli", b"{}", {"Content-Encoding": "br"}, 415, "encoding"),
    ("nested encodings", b"{}", {"Content-Encoding": "gzip, gzip"}, 415, "encoding"),
    ("form", b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
]


@pytest.mark.parametrize(("case", "body", "headers", "status", "message"), NATIVE, ids=[c[0] for c in NATIVE])
def test_native_json(
    client: Client, token: str, case: str, body: bytes, headers: dict[str, str], status: int, message: str
):
    answer = push_rows(client, token, body, **headers)
    assert (answer.status_code, message in answer.json()["detail"]) == (status, True), answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert RejectedRequest.objects.get().status == status


ROWS = [
    ("value is text", {"name": "a", "value": "1"}, "Expected `float`"),
    ("value missing", {"name": "a"}, "missing required field `value`"),
    ("value is null", {"name": "a", "value": None}, "Expected `float`"),
    ("name missing", {"value": 1}, "missing required field `name`"),
    ("name empty", {"name": "", "value": 1}, "metric name is empty"),
    ("name long", {"name": "n" * 1025, "value": 1}, "longer than 1024"),
    ("name with NUL", {"name": "a\0", "value": 1}, "NUL"),
    ("unknown type", {**GOOD_ROW, "type": "guage"}, "Invalid enum value"),
    ("unknown field", {**GOOD_ROW, "severity": "critical"}, "unknown field"),
    ("label is a list", {**GOOD_ROW, "labels": {"x": []}}, "Expected `bool | int | float | str`"),
    ("labels is a list", {**GOOD_ROW, "labels": []}, "Expected `object`"),
    ("reserved label", {**GOOD_ROW, "labels": {"__name__": "b"}}, "reserved"),
    ("empty label name", {**GOOD_ROW, "labels": {"": "b"}}, "label name is empty"),
    ("label value long", {**GOOD_ROW, "labels": {"x": "v" * 2049}}, "longer than 2048"),
    ("label value with NUL", {**GOOD_ROW, "labels": {"x": "\0"}}, "NUL"),
    ("41 labels", {**GOOD_ROW, "labels": {f"l{i}": "v" for i in range(41)}}, "42 labels"),
    ("year 9999", {**GOOD_ROW, "timestamp_ms": 253402300799000}, "outside the window"),
    ("negative time", {**GOOD_ROW, "timestamp_ms": -1}, "outside the window"),
    ("time of 2^63", {**GOOD_ROW, "timestamp_ms": 1 << 63}, "outside the window"),
    ("time of 2^200", {**GOOD_ROW, "timestamp_ms": 1 << 200}, "outside the window"),
    ("time is a float", {**GOOD_ROW, "timestamp_ms": 1.5}, "Expected"),
    ("name is half a pair", {"name": "\ud800", "value": 1}, "not Unicode"),
    ("label is the other half", {**GOOD_ROW, "labels": {"x": "a\udc00b"}}, "not Unicode"),
    ("half a pair twice", {**GOOD_ROW, "labels": {"\udbff": "\udbff"}}, "not Unicode"),
    ("row is null", None, "Expected `object`"),
    ("row is a number", 7, "Expected `object`"),
]


@pytest.mark.parametrize(("case", "row", "reason"), ROWS, ids=[c[0] for c in ROWS])
def test_a_bad_row_is_told_and_the_good_one_beside_it_kept(
    client: Client, token: str, case: str, row: object, reason: str
):
    answer = push_rows(client, token, batch(row, GOOD_ROW))
    assert answer.status_code == 200, answer.content
    reply = answer.json()
    assert reply["accepted"] == 1
    assert [bad["row"] for bad in reply["rejected"]] == [0]
    assert reason in reply["rejected"][0]["reason"]
    assert Series.objects.count() == 1


def test_whole_pairs_and_escaped_backslashes_beside_half_a_pair_stay_as_they_are(client: Client, token: str):
    text = {"a": "\U0001f600", "b": "\\ud800", "c": '"\\\\ud83d'}
    answer = push_rows(client, token, batch({"name": "\udfff", "value": 1}, {**GOOD_ROW, "labels": text}))
    assert [bad["row"] for bad in answer.json()["rejected"]] == [0]
    assert {name: Series.objects.get().labels[name] for name in text} == text


def test_a_number_too_large_for_a_float_is_refused(client: Client, token: str):
    answer = push_rows(client, token, b'{"batch_id": "b1", "rows": [{"name": "a", "value": 1e999}]}')
    assert answer.status_code in {200, 400}
    assert HeadBlock.objects.count() == 0


@pytest.mark.parametrize("path", ["/api/v1/write", "/api/v1/ingest/metrics"])
@pytest.mark.parametrize(
    ("authorization", "status"),
    [(None, 401), ("", 401), ("Bearer", 401), ("Bearer nonsense", 401), ("Basic YTpi", 401), ("Bearer obs_\xff", 401)],
)
def test_without_a_valid_token_nothing_is_taken(client: Client, db: None, path: str, authorization: str, status: int):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = client.post(path, data=b"{}", content_type="application/json", headers=headers)
    assert answer.status_code == status
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_address_is_refused(client: Client, token: str):
    answer = client.post(f"/api/v1/write?token={token}", data=b"", content_type="application/x-protobuf")
    assert answer.status_code == 401
    assert token not in answer.content.decode()
    assert token not in RejectedRequest.objects.get().excerpt


def test_a_token_without_the_scope_is_refused(client: Client, issue: Callable[..., str]):
    other = issue("ingest:alerts")
    assert push(client, other, b"").status_code == 403
    assert push_rows(client, other, batch(GOOD_ROW)).status_code == 403


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_only_post_is_taken(client: Client, db: None, method: str):
    for path in ("/api/v1/write", "/api/v1/ingest/metrics"):
        assert getattr(client, method)(path).status_code == 405


def test_an_unknown_kind_is_404(client: Client, token: str):
    answer = client.post("/api/v1/ingest/nothing", data=b"{}", content_type="application/json")
    assert answer.status_code == 404


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), cut=st.integers(0, 60), flip=st.integers(0, 255), at=st.integers(0, 60))
def test_no_bytes_make_a_door_fall(client: Client, token: str, body: bytes, cut: int, flip: int, at: int):
    good = bytearray(write_request(({"__name__": "a", "x": "1"}, [(1, 1.0)])).SerializeToString())
    good[at % len(good)] ^= flip
    for sent in (body, raw_snappy(body), raw_snappy(bytes(good[: cut or None])), snappy(write_request())):
        assert push(client, token, sent).status_code < 500
    assert push_rows(client, token, body).status_code < 500
