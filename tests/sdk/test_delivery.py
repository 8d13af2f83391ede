"""Delivery: an outage, a restart, a kill and a lost answer cost time, not rows."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aivillage_observability import ObservabilitySystem
from aivillage_observability.rows import Batch, Metric, Row, encode_batch
from aivillage_observability.spool import DiskSpool, MemoryQueue
from aivillage_observability.transport import Connection, Outcome, Reply, pause, retry_after
from tests.sdk.console import Console, serve

ONE_ROW = [Row(Metric("up", "gauge"), 1.0, {}, 1_000)]


def system(console: Console, **options: object) -> ObservabilitySystem:
    return ObservabilitySystem("billing", console_url=console.url, token="obs_test", **options)  # type: ignore[arg-type]


def test_a_stop_delivers_what_was_recorded(console: Console) -> None:
    observability = system(console)
    observability.start()
    observability.metrics.record_gauge("queue_depth", 4, {"queue": "a"})
    observability.stop()
    (row,) = console.rows
    assert (row["name"], row["type"], row["value"], row["labels"]["service"]) == (
        "queue_depth",
        "gauge",
        4.0,
        "billing",
    )
    assert console.requests[0]["Authorization"] == "Bearer obs_test"
    assert observability.delivery == {"delivered": 1}


def test_recording_flushes_by_itself(console: Console) -> None:
    observability = system(console, flush_interval=0.05)
    observability.start()
    observability.start()
    observability.metrics.record_gauge("queue_depth", 4)
    assert console.wait(1)
    observability.stop()


def test_a_full_buffer_does_not_wait_for_the_interval(console: Console) -> None:
    observability = system(console, flush_interval=3600.0, buffer_rows=100)
    observability.start()
    for number in range(60):
        observability.metrics.record_gauge("queue_depth", number)
    assert console.wait(1)
    observability.stop()


def test_rows_wait_while_the_console_is_away_and_arrive_once(tmp_path: Path) -> None:
    console = Console()
    with serve(console):
        port = int(console.url.rsplit(":", 1)[1])
    observability = system(console, storage_backend=tmp_path)
    observability.start()
    for number in range(3):
        observability.metrics.record_gauge("queue_depth", number)
        observability.flush_all()
    assert len(list(tmp_path.glob("p-*/*.json.gz"))) == 3
    with serve(console, port):
        assert console.wait(3)
        observability.stop()
    assert [row["value"] for row in console.rows] == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []


def test_a_busy_console_is_obeyed_and_the_batch_keeps_its_id(console: Console) -> None:
    console.answers = [(429, {"Retry-After": "0"}), (503, {}), (999, {})]
    observability = system(console)
    observability.start()
    observability.send(ONE_ROW)
    assert console.wait(1)
    observability.stop()
    assert console.refused == [429, 503, 999]
    assert len(console.batches) == 1


def test_a_delivery_repeated_after_a_lost_answer_is_a_duplicate(console: Console) -> None:
    batch = encode_batch(ONE_ROW, "one")
    connection = Connection(console.url, "obs_test")
    assert connection.post(batch).outcome is Outcome.DELIVERED
    assert json.loads(connection.post(batch).detail)["duplicate"] is True
    connection.close()
    assert len(console.batches) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_the_console_will_never_take_is_given_up_and_told_once(
    console: Console, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    console.answers = [(status, {}), (status, {})]
    observability = system(console)
    observability.start()
    with caplog.at_level(logging.WARNING, "aivillage_observability"):
        observability.send(ONE_ROW)
        observability.send(ONE_ROW)
        observability.send(ONE_ROW)
        assert console.wait(1)
    observability.stop()
    assert observability.metrics.dropped["refused"] == 2
    assert len(caplog.records) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_token_keeps_the_rows_for_when_it_is_mended(
    console: Console, tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    console.answers = [(status, {})] * 2
    observability = system(console, storage_backend=tmp_path)
    observability.start()
    with caplog.at_level(logging.WARNING, "aivillage_observability"):
        observability.send(ONE_ROW)
        assert console.wait_refused(1)
        observability.stop()
    assert len(list(tmp_path.glob("p-*/*.json.gz"))) == 1
    assert str(status) in caplog.text
    console.answers = []
    later = system(console, storage_backend=tmp_path)
    later.start()
    assert console.wait(1)
    later.stop()


CHILD = """
import sys, time
from aivillage_observability import ObservabilitySystem
observability = ObservabilitySystem("child", sys.argv[1], console_url=sys.argv[2], token="obs_test")
observability.start()
for number in range(int(sys.argv[3])):
    observability.metrics.record_gauge("queue_depth", number)
    observability.flush_all()
    print(number, flush=True)
