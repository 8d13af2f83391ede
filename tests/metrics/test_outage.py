"""The door while PostgreSQL is really gone, the disk is full, or the compactor is killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import numpy as np
import pytest
from django.db import connection
from django.test import Client

from bench import roles
from bench.harness import Console, running_console
from metrics.domain import fingerprint, series_labels
from metrics.ingest import doors, limits
from metrics.models import GroupBlock, HeadBlock
from metrics.store import compaction
from metrics.store.columns import Samples
from metrics.store.postgres import PostgresStore
from metrics.store.series import series_create
from tests.metrics.senders import PROTOBUF, push, snappy, write_request

PATIENCE_SECONDS = 60


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Sender:
    """Sends numbered samples to a real console and remembers which it was told are safe."""

    def __init__(self, console: Console) -> None:
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics", "backfill"], "session": True})
        self.url = console.url
        self.headers = {"Authorization": f"Bearer {made['token']}", "Content-Encoding": "snappy"}
        self.cookies = made["cookies"]
        self.start_ms = int(time.time() * 1000) - 600_000
        self.sent = 0
        self.safe: list[int] = []

    def send(self) -> httpx.Response:
        self.sent += 1
        body = snappy(write_request(({"__name__": "outage"}, [(self.start_ms + self.sent, float(self.sent))])))
        headers = {**self.headers, "Content-Type": PROTOBUF}
        answer = httpx.post(f"{self.url}/api/v1/write", content=body, headers=headers, timeout=30)
        if answer.is_success:
            self.safe.append(self.sent)
        return answer

    def stored(self) -> list[int]:
        asked = {"query": "outage[1h]", "time": str(time.time())}
        answer = httpx.get(f"{self.url}/api/v1/query", params=asked, cookies=self.cookies, timeout=30).json()
        return [int(float(value)) for series in answer["data"]["result"] for _, value in series["values"]]


def test_while_postgresql_is_down_nothing_is_acknowledged_and_what_was_is_there_after():
    with running_console() as console:
        sender = Sender(console)
        until(lambda: sender.send().is_success)
        web = {process.pid for process in roles.by_role(console)["web"]}
        console.process.send_signal(signal.SIGSTOP)  # so that nobody brings the server back
        try:
            assert roles.kill(roles.by_role(console)["postgres"]) > 1
            answers = [sender.send() for _ in range(6)]
        finally:
            console.process.send_signal(signal.SIGCONT)
        assert [answer.status_code for answer in answers] == [503] * 6
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        until(lambda: sender.send().is_success)
        assert {process.pid for process in roles.by_role(console)["web"]} == web
        assert set(sender.safe) <= set(sender.stored())


@pytest.mark.django_db
def test_a_disk_that_is_nearly_full_is_told_and_nothing_is_stored(
    client: Client, token: str, now_ms: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "FULL_FREE_BYTES", 1 << 62)
    monkeypatch.setattr(limits, "FULL_SHARE", 0.0)
    monkeypatch.setattr(doors, "_guards", [limits.DiskGuard(tmp_path, every_seconds=0)])
    body = snappy(write_request(({"__name__": "a"}, [(now_ms, 1.0)])))
    answer = push(client, token, body)
    assert (answer.status_code, answer["Retry-After"]) == (507, "60")
    assert HeadBlock.objects.count() == 0
    monkeypatch.undo()
    assert push(client, token, body).status_code == 204


def _address() -> str:
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


def _compactors_waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%last_seen%'"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_compactor_killed_between_insert_and_commit_has_changed_nothing():
    now = datetime.now(UTC)
    labels = series_labels([("__name__", "a")])
    ids = series_create({fingerprint(labels): labels}, source_id=None, now=now - timedelta(hours=5))
    (one,) = ids.values()
    times = int(now.timestamp() * 1000) + np.arange(5)
    PostgresStore().append(Samples(np.full(5, one), times, np.arange(5.0)), durable=True)
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            # The update of the series is the last thing the compactor does before its commit.
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM metrics_series WHERE id = %s FOR UPDATE", [one])
            environment = {**os.environ, "DATABASE_URL": _address(), "ROLE": "compactor"}
            compactor = subprocess.Popen([sys.executable, "manage.py", "compact", "--once"], env=environment)
            until(_compactors_waiting)
            compactor.kill()
            assert compactor.wait() == -signal.SIGKILL
            cursor.execute("ROLLBACK")
    finally:
        holder.close()
    until(lambda: not _compactors_waiting())
    assert (HeadBlock.objects.count(), GroupBlock.objects.count()) == (1, 0)
    assert compaction.compact_once().samples == 5
    assert PostgresStore().select([], int(times[0]), int(times[-1])).values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
