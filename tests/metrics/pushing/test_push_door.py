"""PUT, POST and DELETE /metrics/job/…: groups behave as a Pushgateway's do."""

import gzip
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import cramjam
import numpy as np
import pytest
from django.http import HttpResponse
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from metrics import services
from metrics.models import PushFamily, PushGroup, Series
from metrics.promql.types import STALE_NAN_BITS, Matcher
from metrics.store.postgres import STORE
from metrics.wire.pushing import BadGroup, group_labels

pytestmark = pytest.mark.django_db
Push = Callable[..., HttpResponse]
PAGE = '# TYPE some_total counter\nsome_total 3\n# TYPE temperature gauge\ntemperature{room="a"} 20.5\n'


@pytest.fixture
def push(client: Client, token: str) -> Push:
    def pushed(verb: str, path: str, body: str | bytes = b"", **headers: str) -> HttpResponse:
        data = body.encode() if isinstance(body, str) else body
        sent = {"Authorization": f"Bearer {token}", **headers}
        return client.generic(verb, f"/metrics/{path}", data, content_type="text/plain", headers=sent)

    return pushed


def stored(name: str) -> list[tuple[dict[str, str], list[float]]]:
    """The series of a metric with their values, oldest first; a marker of the end is None."""
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    found = STORE.select([Matcher("__name__", "=", name)], now_ms - 10**6, now_ms + 10**6)
    result = []
    for index, labels in enumerate(found.labels):
        part = found.values[found.offsets[index] : found.offsets[index + 1]]
        stale = part.view(np.uint64) == STALE_NAN_BITS
        values = [None if gone else value for value, gone in zip(part.tolist(), stale.tolist(), strict=True)]
        result.append(({key: text for key, text in labels.items() if key != "__name__"}, values))
    return result


def test_a_push_is_stored_with_the_labels_of_its_group(push: Push):
    answer = push("PUT", "job/backup/instance/db1", PAGE)
    assert (answer.status_code, answer.content) == (200, b"")
    assert stored("some_total") == [({"job": "backup", "instance": "db1"}, [3.0])]
    assert stored("temperature") == [({"job": "backup", "instance": "db1", "room": "a"}, [20.5])]
    ((labels, (pushed,)),) = stored("push_time_seconds")
    assert labels == {"job": "backup", "instance": "db1"}
    assert abs(pushed - datetime.now(UTC).timestamp()) < 60
    assert stored("push_failure_time_seconds")[0][1] == [0.0]


def test_the_group_wins_over_the_labels_of_a_sample(push: Push):
    push("POST", "job/x/room/b", PAGE)
    assert stored("temperature")[0][0] == {"job": "x", "room": "b"}


def test_put_replaces_the_group_and_post_the_same_names(push: Push):
    push("PUT", "job/x", "a 1\nb 2\n")
    push("POST", "job/x", "b 3\n")
    assert [stored(name)[0][1] for name in "ab"] == [[1.0], [2.0, 3.0]]
    push("PUT", "job/x", "b 4\n")
    assert [stored(name)[0][1] for name in "ab"] == [[1.0, None], [2.0, 3.0, 4.0]]
    assert set(PushFamily.objects.values_list("name", flat=True)) == {
        "b", "push_time_seconds", "push_failure_time_seconds",
    }  # fmt: skip


@pytest.mark.parametrize(("verb", "status"), [("DELETE", 202), ("PUT", 200)])
def test_delete_and_an_empty_put_end_the_group(push: Push, verb: str, status: int):
    push("PUT", "job/x", "a 1\n")
    push("PUT", "job/x/y/z", "a 2\n")
    assert push(verb, "job/x").status_code == status
    assert {labels.get("y", ""): values for labels, values in stored("a")} == {"": [1.0, None], "z": [2.0]}
    assert PushGroup.objects.get().labels == {"job": "x", "y": "z"}
    assert push("DELETE", "job/never").status_code == 202


