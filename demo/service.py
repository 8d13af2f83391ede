"""The demo's own service: four endpoints on loopback with injected latency and errors, watched by the SDK.

    python -m demo.service --url CONSOLE      first line: {"port": N}

`/api/search` really searches 150,000 vectors; `/api/chat` takes as long as Agent Forge does (95 % within 1.6 s);
about one call in a hundred fails. The SDK's middleware stands in front: it reports and blocks.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import uvicorn

from aivillage_observability import ObservabilitySystem
from aivillage_observability.recorder import MetricRecorder
from aivillage_observability.security import BlockList, SecurityEvents
from aivillage_observability.security.asgi import SecurityMiddleware
from demo.children import say, tied_to_parent

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES = 64_000
ERROR_SHARE = 0.01
CHAT_MEDIAN_SECONDS, CHAT_SPREAD = 0.7, 0.5  # 95 % of exp(N(ln 0.7, 0.5)) lie below 1.6 s
VECTORS, WIDTH = 150_000, 24
FLUSH_SECONDS = 5.0
SERVICE_NAME = "demo-gateway"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint returns."""

    status: int
    body: dict[str, object]


@dataclass(slots=True)
class Memory:
    """A retrieval memory: vectors, and the nearest of them to a question."""

    vectors: "np.ndarray[tuple[int, int], np.dtype[np.float32]]" = field(
        default_factory=lambda: np.random.default_rng(3).standard_normal((VECTORS, WIDTH), dtype=np.float32)
    )

    def nearest(self, question: str) -> int:
        """Return the number of the vector nearest to a question."""
        asked = np.random.default_rng(list(question.encode()[:64])).standard_normal(WIDTH, dtype=np.float32)
        return int(np.argmax(np.dot(self.vectors, asked)))


def password_of(user: str) -> str:
    """Return the right password of a user of the demo service."""
    return f"{user}-knows-it"


class Service:
    """An ASGI application."""

    def __init__(self, metrics: MetricRecorder, dice: random.Random) -> None:
        self._metrics, self._dice, self._memory = metrics, dice, Memory()
        self._endpoints: dict[str, Callable[[dict[str, Any]], Awaitable[Answer]]] = {
            "/api/login": self._login,
            "/api/search": self._search,
            "/api/chat": self._chat,
            "/api/upload": self._upload,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        endpoint, began = scope["path"], time.perf_counter()
        work = self._endpoints.get(endpoint)
        asked = await _asked(scope, receive)
        if work is None or asked is None:
            answer = Answer(404 if work is None else 400, {"detail": "There is nothing here."})
        elif self._dice.random() < ERROR_SHARE:
            answer = Answer(500, {"detail": "An injected error."})
        else:
            answer = await work(asked)
        self._count(scope["method"], endpoint if work else "other", answer.status, time.perf_counter() - began)
        await _reply(send, answer)

    async def _login(self, asked: dict[str, Any]) -> Answer:
        await asyncio.sleep(self._dice.uniform(0.004, 0.02))
        user, password = str(asked.get("user", "")), str(asked.get("password", ""))
        if password != password_of(user):
            return Answer(401, {"detail": "Wrong user or password."})
        return Answer(200, {"user": user})

    async def _search(self, asked: dict[str, Any]) -> Answer:
        began = time.perf_counter()
        found = self._memory.nearest(str(asked.get("query", "")))
        seconds = time.perf_counter() - began
        labels = {"query_type": "semantic", "collection": "demo"}
        self._metrics.record_histogram("hyperrag_query_duration_seconds", seconds, labels)
        self._metrics.record_counter("hyperrag_queries_total", labels=labels)
        self._metrics.record_counter("hyperrag_retrieval_success_total", labels=labels)
        self._metrics.record_histogram("rag_query_latency_seconds", seconds, {"query_type": "semantic"})
        self._metrics.record_counter("rag_queries_total", labels={"query_type": "semantic", "success": True})
        return Answer(200, {"nearest": found})

    async def _chat(self, asked: dict[str, Any]) -> Answer:
        began = time.perf_counter()
        await asyncio.sleep(math.exp(self._dice.gauss(math.log(CHAT_MEDIAN_SECONDS), CHAT_SPREAD)))
        labels = {"endpoint": "/chat", "method": "POST"}
        seconds = time.perf_counter() - began
        self._metrics.record_histogram("agent_forge_request_duration_seconds", seconds, {**labels, "status": "200"})
        self._metrics.record_counter("agent_forge_requests_total", labels=labels)
        return Answer(200, {"said": str(asked.get("message", ""))[:100]})

    async def _upload(self, asked: dict[str, Any]) -> Answer:
        await asyncio.sleep(self._dice.uniform(0.03, 0.08))
        return Answer(201, {"bytes": len(str(asked.get("content", "")))})

    def _count(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        labels = {"method": method, "endpoint": endpoint, "status": str(status)}
        self._metrics.record_counter("http_requests_total", labels=labels)
        self._metrics.record_histogram("http_request_duration_seconds", seconds, labels)
        timed = {"endpoint": endpoint, "method": method, "user_type": "demo"}
        self._metrics.record_histogram("response_time_ms", seconds * 1000, timed)
        if status >= 500:
            named = {"error_type": "injected", "component": "api-gateway", "severity": "error"}
            self._metrics.record_counter("errors_total", labels=named)


async def _asked(scope: Scope, receive: Receive) -> dict[str, Any] | None:
    """Return what was sent, as a query or as JSON; None when it cannot be read."""
    asked: dict[str, Any] = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode()).items()}
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
        if len(body) > BODY_BYTES:
            return None
    try:
        sent = json.loads(body) if body else {}
    except ValueError:
        return None
    return asked | sent if isinstance(sent, dict) else None


