"""A loopback HTTP server whose answers are a method call, and which fails, hangs and cuts connections when told to."""

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request that arrived whole."""

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON; ValueError where it is none."""
        return json.loads(self.body or b"null")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `cut` closes the connection instead of sending it."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


def json_reply(status: int, found: object, **headers: str) -> Reply:
    """Return an answer in JSON; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"" if status == 304 else json.dumps(found).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8", **named})


@dataclass
class Allowance:
    """A token bucket of a quota; `take` says how long to wait, 0 for not at all."""

    per_second: float
    burst: float
    tokens: float = -1.0
    at: float = 0.0

    def take(self, now: float, count: float = 1.0) -> float:
        """Take tokens, or return the seconds until there are enough."""
        if self.tokens < 0:
            self.tokens, self.at = self.burst, now
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_second)
        self.at = now
        if self.tokens >= count:
            self.tokens -= count
            return 0.0
        return (count - self.tokens) / self.per_second


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    look_alike: "WebLookAlike"

    def handle_error(self, request: object, client_address: object) -> None:
        """Expect callers that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: _Server

    def _serve(self) -> None:
        length = min(int(self.headers.get("content-length") or 0), BODY_BYTES)
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(time.time(), self.command, parts.path, query, headers, self.rfile.read(length))
        reply = self.server.look_alike.serve(request)
        self.close_connection = True
        if reply.cut:
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 (the names http.server calls)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (named by http.server)
        """Stay silent."""


class WebLookAlike:
    """What the look-alikes over HTTP share: start, stop, the list of what came, and the switches of failure."""

    def __init__(self, *, port: int = 0) -> None:
        """Prepare; nothing listens before `start`."""
        self.received: list[Request] = []
        self.violations = 0
        self.lock = threading.Lock()
        self._port = port
        self._orders: list[Reply | float] = []
        self._cuts = 0
        self._fail = self._hang = self._cut = 0.0
        self._hang_seconds = 15.0
        self._dice = random.Random(7)  # noqa: S311 (picks failures, guards nothing)
        self._stopping = threading.Event()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """Return the address, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Listen on loopback."""
        self._stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.look_alike = self
        self._port = self._server.server_port
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        return self

    def stop(self) -> None:
        """Listen no longer."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def fail_next(self, count: int = 1, *, status: int = 500, body: bytes = b"{}", **headers: str) -> None:
        """Answer the next requests with an error, and do nothing."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._orders += [Reply(status, body, named)] * count

    def hang_next(self, count: int = 1, *, seconds: float = 15.0) -> None:
        """Leave the next requests without an answer, and do nothing."""
        self._orders += [float(seconds)] * count

    def cut_next(self, count: int = 1) -> None:
        """Do the work of the next requests that change something, then cut the connection."""
        self._cuts += count

    def trouble(
        self, *, fail: float = 0.0, hang: float = 0.0, cut: float = 0.0, hang_seconds: float = 15.0
    ) -> None:  # fmt: skip
        """Fail, hang and cut connections after the work by chance from now on."""
        self._fail, self._hang, self._cut, self._hang_seconds = fail, hang, cut, hang_seconds

    def serve(self, request: Request) -> Reply:
        """Answer one request, or do what was ordered instead."""
        order = self._order()
        if isinstance(order, Reply):
            return order
        if order is not None:
            self._stopping.wait(order)
            return Reply(504, cut=True)
        with self.lock:
            self.received.append(request)
            reply = self.answer(request)
            works = request.method != "GET" and reply.status < 300
            if works and (self._cuts or self._dice.random() < self._cut):
                self._cuts -= bool(self._cuts)
                return Reply(reply.status, cut=True)
        return reply

    def _order(self) -> Reply | float | None:
        with self.lock:
            if self._orders:
                return self._orders.pop(0)
            throw = self._dice.random()
            if throw < self._hang:
                return self._hang_seconds
            return Reply(500, b"{}") if throw < self._hang + self._fail else None

    def answer(self, request: Request) -> Reply:
        """Return the answer of the product that is played; called under the lock."""
        raise NotImplementedError
