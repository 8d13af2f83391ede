"""How a sender behaves, re-told from the index of sender tests of Prometheus' remote-write compliance suite."""

import json
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from aivillage_console.lib import http
from metrics.models import MetadataEntry, RemoteTarget
from metrics.native_histograms import codec
from metrics.native_histograms.model import Histogram, Span
from metrics.promql.types import STALE_NAN, STALE_NAN_BITS
from metrics.remote_out.delivery import MOST_RETRY_SECONDS, Fate, outcome_of, retry_after_seconds
from metrics.remote_out.sender import Stopped, TargetSender
from metrics.store.columns import Samples
from metrics.store.exemplars import Exemplar, exemplars_append, forget_rates
from metrics.store.postgres import PostgresStore
from tests.conftest import PROJECT_DIR
from tests.metrics.remote_out.receiver import NOW_MS, WRITTEN, Keep, Receiver, Waits, labels_of
from tests.metrics.test_store import make_series

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = (
    Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data")
    / "prom-compliance/remotewrite/test-index.json"
)
V2 = "io.prometheus.write.v2.Request"
Sender = Callable[..., TargetSender]


def everything(sender: TargetSender) -> None:
    while sender.once():
        continue


@pytest.mark.parametrize(
    ("message", "kind", "version"),
    [
        ("prometheus.WriteRequest", "application/x-protobuf", "0.1.0"),
        (V2, f"application/x-protobuf;proto={V2}", "2.0.0"),
    ],
)
def test_requests_carry_method_headers_and_a_message_others_can_read(
    keep: Keep, sender: Sender, receiver: Receiver, message: str, kind: str, version: str
):
    one = sender(protobuf_message=message, headers={"X-Scope-OrgID": "village"})
    keep("temperature", (0, 1.5), (1, -0.0), (2, math.inf), room="Küche")
    everything(one)
    (request,) = receiver.received
    assert (request.method, request.path, request.version) == ("POST", "/api/v1/write", version)
    assert request.headers["content-type"] == kind
    assert request.headers["content-encoding"] == "snappy"
    assert request.headers["user-agent"].startswith("aivillage-console")
    assert request.headers["x-scope-orgid"] == "village"
    (labels, samples) = request.rows()[0]
    assert labels == {"__name__": "temperature", "room": "Küche"}
    assert list(labels) == sorted(labels)
    assert samples == [(NOW_MS, 1.5), (NOW_MS + 1000, -0.0), (NOW_MS + 2000, math.inf)]
    assert math.copysign(1, samples[1][1]) == -1


def test_symbols_are_held_once_and_begin_with_the_empty_one(keep: Keep, sender: Sender, receiver: Receiver):
    one = sender(protobuf_message=V2)
    for room in ("a", "b"):
        keep("temperature", (0, 1.0), room=room)
    everything(one)
    symbols = list(receiver.received[0].message().symbols)
    assert symbols[0] == ""
    assert sorted(symbols) == sorted(set(symbols)) == ["", "__name__", "a", "b", "room", "temperature"]


def test_older_samples_of_a_series_go_first_and_of_one_time_the_last_that_came(
    keep: Keep, sender: Sender, receiver: Receiver
):
    one = sender()
    keep("m", (5, 5.0), (3, 3.0))
    keep("m", (1, 1.0), (3, 33.0))
    everything(one)
    assert receiver.samples() == [("m", NOW_MS + 1000 * at, value) for at, value in ((1, 1.0), (3, 33.0), (5, 5.0))]


def test_stale_markers_keep_their_bits(keep: Keep, sender: Sender, receiver: Receiver):
    one = sender()
    keep("m", (0, STALE_NAN))
    everything(one)
    ((_, _, value),) = receiver.samples()
    assert np.float64(value).view(np.uint64) == STALE_NAN_BITS


