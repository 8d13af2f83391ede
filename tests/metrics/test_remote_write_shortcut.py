"""The shortcuts of small remote-write requests: past Django's handler, by a prepared statement, by remembered ids."""

import io
from typing import Any

import numpy as np
import pytest
from django.db import connection
from remote_pb2.remote_pb2 import WriteRequest

from aivillage_console.accounts.authentication import forget_tokens
from aivillage_console.accounts.models import ApiToken
from aivillage_console.lib import clock
from aivillage_console.wsgi import application
from metrics.ingest.limits import Gate
from metrics.ingest.shortcut import taken
from metrics.models import HeadBlock, RejectedRequest
from metrics.store import head_block
from metrics.store.columns import Samples
from metrics.store.postgres import STORE
from metrics.wire.series_table import request_key
from tests.metrics.senders import snappy, write_request

UP = {"__name__": "up", "job": "node", "instance": "a:9100"}


def asked(body: bytes, **changes: Any) -> tuple[str, dict[str, str], bytes]:
    """Return status, headers and body of what the server's callable answers to a request."""
    given: list[Any] = []
    environ = {**request_of(body, ""), **changes}
    content = b"".join(application(environ, lambda status, headers: given.extend((status, dict(headers)))))
    return given[0], given[1], content


def request_of(body: bytes, token: str) -> dict[str, Any]:
    """Return what the server gives its callable."""
    authorization = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/api/v1/write", "SCRIPT_NAME": "", "QUERY_STRING": "",
        "CONTENT_TYPE": "application/x-protobuf", "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": "snappy",
        "SERVER_NAME": "x", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http", **authorization,
    }  # fmt: skip


def samples(*values: float) -> Samples:
    size = len(values)
    return Samples(np.arange(size, dtype=np.int64) + 7, np.full(size, 1_000, np.int64), np.array(values))


