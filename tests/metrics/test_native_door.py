"""POST /api/v1/ingest/metrics: batches that may be sent twice."""

import json
from collections.abc import Callable

import pytest
from django.test import Client

from metrics.models import HeadBlock, IngestBatch, MetadataEntry, RejectedRequest
from metrics.promql.types import Matcher
from metrics.store.postgres import STORE
from tests.metrics.senders import push_rows

pytestmark = pytest.mark.django_db


def batch(*rows: object, batch_id: str = "b1") -> bytes:
    return json.dumps({"batch_id": batch_id, "rows": rows}).encode()


def test_a_batch_is_stored(client: Client, token: str, now_ms: int):
    row = {
        "name": "cpu_seconds_total",
        "type": "counter",
        "value": 1.5,
        "labels": {"mode": "user", "virtual": True, "core": 3},
        "timestamp_ms": now_ms,
        "unit": "seconds",
        "help": "CPU time.",
    }
    answer = push_rows(client, token, batch(row))
    assert answer.status_code == 200
    assert answer.json() == {"batch_id": "b1", "accepted": 1, "rejected": [], "duplicate": False}
    found = STORE.select([Matcher("core", "=", "3")], now_ms, now_ms)
    assert found.labels == [{"__name__": "cpu_seconds_total", "core": "3", "mode": "user", "virtual": "true"}]
    assert found.values.tolist() == [1.5]
    assert MetadataEntry.objects.get().type == "counter"


def test_a_repeated_batch_gets_the_stored_reply_and_stores_nothing(client: Client, token: str):
    first = push_rows(client, token, batch({"name": "a", "value": 1}, {"name": "", "value": 1})).json()
    again = push_rows(client, token, batch({"name": "b", "value": 2})).json()
    assert again == {**first, "duplicate": True}
    assert HeadBlock.objects.count() == 1
    assert IngestBatch.objects.count() == 1


def test_the_same_batch_id_of_another_source_is_another_batch(client: Client, issue: Callable[..., str], source):
    other = type(source).objects.create(name="edge-2")
    body = batch({"name": "a", "value": 1})
    assert push_rows(client, issue("ingest:metrics"), body).json()["duplicate"] is False
    assert push_rows(client, issue("ingest:metrics", of=other), body).json()["duplicate"] is False


def test_rows_without_a_time_get_the_time_of_arrival(client: Client, token: str, now_ms: int):
    push_rows(client, token, batch({"name": "a", "value": 1}))
    found = STORE.select([Matcher("__name__", "=", "a")], now_ms - 60_000, now_ms + 60_000)
    assert found.values.tolist() == [1.0]


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy"])
def test_encoded_bodies_are_read(client: Client, token: str, encoding: str):
    import gzip

    import cramjam

    body = batch({"name": "a", "value": 1})
    encoders = {"gzip": gzip.compress, "zstd": cramjam.zstd.compress, "snappy": cramjam.snappy.compress_raw}
    sent = bytes(encoders[encoding](body))
    assert push_rows(client, token, sent, **{"Content-Encoding": encoding}).json()["accepted"] == 1


def test_refused_rows_are_kept_with_their_reason_for_the_setup_page(client: Client, token: str):
    rows = [{"name": "a", "value": 1}, {"name": "a", "value": 1, "timestamp_ms": 1_600_000_000_000}]
    answer = push_rows(client, token, json.dumps({"batch_id": "old", "rows": rows}).encode())
    kept = RejectedRequest.objects.get()
    assert (answer.json()["accepted"], kept.status) == (1, 200)
    assert kept.reason == "1 of 2 rows refused: timestamp outside the window of this door (1)"