def test_groups_are_written_again_until_they_are_deleted(push: Push):
    push("PUT", "job/x", "a 1\n")
    push("PUT", "job/y", "b 1\n")
    push("DELETE", "job/y")
    assert services.pushed_groups_repeat() == 3
    assert stored("a")[0][1] == [1.0, 1.0]
    assert stored("b")[0][1] == [1.0, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a 1 1700000000000\n", "timestamps"),
        ("a 1\na 2\n", "twice"),
        ("# TYPE taken gauge\ntaken 1\n", "counter in another group"),
        ('{"a\0b"} 1\n', "NUL"),
        ('# HELP "a\0b" x\n# TYPE "a\0b" gauge\n{"a\0b"} 1\n', "NUL"),
    ],
)
def test_a_page_that_does_not_agree_is_refused_and_noted(push: Push, text: str, reason: str):
    push("PUT", "job/other", "# TYPE taken counter\ntaken 1\n")
    push("PUT", "job/x", "a 7\n")
    answer = push("PUT", "job/x", text)
    assert answer.status_code == 400
    assert reason in answer.content.decode()
    group = PushGroup.objects.get(labels={"job": "x"})
    assert group.failed_at is not None
    assert stored("a")[0][1] == [7.0]
    assert stored("push_failure_time_seconds")[1][1][-1] > 0


@pytest.mark.parametrize("text", ["{", "a b\n", "a{x=1} 2\n", b"\xff 1\n"])
def test_a_page_that_cannot_be_read_is_refused(push: Push, text: str | bytes):
    answer = push("PUT", "job/x", text)
    assert (answer.status_code, PushGroup.objects.count()) == (400, 0)


def test_histograms_are_one_family(push: Push):
    page = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
    push("PUT", "job/x", page)
    assert len(PushFamily.objects.get(name="h").series_ids) == 4
    push("POST", "job/x", '# TYPE h histogram\nh_bucket{le="+Inf"} 5\nh_sum 3\nh_count 5\n')
    assert {labels["le"]: values for labels, values in stored("h_bucket")} == {
        "1.0": [1.0, None], "+Inf": [2.0, 5.0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("snappy", lambda body: bytes(cramjam.snappy.compress(body))),
        ("snappy", lambda body: bytes(cramjam.snappy.compress_raw(body))),
    ],
)
def test_compressed_pages_are_taken(push: Push, encoding: str, encode: Callable[[bytes], bytes]):
    answer = push("PUT", "job/x", encode(b"a 1\n"), **{"Content-Encoding": encoding})
    assert (answer.status_code, stored("a")[0][1]) == (200, [1.0])


def test_a_snappy_bomb_is_refused(push: Push):
    body = bytes(cramjam.snappy.compress(bytes(40 << 20)))
    assert push("PUT", "job/x", body, **{"Content-Encoding": "snappy"}).status_code in (400, 413)


@pytest.mark.parametrize(
    "path", ["job/", "job/x/y", "job/x/__y/z", "job/x/a-b/z", "job@base64/!!!", "job/x/y@base64/%FF", "job/%00/a/b",
             "job/x/a/%00", "job@base64/AA==/a/b", "job/x/a@base64/AA=="],
)  # fmt: skip
def test_an_address_that_names_no_group_is_refused(push: Push, path: str):
    assert push("PUT", path, "a 1\n").status_code in (400, 404)
    assert PushGroup.objects.count() == 0


def test_labels_may_be_base64(push: Push):
    path = urlsafe_b64encode(b"/var/tmp").decode().rstrip("=")
    assert push("PUT", f"job/x/path@base64/{path}/empty@base64/=", "a 1\n").status_code == 200
    assert stored("a")[0][0] == {"job": "x", "path": "/var/tmp"}
    push("PUT", f"job@base64/{path}", "b 1\n")
    assert stored("b")[0][0] == {"job": "/var/tmp"}


WORDS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.text(WORDS, max_size=20), st.text(WORDS, min_size=1, max_size=20))
def test_any_label_value_comes_through_base64(value: str, job: str):
    encoded = urlsafe_b64encode(value.encode()).decode() or "="
    path = f"{urlsafe_b64encode(job.encode()).decode()}/x@base64/{encoded}"
    assert group_labels(path, is_job_encoded=True) == {"job": job, "x": value}


@given(st.text(max_size=40))
def test_any_address_is_a_group_or_refused(path: str):
    try:
        labels = group_labels(path, is_job_encoded=False)
    except BadGroup:
        return
    assert labels["job"]


def test_get_is_no_push(push: Push):
    answer = push("GET", "job/x")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "PUT, POST, DELETE")


def test_groups_of_two_sources_do_not_meet(push: Push, client: Client, issue: Callable[..., str]):
    from_other = issue("ingest:metrics", of=services.Source.objects.create(name="edge-2"))
    push("PUT", "job/x", "a 1\n")
    client.delete("/metrics/job/x", headers={"Authorization": f"Bearer {from_other}"})
    assert PushGroup.objects.count() == 1
    assert Series.objects.filter(last_seen_at__gt=datetime.now(UTC) - timedelta(hours=1)).exists()
