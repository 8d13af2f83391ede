"""POST /api/v1/write: what an independent sender pushes is there to ask for."""

from collections.abc import Callable

import pytest
from django.test import Client
from remote_pb2.remote_pb2 import WriteRequest
from remote_pb2.types_pb2 import MetricMetadata

from metrics import selectors
from metrics.models import HeadBlock, MetadataEntry, RejectedRequest, Series
from metrics.native_histograms import codec
from metrics.native_histograms.model import Span
from metrics.promql.types import STALE_NAN, STALE_NAN_BITS, Matcher
from metrics.store.exemplars import exemplars_select
from metrics.store.postgres import STORE
from tests.metrics.senders import push, snappy, write_request

pytestmark = pytest.mark.django_db
UP = {"__name__": "up", "job": "node", "instance": "a:9100"}


def stored(now_ms: int, name: str = "up") -> dict[tuple, list[tuple[int, float]]]:
    found = STORE.select([Matcher("__name__", "=", name)], now_ms - 10**6, now_ms + 10**6)
    result = {}
    for index, labels in enumerate(found.labels):
        part = slice(found.offsets[index], found.offsets[index + 1])
        key = tuple(sorted(labels.items()))
        result[key] = list(zip(found.timestamps_ms[part].tolist(), found.values[part].tolist(), strict=True))
    return result


def test_samples_are_stored_and_the_answer_is_204(client: Client, token: str, now_ms: int):
    answer = push(client, token, snappy(write_request((UP, [(now_ms - 1000, 1.0), (now_ms, 0.5)]))))
    assert (answer.status_code, answer.content) == (204, b"")
    assert stored(now_ms) == {tuple(sorted(UP.items())): [(now_ms - 1000, 1.0), (now_ms, 0.5)]}


def test_a_second_request_uses_the_remembered_series(
    client: Client, token: str, now_ms: int, django_capture_on_commit_callbacks: Callable
):
    for step in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            push(client, token, snappy(write_request((UP, [(now_ms + step, float(step))]))))
    assert Series.objects.count() == 1
    assert list(stored(now_ms).values()) == [[(now_ms, 0.0), (now_ms + 1, 1.0), (now_ms + 2, 2.0)]]


def test_a_stale_marker_keeps_its_bits(client: Client, token: str, now_ms: int):
    push(client, token, snappy(write_request((UP, [(now_ms, STALE_NAN)]))))
    found = STORE.select([Matcher("__name__", "=", "up")], now_ms, now_ms)
    assert found.values.view("u8").tolist() == [STALE_NAN_BITS]


def test_the_good_part_is_stored_and_the_bad_part_is_told(client: Client, token: str, now_ms: int):
    message = write_request(
        (UP, [(now_ms, 1.0), (now_ms - 10 * 86_400_000, 1.0)]),
        ({"job": "nameless"}, [(now_ms, 1.0)]),
        ({"__name__": "long", "x": "y" * 3_000}, [(now_ms, 1.0)]),
    )
    answer = push(client, token, snappy(message))
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "1 samples stored, 3 refused" in text
    assert "metric name is missing" in text
    assert "timestamp outside the window" in text
    assert list(stored(now_ms).values()) == [[(now_ms, 1.0)]]
    assert RejectedRequest.objects.get().door == "remote_write"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([("__name__", "a"), ("x", "1"), ("x", "2")], "given twice"),
        ([("__name__", "a"), ("x", "nul\0")], "NUL"),
        ([("__name__", "a"), *((f"l{i:02d}", "v") for i in range(41))], "42 labels"),
        ([("__name__", "n" * 1_025)], "longer than 1024"),
        ([("__name__", "")], "metric name is missing"),
    ],
)
def test_labels_that_cannot_name_a_series_are_refused(
    client: Client, token: str, now_ms: int, labels: list[tuple[str, str]], reason: str
):
    message = WriteRequest()
    entry = message.timeseries.add()
    for name, value in labels:
        entry.labels.add(name=name, value=value)
    entry.samples.add(timestamp=now_ms, value=1.0)
    answer = push(client, token, snappy(message))
    assert answer.status_code == 400
    assert reason in answer.content.decode()
    assert HeadBlock.objects.count() == 0


def test_a_label_that_is_not_utf8_is_refused(client: Client, token: str, now_ms: int):
    raw = write_request(({"__name__": "abcd"}, [(now_ms, 1.0)])).SerializeToString().replace(b"abcd", b"a\xff\xfed")
    import cramjam

    answer = push(client, token, bytes(cramjam.snappy.compress_raw(raw)))
    assert (answer.status_code, b"not UTF-8" in answer.content) == (400, True)


