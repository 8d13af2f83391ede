"""The queue: nothing that commits late is passed by, packing takes nothing away, bounds are kept and counted."""

import dataclasses
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from metrics.models import HeadBlock, RemoteTarget, UnsentBlock
from metrics.remote_out.queue import queue_trim
from metrics.remote_out.sender import Senders, Stopped, TargetSender
from metrics.remote_out.targets import Invalid, Outdated, target_save
from metrics.store import compaction, unsent
from metrics.wire.forwarding import remote_config
from metrics.wire.scraping.fields import BadConfig
from tests.metrics.remote_out.receiver import NOW_MS, WRITTEN, Keep, Receiver, Waits

pytestmark = pytest.mark.django_db(transaction=True)
Made = Callable[..., RemoteTarget]
ACTOR = Actor.system("test")


def everything(sender: TargetSender) -> None:
    while sender.once():
        continue


def other_connection() -> psycopg.Connection[Any]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    return psycopg.connect(urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}")))


def test_what_commits_late_is_sent_though_later_ids_were_there_before(
    keep: Keep, sender: Callable[..., TargetSender], receiver: Receiver
):
    one = sender()
    keep("m", (0, 1.0))
    with other_connection() as late:
        late.execute(
            "INSERT INTO metrics_headblock (t_min, t_max, samples, data)"
            " SELECT t_min, t_max, samples, data FROM metrics_headblock"
        )
        keep("m", (1, 2.0))
        everything(one)
        assert receiver.samples() == [("m", NOW_MS, 1.0)]
    everything(one)
    assert receiver.samples() == [("m", NOW_MS, 1.0), ("m", NOW_MS, 1.0), ("m", NOW_MS + 1000, 2.0)]