time.sleep(60)
"""


def test_the_spool_survives_kill_9(console: Console, tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9"
    command = [sys.executable, "-c", CHILD, str(tmp_path), closed, "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while child.stdout.readline() != "11\n":
            pass
        os.kill(child.pid, signal.SIGKILL)
        written = 12 + len(child.stdout.readlines())
    observability = system(console, storage_backend=tmp_path)
    observability.start()
    assert console.wait(written)
    observability.stop()
    values = [row["value"] for row in console.rows]
    assert values[:written] == list(range(written))
    assert len(values) == len(set(values))
    assert list(tmp_path.iterdir()) == []


def test_a_living_process_keeps_its_spool_for_itself(tmp_path: Path) -> None:
    first, second = DiskSpool(tmp_path), DiskSpool(tmp_path)
    first.put(encode_batch(ONE_ROW, "one"))
    second.adopt()
    assert second.oldest() is None
    first.close()
    second.adopt()
    held = second.oldest()
    assert held is not None
    assert (held.batch_id, held.rows) == ("one", 1)
    second.close()


def test_half_written_files_are_not_delivered(tmp_path: Path) -> None:
    gone = tmp_path / "p-1-aa"
    gone.mkdir()
    (gone / "lock").touch()
    (gone / "00000000000000000001-1-one.json.draft").write_bytes(b"half")
    spool = DiskSpool(tmp_path)
    assert spool.oldest() is None
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_spool_and_a_full_queue_drop_the_oldest(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, max_bytes=25)
    queue = MemoryQueue(max_rows=2)
    for number in range(4):
        batch = Batch(f"b{number}", 1, b"0123456789")
        lost = (spool.put(batch), queue.put(batch))
        assert lost == ((0, 0) if number < 2 else (1, 1))
    assert [waiting.oldest() and waiting.oldest().batch_id for waiting in (spool, queue)] == ["b2", "b2"]  # type: ignore[union-attr]
    spool.close()


def test_a_spool_that_cannot_be_written_falls_back_to_memory(console: Console, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    observability = system(console, storage_backend=blocked / "spool")
    observability.start()
    observability.send(ONE_ROW)
    observability.stop()
    assert len(console.batches) == 1


def test_a_backlog_in_memory_is_bounded_and_what_went_is_counted() -> None:
    observability = ObservabilitySystem("billing", console_url="http://127.0.0.1:9", token="t", buffer_rows=5)
    for _ in range(8):
        observability.send(ONE_ROW)
    assert observability.metrics.dropped["backlog_full"] == 3


def test_a_stop_without_a_start_does_nothing() -> None:
    observability = ObservabilitySystem("billing", console_url="http://127.0.0.1:9", token="t")
    before = threading.active_count()
    observability.stop()
    assert threading.active_count() == before


def test_a_forked_child_counts_for_itself(console: Console) -> None:
    program = """
import os, sys
from aivillage_observability import ObservabilitySystem
observability = ObservabilitySystem("forked", console_url=sys.argv[1], token="obs_test")
observability.start()
observability.metrics.record_counter("c", 5)
child = os.fork()
observability.metrics.record_counter("c", 1)
observability.stop()
if child:
    os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, console.url], check=False, timeout=30)
    assert done.returncode == 0
    last = {row["labels"]["instance"]: row["value"] for row in console.rows}
    assert sorted(last.values()) == [1, 6]


@pytest.mark.parametrize("url", ["console.example", "ftp://console.example", "http://"])
def test_a_wrong_address_is_said_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        ObservabilitySystem("billing", console_url=url)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("", None), ("7", 7.0), ("99999", 900.0), ("soon", None), ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0)],
)
def test_retry_after_is_read_in_both_forms(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, now_seconds=60.0) == seconds


def test_the_pause_doubles_to_a_minute_and_never_undercuts_the_console() -> None:
    assert [pause(failures, None, 1.0) for failures in (1, 2, 3, 10, 1000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    assert pause(1, 30.0, 0.0) == 30.0


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "DELIVERED"), (202, "DELIVERED"), (302, "MISCONFIGURED"), (408, "LATER"), (500, "LATER"), (0, "LATER")],
)
def test_a_status_decides_what_happens_to_a_batch(status: int, outcome: str) -> None:
    assert Reply(status, "").outcome is Outcome[outcome]
