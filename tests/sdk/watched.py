"""Real servers for the middleware's tests: uvicorn and wsgiref on loopback, and a console with two doors."""

import contextlib
import gzip
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import uvicorn


@dataclass
class Doors:
    """The console as the SDK sees it: takes events, gives the block list with an ETag."""

    url: str = ""
    document: dict[str, Any] = field(default_factory=lambda: {"version": 1, "blocks": [], "allowed": []})
    rows: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    away: bool = False
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, found: Callable[[list[dict[str, Any]]], bool], seconds: float = 15.0) -> bool:
        """Wait until what came satisfies."""
        with self.arrived:
            return self.arrived.wait_for(lambda: found(self.rows), seconds)

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["event_type"] == event_type]


def _doors_handler(doors: Doors) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            batch = json.loads(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
            with doors.arrived:
                if not doors.away:
                    doors.rows += batch["rows"]
                doors.arrived.notify_all()
            self._reply(503 if doors.away else 200, {"batch_id": batch["batch_id"], "rejected": []})

        def do_GET(self) -> None:
            etag = f'"{doors.document["version"]}"'
            status = 503 if doors.away else 304 if self.headers["If-None-Match"] == etag else 200
            with doors.arrived:
                doors.asked.append((self.headers["Authorization"], status))
                doors.arrived.notify_all()
            self._reply(status, doors.document, etag)

        def _reply(self, status: int, document: object, etag: str = "") -> None:
            body = b"" if status == 304 else json.dumps(document).encode()
            self.send_response(status)
            if etag:
                self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            del args

    return Handler


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address


@contextlib.contextmanager
def doors() -> Iterator[Doors]:
    """Serve a console of two doors."""
    console = Doors()
    server = QuietServer(("127.0.0.1", 0), _doors_handler(console))
    console.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield console
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str


@dataclass(frozen=True)
class Site:
    """A served application."""

    port: int

    def ask(self, path: str, *, method: str = "GET", body: bytes = b"", kind: str = "", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind:
            named["Content-Type"] = kind
        connection.request(method, path, body=body or None, headers=named)
        response = connection.getresponse()
        answer = Answer(response.status, response.read(), response.getheader("Content-Type") or "")
        connection.close()
        return answer


@contextlib.contextmanager
def asgi_site(app: Any) -> Iterator[Site]:
    """Serve an ASGI application by uvicorn."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="critical", lifespan="on", ws="websockets-sansio", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 15
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield Site(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(15)


class _Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        del args


@contextlib.contextmanager
def wsgi_site(app: Any) -> Iterator[Site]:
    """Serve a WSGI application by wsgiref."""
    server = make_server("127.0.0.1", 0, app, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Site(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