def test_requests_hold_no_more_samples_than_they_may(keep: Keep, sender: Sender, receiver: Receiver):
    one = sender(queue_config={"max_samples_per_send": 7})
    keep("m", *[(at, float(at)) for at in range(20)])
    everything(one)
    assert [sum(len(samples) for _, samples in request.rows()) for request in receiver.received] == [7, 7, 6]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 429])
def test_what_may_pass_is_tried_again_with_longer_and_longer_waits(
    keep: Keep, sender: Sender, receiver: Receiver, waits: Waits, status: int
):
    one = sender(queue_config={"min_backoff": "1s", "max_backoff": "4s"})
    keep("m", (0, 1.0))
    receiver.answers[:0] = [(status, {}, b"not now")] * 5
    waits.seconds.clear()
    seen: list[str] = []
    one._hold_back = lambda seconds: seen.append(f"{seconds:g}")  # type: ignore[method-assign]
    everything(one)
    assert seen == ["1", "2", "4", "4", "4"]
    assert len(receiver.received) == 6
    row = RemoteTarget.objects.get()
    assert (row.sent_samples, row.failed_samples, row.failing_since) == (1, 0, None)
    assert row.last_error == f"HTTP status {status}: not now"


def test_jitter_moves_a_wait_by_a_quarter(target: Callable[..., RemoteTarget], keep: Keep, receiver: Receiver):
    found = []
    for spread in (0.0, 0.5, 1.0):
        RemoteTarget.objects.all().delete()
        one = TargetSender(target(queue_config={"min_backoff": "4s"}), Waits(), spread=lambda spread=spread: spread)
        one._hold_back = found.append  # type: ignore[method-assign]
        keep("m", (0, 1.0))
        receiver.answers[:0] = [(503, {}, b"")]
        everything(one)
    assert found == [3.0, 4.0, 5.0]


def test_retry_after_is_waited_for(keep: Keep, sender: Sender, receiver: Receiver):
    one = sender(queue_config={"min_backoff": "1s"})
    keep("m", (0, 1.0))
    receiver.answers[:0] = [(429, {"Retry-After": "17"}, b""), (503, {"Retry-After": "nonsense"}, b"")]
    found: list[float] = []
    one._hold_back = found.append  # type: ignore[method-assign]
    everything(one)
    assert found == [17.0, 2.0]


def test_retry_after_may_be_a_date_and_never_holds_long():
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert retry_after_seconds("Sat, 21 Nov 2026 12:00:30 GMT", now=now) == 30
    assert retry_after_seconds("Sat, 21 Nov 2020 12:00:30 GMT", now=now) == 0
    assert retry_after_seconds("999999", now=now) == MOST_RETRY_SECONDS
    assert retry_after_seconds("", now=now) == 0


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 413, 422])
def test_what_is_refused_is_counted_with_its_reason_and_not_sent_again(
    keep: Keep, sender: Sender, receiver: Receiver, status: int
):
    one = sender()
    keep("m", (0, 1.0), (1, 2.0))
    receiver.answers[:0] = [(status, {}, b"out of order sample \xff" + b"x" * 100_000)]
    everything(one)
    keep("after", (2, 3.0))
    everything(one)
    assert len(receiver.received) == 2
    row = RemoteTarget.objects.get()
    assert (row.sent_samples, row.failed_samples) == (1, 2)
    assert row.last_error.startswith(f"HTTP status {status}: out of order sample")
    assert len(row.last_error) <= 500


@pytest.mark.parametrize("answer", [(415, {}, b"no"), (204, {}, b"")])
def test_who_does_not_know_version_2_is_sent_version_1_from_then_on(
    keep: Keep, sender: Sender, receiver: Receiver, answer: tuple[int, dict[str, str], bytes]
):
    one = sender(protobuf_message=V2)
    keep("m", (0, 1.0))
    receiver.answers[:0] = [answer]
    everything(one)
    keep("m", (1, 2.0))
    everything(one)
    assert [request.version for request in receiver.received] == ["2.0.0", "0.1.0", "0.1.0"]
    assert receiver.received[1].rows() == [({"__name__": "m"}, [(NOW_MS, 1.0)])]
    assert receiver.received[1].headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_success_that_tells_what_was_written_changes_no_version(
    keep: Keep, sender: Sender, receiver: Receiver, status: int
):
    one = sender(protobuf_message=V2)
    keep("m", (0, 1.0))
    receiver.answers[:0] = [(status, WRITTEN, b"" if status == 204 else b"ignored")]
    everything(one)
    assert [request.version for request in receiver.received] == ["2.0.0"]
    assert RemoteTarget.objects.get().sent_samples == 1


