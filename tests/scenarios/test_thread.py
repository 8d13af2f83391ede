"""The thread, over real processes: from a sample on the wire to a message at a receiver, and back to calm.

The console runs as `make run` starts it. The sender is not ours (the published protobuf classes and snappy), nor is the
library that checks the signatures.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cramjam
import httpx
import psycopg
import pytest
from remote_pb2.remote_pb2 import WriteRequest
from standardwebhooks.webhooks import Webhook

from bench.harness import Console, running_console
from bench.receivers import Receipt, Receivers, receiving
from bench.roles import by_role, environment, furnish, kill

pytestmark = pytest.mark.timeout(240)

SECOND_STEP_SECONDS = 4
FOR_SECONDS = 3
LONG_FOR_SECONDS = 8
WAIT_SECONDS = 40.0


@dataclass
class Sender:
    """An independent remote-write client that repeats its current values every half second."""

    url: str
    token: str
    values: dict[str, float] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(timeout=5.0) as http:
            while not self.stopping.wait(0.5):
                request = WriteRequest()
                for queue, value in self.values.items():
                    series = request.timeseries.add()
                    labels = {"__name__": "thread_queue_depth", "job": "thread", "queue": queue}
                    for name, text in sorted(labels.items()):
                        series.labels.add(name=name, value=text)
                    series.samples.add(value=value, timestamp=time.time_ns() // 1_000_000)
                if self.values:
                    self.statuses.append(self._post(http, request.SerializeToString()))

    def _post(self, http: httpx.Client, raw: bytes) -> int:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        body = bytes(cramjam.snappy.compress_raw(raw))
        return http.post(f"{self.url}/api/v1/write", content=body, headers=headers).status_code


@dataclass
class World:
    """A running console, who sends to it, and who is told."""

    console: Console
    receivers: Receivers
    sender: Sender
    made: dict[str, Any]
    environment: dict[str, str]

    def told(self, receiver: str, queue: str) -> list[Receipt]:
        """Return what a receiver was told about one queue."""
        return [one for one in self.receivers.of(receiver) if one.payload["labels"].get("queue") == queue]

    def ask(self, question: str, *values: object) -> Any:
        """Return the first column of the first row from the console's own database."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            row = connection.execute(question, values).fetchone()
        return row[0] if row else None


def rule(name: str, queue: str, for_seconds: int) -> dict[str, Any]:
    return {
        "name": name,
        "spec": {"expr": f'thread_queue_depth{{queue="{queue}"}} > 10'},
        "severity": "high",
        "for_seconds": for_seconds,
        "annotations": {"summary": "Queue {{ $labels.queue }} holds {{ $value }}"},
    }


FURNITURE = {
    "scopes": ["ingest:metrics"],
    "session": True,
    "policies": [
        {
            "name": "thread",
            "triggers": [{"job": ["thread"]}],
            "steps": [
                {"delay_seconds": 0, "channels": ["first"]},
                {"delay_seconds": SECOND_STEP_SECONDS, "channels": ["second"]},
            ],
        }
    ],
    "groups": [
        {
            "name": "thread",
            "interval_seconds": 1,
            "rules": [
                rule("ThreadQueueFull", "orders", FOR_SECONDS),
                rule("ThreadQueueStuck", "invoices", LONG_FOR_SECONDS),
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Start everything once for the tests of this file."""
    with receiving() as receivers, running_console({"OUTBOUND_ALLOWED": "127.0.0.0/8:*"}) as console:
        env = environment(console)
        channels = [{"name": name, "url": receivers.url(name)} for name in ("first", "second")]
        made = furnish(env, {**FURNITURE, "channels": channels})
        sender = Sender(console.url, made["token"])
        thread = threading.Thread(target=sender.run)
        thread.start()
        try:
            yield World(console, receivers, sender, made, env)
        finally:
            sender.stopping.set()
            thread.join()


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Return the condition's first true value."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen in {seconds:g} s")


def signed(world: World, receiver: str, receipt: Receipt) -> Any:
    """Return the message if the published library accepts its signature; it raises otherwise."""
    return Webhook(world.made["secrets"][receiver]).verify(receipt.body.decode(), receipt.headers)


def page(world: World, path: str) -> str:
    """Return a page as a signed-in person gets it."""
    reply = httpx.get(f"{world.console.url}{path}", cookies=world.made["cookies"], timeout=15.0)
    assert reply.status_code == httpx.codes.OK, reply.text[:500]
    return reply.text


def test_a_sample_becomes_a_signed_message_and_its_end_too(world: World) -> None:
    world.sender.values["orders"] = 42.0
    (fired,) = until(lambda: world.told("first", "orders"), "the first message")
    message = signed(world, "first", fired)
    assert (message["alert_name"], message["status"], message["severity"]) == ("ThreadQueueFull", "firing", "high")
    assert (message["metric_value"], message["escalation_step"]) == (42.0, 1)
    assert message["labels"]["queue"] == "orders"

    (second,) = until(lambda: world.told("second", "orders"), "the second step")
    assert signed(world, "second", second)["escalation_step"] == 2
    assert second.at - fired.at > SECOND_STEP_SECONDS - 2

    world.sender.values["orders"] = 1.0
    until(lambda: len(world.told("first", "orders")) > 1 and len(world.told("second", "orders")) > 1, "the end")
    for receiver in ("first", "second"):
        begun, ended = world.told(receiver, "orders")
        message = signed(world, receiver, ended)
        assert (message["status"], message["resolved_because"]) == ("resolved", "recovered")
        assert begun.key != ended.key

    told_on = page(world, f"/alerts/{message['alert_id']}/")
    for text in ("ThreadQueueFull", "recovered", "first", "second", "orders"):
        assert text in told_on
    assert set(world.sender.statuses) == {204}


def active_at(world: World, name: str) -> Any:
    """Return since when a rule's condition holds, by the console's own memory."""
    return world.ask(
        "SELECT s.active_at FROM alerts_rulestate s JOIN alerts_rule r ON r.id = s.rule_id WHERE r.name = %s", name
    )


def test_timers_survive_a_kill_of_everything_that_evaluates(world: World) -> None:
    world.sender.values["invoices"] = 99.0
    since = until(lambda: active_at(world, "ThreadQueueStuck"), "the rule's first sight")
    time.sleep(LONG_FOR_SECONDS / 2)
    assert world.told("first", "invoices") == []
    victims = by_role(world.console)
    assert kill(victims.get("evaluator", []) + victims.get("worker", [])) >= 2

    (fired,) = until(lambda: world.told("first", "invoices"), "the message")
    assert signed(world, "first", fired)["alert_name"] == "ThreadQueueStuck"
    assert active_at(world, "ThreadQueueStuck") == since
    assert fired.at - since.timestamp() >= LONG_FOR_SECONDS
    until(lambda: world.told("second", "invoices"), "the second step")
    assert len(world.told("first", "invoices")) == 1