def test_metadata_is_stored(client: Client, token: str, now_ms: int):
    message = write_request(({"__name__": "a_total"}, [(now_ms, 1.0)]))
    message.metadata.add(type=MetricMetadata.COUNTER, metric_family_name="a_total", help="All of them.", unit="things")
    assert push(client, token, snappy(message)).status_code == 204
    entry = MetadataEntry.objects.get()
    assert (entry.family, entry.type, entry.help, entry.unit) == ("a_total", "counter", "All of them.", "things")
    assert selectors.metadata()["a_total"] == [{"type": "counter", "help": "All of them.", "unit": "things"}]


def test_histograms_and_exemplars_are_stored_beside_samples(client: Client, token: str, now_ms: int):
    message = write_request((UP, [(now_ms, 1.0)]), ({"__name__": "h"}, []), ({"__name__": "f"}, []))
    exemplar = message.timeseries[0].exemplars.add(value=0.5, timestamp=now_ms)
    exemplar.labels.add(name="trace_id", value="abc")
    whole = message.timeseries[1].histograms.add(timestamp=now_ms, count_int=4, sum=9.0, zero_count_int=1)
    whole.positive_spans.add(offset=-1, length=2)
    whole.positive_deltas.extend([2, -1])
    floats = message.timeseries[2].histograms.add(timestamp=now_ms, count_float=1.5, sum=2.0, schema=8)
    floats.negative_spans.add(offset=3, length=1)
    floats.negative_counts.append(1.5)
    assert push(client, token, snappy(message)).status_code == 204
    assert [list(stored(now_ms, name).values()) for name in ("up", "h", "f")] == [
        [[(now_ms, 1.0)]],
        [[(now_ms, 4.0)]],
        [[(now_ms, 1.5)]],
    ]
    found = STORE.select([Matcher("__name__", "=", "h")], now_ms, now_ms).histograms
    assert found is not None
    kept = codec.decode(found[0]) if isinstance(found[0], bytes) else found[0]
    assert (kept.positive_spans, kept.positive, kept.zero_count) == ((Span(-1, 2),), (2.0, 1.0), 1.0)
    ids = list(Series.objects.filter(metric__name="up").values_list("pk", flat=True))
    assert [row.labels for row in exemplars_select(ids, now_ms, now_ms)] == [{"trace_id": "abc"}]


def test_a_bad_histogram_is_told_and_the_sample_beside_it_kept(client: Client, token: str, now_ms: int):
    message = write_request((UP, [(now_ms, 1.0)]))
    message.timeseries[0].histograms.add(timestamp=now_ms, count_int=4)
    answer = push(client, token, snappy(message))
    assert (answer.status_code, b"its count says 4 (1)" in answer.content) == (400, True)
    assert list(stored(now_ms).values()) == [[(now_ms, 1.0)]]


def test_old_samples_need_the_scope_backfill(client: Client, issue: Callable[..., str], now_ms: int):
    old = now_ms - 3 * 86_400_000
    body = snappy(write_request((UP, [(old, 1.0)])))
    assert push(client, issue("ingest:metrics"), body).status_code == 400
    assert push(client, issue("ingest:metrics", "backfill"), body).status_code == 204
    assert list(stored(old).values()) == [[(old, 1.0)]]


def test_more_series_than_a_source_may_have_are_held_back_and_the_limit_is_named(
    client: Client, token: str, now_ms: int, settings
):
    import dataclasses

    settings.CONFIG = dataclasses.replace(settings.CONFIG, ingest_series_per_source=3)
    body = snappy(write_request(*(({"__name__": "m", "i": str(i)}, [(now_ms, 1.0)]) for i in range(5))))
    answer = push(client, token, body)
    assert answer.status_code == 429
    assert "limit of 3 series a source" in answer.content.decode()
    assert int(answer["Retry-After"]) > 0
    assert Series.objects.count() == 3


def test_a_source_that_sends_too_often_is_told_when_to_come_again(client: Client, token: str, now_ms: int, settings):
    import dataclasses

    settings.CONFIG = dataclasses.replace(settings.CONFIG, ingest_requests_per_second=1)
    body = snappy(write_request((UP, [(now_ms, 1.0)])))
    statuses = [push(client, token, body).status_code for _ in range(4)]
    assert statuses == [204, 204, 429, 429]


def test_what_the_sender_says_about_itself_is_ignored(client: Client, token: str, now_ms: int, source):
    headers = {"X-Scope-OrgID": "other", "X-Forwarded-For": "8.8.8.8"}
    assert push(client, token, snappy(write_request((UP, [(now_ms, 1.0)]))), **headers).status_code == 204
    assert Series.objects.get().source_id == source.pk