def test_415_to_version_1_is_final():
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert outcome_of(http.Reply(415, {}, b""), version=1, now=now).fate is Fate.REFUSED


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/write", "https://nowhere.invalid/write", "http://10.1.2.3/write"])
def test_what_cannot_be_reached_or_may_not_be_is_kept(keep: Keep, sender: Sender, waits: Waits, url: str):
    one = sender(url=url)
    keep("m", (0, 1.0))
    waits.set()
    with pytest.raises(Stopped):
        everything(one)
    row = RemoteTarget.objects.get()
    assert row.failing_since is not None
    assert row.last_error
    assert (row.sent_samples, row.failed_samples) == (0, 0)
    waits.clear()
    assert one._fresh().cursor_xid == row.cursor_xid


def test_a_change_of_the_destination_ends_its_sender_and_nothing_is_lost(
    keep: Keep, target: Callable[..., RemoteTarget], receiver: Receiver, waits: Waits
):
    row = target(queue_config={"min_backoff": "10s", "max_backoff": "10s"})
    one = TargetSender(row, waits, spread=lambda: 0.5)
    keep("m", (0, 1.0))
    receiver.answers[:0] = [(503, {}, b"")]
    RemoteTarget.objects.update(version=2)
    with pytest.raises(Stopped):
        one.once()
    row.refresh_from_db()
    again = TargetSender(row, waits, spread=lambda: 0.5)
    receiver.answers = [(204, WRITTEN, b"")]
    everything(again)
    assert receiver.samples()[-1] == ("m", NOW_MS, 1.0)


def test_relabelling_and_external_labels_shape_what_goes_out(keep: Keep, sender: Sender, receiver: Receiver):
    one = sender(
        external_labels={"cluster": "north", "room": "none"},
        write_relabel_configs=[
            {"source_labels": ["__name__"], "regex": "secret_.*", "action": "drop"},
            {"regex": "pod", "action": "labeldrop"},
        ],
    )
    keep("secret_m", (0, 1.0))
    keep("m", (0, 2.0), room="a", pod="p")
    everything(one)
    assert [row for request in receiver.received for row in request.rows()] == [
        ({"__name__": "m", "cluster": "north", "room": "a"}, [(NOW_MS, 2.0)])
    ]
    assert RemoteTarget.objects.get().sent_samples == 1


def test_credentials_go_along(keep: Keep, sender: Sender, receiver: Receiver):
    one = sender(authorization={"credentials": "s3cret"})
    assert "s3cret" not in json.dumps(RemoteTarget.objects.get().config)
    keep("m", (0, 1.0))
    everything(one)
    assert receiver.received[0].headers["authorization"] == "Bearer s3cret"


HISTOGRAM = Histogram(
    schema=1, count=6.0, sum=20.5, zero_threshold=0.001, zero_count=1.0,
    positive_spans=(Span(0, 2),), positive=(2.0, 3.0), negative_spans=(), negative=(),
)  # fmt: skip


def keep_histogram() -> int:
    (series_id,) = make_series({"__name__": "h"})
    column = np.array([None, codec.encode(HISTOGRAM)], np.object_)
    ids, times = np.full(2, series_id, np.int64), np.array([NOW_MS, NOW_MS + 1000], np.int64)
    PostgresStore().append(Samples(ids, times, np.array([1.0, 6.0]), column), durable=True)
    return series_id