@pytest.mark.django_db(transaction=True)
def test_the_server_answers_as_the_door_does(token: str, now_ms: int):
    body = snappy(write_request((UP, [(now_ms, 1.0)])))
    status, _, content = asked(body, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert (status, content) == ("204 No Content", b"")
    assert HeadBlock.objects.get().samples == 1


@pytest.mark.django_db(transaction=True)
def test_the_server_refuses_as_the_door_does():
    status, headers, content = asked(b"")
    assert status == "401 Unauthorized"
    assert headers["WWW-Authenticate"] == "Bearer"
    assert headers["Cache-Control"] == "no-store"
    assert b"Authorization: Bearer" in content
    assert RejectedRequest.objects.get().status == 401


@pytest.mark.django_db(transaction=True)
def test_a_key_in_the_address_is_refused_by_the_server_too(token: str):
    status, _, content = asked(b"", QUERY_STRING=f"token={token}", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert status == "401 Unauthorized"
    assert b"never in the address" in content


@pytest.mark.django_db(transaction=True)
def test_a_head_block_is_stored_by_a_prepared_statement_and_again_after_a_pooler_lost_it():
    STORE.append(samples(1.0, 2.0), durable=True)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    STORE.append(samples(3.0), durable=True)
    found = [head_block.decode(bytes(block.data)).values.tolist() for block in HeadBlock.objects.order_by("id")]
    assert found == [[1.0, 2.0], [3.0]]


@pytest.mark.django_db
def test_inside_a_transaction_a_head_block_is_part_of_it():
    STORE.append(samples(1.0), durable=True)
    assert HeadBlock.objects.get().t_max == 1_000


def test_ids_that_were_compressed_before_are_the_same_block_again():
    first = head_block.encode(samples(1.0, 2.0))
    assert head_block.encode(samples(1.0, 2.0)) == first
    assert head_block.decode(first).series_ids.tolist() == [7, 8]


def test_requests_are_told_apart_by_the_labels_of_their_first_series_and_not_by_its_sample():
    def key(instance: str, value: float) -> bytes:
        labels = {"__name__": "a_metric_with_a_long_name_total", "handler": "/api/v1/things/0", "instance": instance}
        return request_key(write_request((labels, [(1, value)])).SerializeToString())

    assert key("a:9100", 1.0) == key("a:9100", 0.0)
    assert key("a:9100", 1.0) != key("b:9100", 1.0)


@pytest.mark.parametrize(
    "raw", [b"", b"\x0a", b"\x0a\x80", b"\x0a\x80\x80\x80\x80\x80\x80\x0a\x0a", b"\x22\x7f", b"\x22"]
)
def test_a_request_that_is_cut_off_has_a_key_too(raw: bytes):
    assert len(request_key(raw)) <= max(129, len(raw))


def test_an_empty_request_has_an_empty_key():
    assert request_key(WriteRequest().SerializeToString()) == b""


@pytest.mark.django_db(transaction=True)
def test_the_same_series_again_are_stored_by_the_shortcut(token: str, now_ms: int):
    down = {**UP, "instance": "b:9100"}
    for step in range(3):
        at_ms = now_ms + step
        body = snappy(write_request((UP, [(at_ms, 1.0 + step)]), (down, [(at_ms + 10, 5.0)])))
        environ = request_of(body, token)
        went_short = taken(environ)
        assert went_short is (step == 2)
        if not went_short:
            assert asked(body, HTTP_AUTHORIZATION=f"Bearer {token}")[0] == "204 No Content"
    stored = [head_block.decode(bytes(block.data)) for block in HeadBlock.objects.order_by("id")]
    assert [block.values.tolist() for block in stored] == [[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]
    assert stored[2].timestamps_ms.tolist() == [now_ms + 2, now_ms + 12]
    assert stored[0].series_ids.tolist() == stored[2].series_ids.tolist()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"REQUEST_METHOD": "GET"}, "405 Method Not Allowed"),
        ({"CONTENT_TYPE": "text/plain"}, "415 Unsupported Media Type"),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, "415 Unsupported Media Type"),
        ({"QUERY_STRING": "token=x"}, "401 Unauthorized"),
        ({"HTTP_AUTHORIZATION": "Bearer nonsense"}, "401 Unauthorized"),
        ({"HTTP_AUTHORIZATION": "Basic nonsense"}, "401 Unauthorized"),
        ({"CONTENT_LENGTH": "99999999"}, "413 Content Too Large"),
        ({"CONTENT_LENGTH": "5"}, "400 Bad Request"),
        ({}, "204 No Content"),
    ],
)
def test_what_is_otherwise_is_answered_by_the_door(token: str, now_ms: int, changes: dict[str, str], expected: str):
    body = snappy(write_request((UP, [(now_ms, 1.0)])))
    known = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    assert [asked(body, **known)[0] for _ in range(2)] == ["204 No Content"] * 2
    assert asked(body, **{**known, **changes})[0].split(maxsplit=1)[0] == expected.split(maxsplit=1)[0]


@pytest.mark.django_db(transaction=True)
def test_samples_outside_the_window_are_told_of_though_their_series_are_known(token: str, now_ms: int):
    known = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    for _ in range(2):
        asked(snappy(write_request((UP, [(now_ms, 1.0)]))), **known)
    status, _, content = asked(snappy(write_request((UP, [(now_ms + 10_000_000, 1.0)]))), **known)
    assert status.startswith("400")
    assert b"outside the window" in content
    assert HeadBlock.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_request_that_leaves_the_shortcut_is_counted_once(token: str, now_ms: int, monkeypatch: pytest.MonkeyPatch):
    counted: list[object] = []
    monkeypatch.setattr(Gate, "take_request", lambda _, source_id: counted.append(source_id))
    bodies = [snappy(write_request(({**UP, "instance": str(number)}, [(now_ms, 1.0)]))) for number in range(3)]
    assert [asked(body, HTTP_AUTHORIZATION=f"Bearer {token}")[0] for body in bodies] == ["204 No Content"] * 3
    assert len(counted) == 3


@pytest.mark.django_db(transaction=True)
def test_a_revoked_token_goes_no_shortcut(token: str, now_ms: int):
    body = snappy(write_request((UP, [(now_ms, 1.0)])))
    for _ in range(2):
        asked(body, HTTP_AUTHORIZATION=f"Bearer {token}")
    ApiToken.objects.update(revoked_at=clock.now())
    forget_tokens()
    assert asked(body, HTTP_AUTHORIZATION=f"Bearer {token}")[0] == "401 Unauthorized"
    assert HeadBlock.objects.count() == 2
