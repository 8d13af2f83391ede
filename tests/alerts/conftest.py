"""A real loopback receiver, and the rows most tests need."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from aivillage_console.lib import clock, signing
from alerts.engine.episodes import Seen
from alerts.inbound import github as door
from alerts.models import Alert, Channel, InboundHook, Link, Policy, PolicyStep
from alerts.pipeline import Observation
from alerts.services import observe
from metrics.ingest import refusals
from metrics.ingest.writer import forget_series
from tests.alerts.github import NUMBER, REPO
from tests.alerts.github import SECRET as HOOK_SECRET


@pytest.fixture(autouse=True)
def _no_series_of_the_test_before() -> None:
    """The tables are emptied under a living process, which happens to tests alone: ids it remembers lead nowhere."""
    forget_series()


@dataclass
class Letterbox:
    """What a receiver got and how it answers: a list of (status, headers), the last one repeated."""

    url: str
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    before_answer: Callable[[], None] = lambda: None
    answer_to: Callable[[dict[str, Any]], None] = lambda _: None
    hang_seconds: float = 0

    @property
    def kinds(self) -> list[str]:
        """Return what the messages said, in order of arrival."""
        return [message["kind"] for message in self.got]

    def answer(self) -> tuple[int, dict[str, str]]:
        """Return the next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


@pytest.fixture
def letterbox(settings: Any) -> Iterator[Letterbox]:
    """Yield a receiver on loopback that the guard lets through."""
    box = Letterbox(url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            box.bodies.append(body)
            box.got.append(json.loads(body))
            box.headers.append({name.lower(): value for name, value in self.headers.items()})
            box.before_answer()
            box.answer_to(json.loads(body))
            time.sleep(box.hang_seconds)
            status, headers = box.answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    box.url = f"http://127.0.0.1:{server.server_port}/hook"
    settings.CONFIG = replace(
        settings.CONFIG, outbound_allowed=["127.0.0.0/8:*"], celery_enabled=False, storm_control_enabled=False
    )
    yield box
    server.shutdown()
    server.server_close()


SECRET = signing.new_secret()


def channel_at(url: str, name: str = "hook", **fields: Any) -> Channel:
    """Return a saved webhook channel."""
    channel = Channel(name=name, config={"url": url}, **fields)
    channel.seal(SECRET)
    channel.save()
    return channel


def policy_with(*steps: tuple[int, list[Channel]], name: str = "all", **fields: Any) -> Policy:
    """Return a saved policy of (delay, channels) steps."""
    policy = Policy.objects.create(name=name, **fields)
    for position, (delay, channels) in enumerate(steps):
        PolicyStep.objects.create(policy=policy, position=position, delay_seconds=delay).channels.set(channels)
    return policy


def seen(kind: Seen, name: str = "Hot", **fields: Any) -> Observation:
    """Return an observation of the alert called Hot."""
    values: dict[str, Any] = {"labels": {"host": "a"}, "severity": "high", **fields}
    return Observation(name=name, seen=kind, **values)


def fire(name: str = "Hot", *, now: datetime | None = None, **fields: Any) -> Alert:
    """Make an alert fire and return it."""
    observe(seen(Seen.FIRING, name, **fields), now=now or clock.now())
    return Alert.objects.get(name=name)


def clear(name: str = "Hot", *, now: datetime | None = None, **fields: Any) -> Alert:
    """Let an alert end and return it."""
    observe(seen(Seen.CLEAR, name, **fields), now=now or clock.now())
    return Alert.objects.get(name=name)


@pytest.fixture(autouse=True)
def fresh_buckets() -> None:
    """Let no test pay for the calls of another."""
    for buckets in (door.ADDRESSES, door.SIGNED, refusals._recording):
        buckets.clear()


@pytest.fixture
def hook(transactional_db: None) -> InboundHook:
    """Return a webhook of a channel that has told of the alert called Hot by issue 1."""
    channel = Channel.objects.create(name="issues", type="github")
    users = ["Codertocat=alice@example.org", "octocat"]
    made = InboundHook(name="gh", channel=channel, login="console-bot", allowed_users=users)
    made.seal(HOOK_SECRET)
    made.save()
    return made


@pytest.fixture
def alert(hook: InboundHook) -> Alert:
    fired = fire()
    assert hook.channel is not None
    Link.objects.create(alert=fired, channel=hook.channel, external_id=f"{REPO}#{NUMBER}")
    return fired