@pytest.mark.parametrize("message", ["prometheus.WriteRequest", V2])
def test_histograms_exemplars_and_metadata_go_where_they_are_taken(sender: Sender, receiver: Receiver, message: str):
    MetadataEntry.objects.create(family="h", type="histogram", help="How long.", unit="seconds")
    one = sender(
        protobuf_message=message, send_native_histograms=True, send_exemplars=True, metadata_config={"send": True}
    )
    series_id = keep_histogram()
    forget_rates()
    exemplars_append(None, [Exemplar(series_id, NOW_MS, 0.25, {"trace_id": "abc"})])
    everything(one)
    messages = [request.message() for request in receiver.received]
    series = [(parent, found) for parent in messages for found in parent.timeseries]
    histograms = [made for _, found in series for made in found.histograms]
    assert [(made.timestamp, made.count_float, made.sum) for made in histograms] == [(NOW_MS + 1000, 6.0, 20.5)]
    assert list(histograms[0].positive_counts) == [2.0, 3.0]
    exemplars = [(labels_of(parent, found), made) for parent, found in series for made in found.exemplars]
    assert [(labels, made.timestamp, made.value) for labels, made in exemplars] == [({"__name__": "h"}, NOW_MS, 0.25)]
    if message == V2:
        told = [(parent.symbols[found.metadata.help_ref], found.metadata.type) for parent, found in series]
        assert set(told) == {("How long.", 3)}
    else:
        told_1 = [(one.metric_family_name, one.help, one.unit) for parent in messages for one in parent.metadata]
        assert told_1 == [("h", "How long.", "seconds")]


def test_histograms_and_exemplars_stay_where_they_are_not_asked_for(sender: Sender, receiver: Receiver):
    one = sender()
    keep_histogram()
    everything(one)
    assert receiver.samples() == [("h", NOW_MS, 1.0)]


@pytest.mark.skipif(not INDEX.exists(), reason="CORPORA_DIR has no prom-compliance")
def test_every_sender_test_of_the_index_is_retold_here():
    index = json.loads(INDEX.read_text())
    named = {entry["test"] for entry in index if entry["side"] != "receiver"}
    assert named == set(RETOLD)


RETOLD = {
    "TestBackoffBehavior": "what may pass is tried again with longer and longer waits; jitter",
    "TestBatchingBehavior": "requests hold no more samples than they may",
    "TestConcurrentRequests": "one request at a time: allowed",
    "TestCombinedFeatures": "histograms, exemplars and metadata",
    "TestEdgeCases": "infinities, -0, stale markers, text beyond ASCII",
    "TestRobustnessUnderLoad": "the real receivers",
    "TestErrorHandling": "refused, unreachable and answers of 100 kB",
    "TestNetworkErrors": "what cannot be reached is kept",
    "TestExemplarEncoding": "histograms, exemplars and metadata",
    "TestFallbackBehavior": "who does not know version 2 is sent version 1 from then on",
    "TestNoFallbackOn2xx": "a success that tells what was written changes no version",
    "TestHistogramEncoding": "histograms, exemplars and metadata",
    "TestLabelValidation": "labels are sorted, once, without empty values",
    "TestMetadataEncoding": "histograms, exemplars and metadata",
    "TestProtocolCompliance": "method, headers and message",
    "TestHTTPMethod": "method, headers and message",
    "TestResponseProcessing": "successes, reasons, bodies of 100 kB",
    "TestContentTypeNegotiation": "who does not know version 2",
    "TestRetryBehavior": "what may pass is tried again; what is refused is not",
    "TestRemoteWrite1Compatibility": "method, headers and message of version 1",
    "TestRemoteWrite1Configuration": "method, headers and message of version 1",
    "TestSampleEncoding": "values of every kind",
    "TestSampleOrdering": "older samples of a series go first",
    "TestSymbolTable": "symbols are held once and begin with the empty one",
    "TestSymbolTableEfficiency": "symbols are held once and begin with the empty one",
    "TestTimestampEncoding": "times of samples, exemplars and histograms",
}