async def _reply(send: Send, answer: Answer) -> None:
    body = json.dumps(answer.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(application: Application, listening: socket.socket) -> None:
    """Answer requests until a signal comes."""
    config = uvicorn.Config(application, log_level="warning", access_log=False, lifespan="off", proxy_headers=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(uvicorn.Server(config).serve([listening]))


def guard(application: Application, url: str, poll_seconds: float) -> SecurityMiddleware:
    """Put the SDK's middleware in front: it reports to the console and keeps out whom the console blocks."""
    return SecurityMiddleware(
        application,
        events=SecurityEvents(console_url=url, flush_interval=0.5),
        blocks=BlockList(console_url=url, enforcer=SERVICE_NAME, poll_interval=poll_seconds),
        login_paths=["/api/login"],
        # Visitors and attackers of the demo share one machine; their addresses travel as a proxy would send them.
        trusted_proxies=["127.0.0.0/8"],
        user_header="X-User",
    )


def listening_socket() -> socket.socket:
    """Return a socket on a free port of loopback.

    Named as TCP: asyncio switches Nagle's algorithm off only where the protocol is said, and each answer takes 40 ms
    longer where it is not.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.bind(("127.0.0.1", 0))
    made.listen(128)
    return made


def main() -> int:
    """Listen on a free port of loopback."""
    parser = argparse.ArgumentParser(prog="python -m demo.service")
    parser.add_argument("--url", required=True, help="address of the console")
    parser.add_argument("--poll", type=float, default=5.0, help="seconds between two looks at the block list")
    arguments = parser.parse_args()
    listening = listening_socket()
    observability = ObservabilitySystem(SERVICE_NAME, flush_interval=FLUSH_SECONDS, console_url=arguments.url)
    observability.start()
    tied_to_parent()
    say(port=listening.getsockname()[1])
    guarded = guard(Service(observability.metrics, random.Random(5)), arguments.url, arguments.poll)  # noqa: S311
    serve(guarded, listening)
    guarded.watch.stop()
    observability.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