def test_after_a_death_the_same_requests_are_made_again(keep: Keep, target: Made, receiver: Receiver, waits: Waits):
    row = target(queue_config={"max_samples_per_send": 2})
    for at in range(3):
        keep("m", (at, 1.0))
    receiver.answers[:0] = [(204, WRITTEN, b""), (503, {}, b"")]
    waits.set()
    with pytest.raises(Stopped):
        TargetSender(row, waits, spread=lambda: 0.5).once()
    waits.clear()
    keep("m", (3, 1.0))
    compaction.compact_once()
    everything(TargetSender(row, waits, spread=lambda: 0.5))
    places = [[(at - NOW_MS) // 1000 for _, samples in one.rows() for at, _ in samples] for one in receiver.received]
    assert places == [[0, 1], [2], [0, 1], [2], [3]]


def test_packing_keeps_aside_what_is_unsent_and_nothing_else(
    keep: Keep, sender: Callable[..., TargetSender], receiver: Receiver
):
    keep("m", (-1, 0.5))
    one = sender()
    keep("m", (0, 1.0))
    compaction.compact_once()
    assert (HeadBlock.objects.count(), UnsentBlock.objects.count()) == (0, 1)
    keep("m", (1, 2.0))
    everything(one)
    assert receiver.samples() == [("m", NOW_MS, 1.0), ("m", NOW_MS + 1000, 2.0)]
    compaction.compact_once()
    queue_trim(now=clock.now())
    assert (HeadBlock.objects.count(), UnsentBlock.objects.count()) == (0, 0)


def test_nothing_is_kept_for_a_destination_that_is_switched_off(keep: Keep, target: Made, receiver: Receiver):
    row = target()
    row.enabled = False
    target_save(row, actor=ACTOR, now=clock.now())
    keep("m", (0, 1.0))
    compaction.compact_once()
    assert UnsentBlock.objects.count() == 0
    row.enabled = True
    row = target_save(row, actor=ACTOR, now=clock.now())
    keep("m", (1, 2.0))
    everything(TargetSender(row, Waits(), spread=lambda: 0.5))
    assert receiver.samples() == [("m", NOW_MS + 1000, 2.0)]


@pytest.mark.parametrize("bound", ["age", "bytes"])
def test_what_waits_too_long_or_is_too_much_goes_and_is_counted(
    keep: Keep, target: Made, settings: Any, receiver: Receiver, bound: str
):
    row = target()
    for number in range(3):
        keep("m", (number, 1.0), (number + 10, 1.0))
        compaction.compact_once()
    if bound == "age":
        UnsentBlock.objects.filter(pk__in=UnsentBlock.objects.order_by("id").values("pk")[:2]).update(
            kept_at=clock.now() - timedelta(days=3)
        )
    else:
        last = len(bytes(UnsentBlock.objects.order_by("id")[2].data))
        settings.CONFIG = dataclasses.replace(django_settings.CONFIG, remote_write_keep_bytes=last)
    assert queue_trim(now=clock.now()) == 4
    assert UnsentBlock.objects.count() == 1
    everything(TargetSender(row, Waits(), spread=lambda: 0.5))
    assert [at for _, at, _ in receiver.samples()] == [NOW_MS + 2000, NOW_MS + 12_000]
    row.refresh_from_db()
    assert (row.sent_samples, row.dropped_samples) == (2, 4)


def test_a_database_restored_into_another_cluster_sends_again(
    keep: Keep, sender: Callable[..., TargetSender], receiver: Receiver
):
    one = sender()
    keep("m", (0, 1.0))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE metrics_headblock SET created_xid = 1::bigint << 50")
        cursor.execute("UPDATE metrics_remotetarget SET cursor_xid = (1::bigint << 50) - 1")
    everything(one)
    assert receiver.samples() == []
    assert unsent.restart_after_restore() == 1
    everything(one)
    assert receiver.samples() == [("m", NOW_MS, 1.0)]


def test_a_thread_for_each_destination_sends_until_all_is_done(keep: Keep, target: Made, receiver: Receiver):
    row = target()
    keep("m", (0, 1.0))
    with Senders() as senders:
        senders.look()
        senders.look()
        deadline = clock.now() + timedelta(seconds=30)
        while not RemoteTarget.objects.filter(pk=row.pk, sent_samples=1).exists():
            assert clock.now() < deadline
    assert receiver.samples() == [("m", NOW_MS, 1.0)]


def test_a_destination_is_checked_versioned_and_keeps_its_secret(target: Made):
    row = target(basic_auth={"username": "u", "password": "s3cret"})
    assert row.config["basic_auth"] == {"username": "u", "password": "<secret>"}
    assert row.unseal() == {"basic_auth.password": "s3cret"}
    row = target_save(row, actor=ACTOR, now=clock.now(), version=1)
    assert (row.version, row.unseal()) == (2, {"basic_auth.password": "s3cret"})
    with pytest.raises(Outdated):
        target_save(row, actor=ACTOR, now=clock.now(), version=1)
    row.config = {"url": "ftp://store"}
    with pytest.raises(Invalid, match="http or https"):
        target_save(row, actor=ACTOR, now=clock.now())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "url"),
        ({"url": "https://u:p@store/w"}, "without a password"),
        ({"url": "https://store/w", "protobuf_message": "x"}, "WriteRequest"),
        ({"url": "https://store/w", "headers": {"Authorization": "x"}}, "set by the sender"),
        ({"url": "https://store/w", "headers": {"X-A": "a\nb"}}, "one line"),
        ({"url": "https://store/w", "queue_config": {"max_samples_per_send": 0}}, "from 1 to"),
        ({"url": "https://store/w", "queue_config": {"min_backoff": "2s", "max_backoff": "1s"}}, "max_backoff"),
        ({"url": "https://store/w", "remote_timeout": "1h"}, "at most"),
        ({"url": "https://store/w", "write_relabel_configs": [{"action": "jump"}]}, "relabelling action"),
        ({"url": "https://store/w", "sigv4": {"region": "x"}}, "not supported"),
        ({"url": "https://store/w", "unheard": 1}, "not a field"),
    ],
)
def test_entries_that_cannot_be_used_are_refused_with_their_place(entry: dict[str, Any], said: str):
    with pytest.raises(BadConfig, match=said):
        remote_config(entry)


def test_destinations_are_made_changed_and_deleted_over_rest(client: Client, issue: Callable[..., str]):
    headers = {"Authorization": f"Bearer {issue('admin', kind='service', of=None)}"}
    url = "/api/console/v1/remote-targets/"
    document = {"name": "north", "config": {"url": "https://store.example.org/w", "bearer_token": "s3cret"}}
    made = client.post(url, document, content_type="application/json", headers=headers)
    assert made.status_code == 201, made.content
    assert made.json()["config"]["bearer_token"] == "<secret>"
    bad = client.post(url, {"name": "x", "config": {}}, content_type="application/json", headers=headers)
    assert (bad.status_code, b"url" in bad.content) == (400, True)
    one = f"{url}{made.json()['id']}/"
    changed = client.patch(one, {"enabled": False}, content_type="application/json", headers=headers)
    assert (changed.status_code, changed.json()["enabled"], changed.json()["version"]) == (200, False, 2)
    late = client.patch(one, {"expected_version": 1}, content_type="application/json", headers=headers)
    assert late.status_code == 409
    assert client.delete(one, headers=headers).status_code == 204
    assert not RemoteTarget.objects.exists()
