"""A component to check, a server to ask, and callables that do as they are told."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aivillage_console.lib import clock
from health.models import Check, Component
from health.probes import callables
from health.services import tending


@pytest.fixture(autouse=True)
def quiet(settings: Any) -> None:
    """Ring nobody, and let no earlier test's tending count for this one."""
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=False)
    tending.forget()


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the console's own components out: only the test's own checks run."""
    monkeypatch.setattr("health.services.run_checks.tend", lambda **_: None)


@pytest.fixture
def callable_named() -> Iterator[Callable[[str, Callable[[], object]], None]]:
    """Return what registers a callable for the length of a test."""
    made: list[str] = []

    def register(name: str, func: Callable[[], object]) -> None:
        made.append(name)
        callables.register_check(name, func)

    yield register
    for name in made:
        del callables.CALLABLES[name]


def component(name: str = "api", **fields: Any) -> Component:
    """Return a saved component."""
    return Component.objects.get_or_create(name=name, defaults=fields)[0]


def check_of(name: str = "answers", *, of: str = "api", **fields: Any) -> Check:
    """Return a saved check that is due."""
    values = {"kind": "callable", "config": {"name": "test"}, "due_at": clock.now(), **fields}
    return Check.objects.create(component=component(of), name=name, **values)


@dataclass
class Page:
    """What the server answers."""

    url: str
    port: int
    status: int = 200
    body: bytes = b"all is well"


@pytest.fixture
def site(settings: Any) -> Iterator[Page]:
    """Yield a page on loopback that the guard lets through."""
    shown = Page("", 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(shown.status)
            self.send_header("content-length", str(len(shown.body)))
            self.end_headers()
            self.wfile.write(shown.body)

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    shown.port, shown.url = server.server_port, f"http://127.0.0.1:{server.server_port}/ready"
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.0/8:*"])
    yield shown
    server.shutdown()
    server.server_close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    # Either end may go first, which is how such a conversation ends.
    with source, contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def database(settings: Any) -> Iterator[str]:
    """Yield the URL of the tests' own PostgreSQL by way of a TCP port, for it listens on a socket file alone."""
    url = urlsplit(os.environ["DATABASE_URL"])
    if url.hostname:
        yield url.geturl()
        return
    file = f"{parse_qs(url.query)['host'][0]}/.s.PGSQL.{url.port or 5432}"
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(file)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.0/8:*"])
    yield f"postgresql://postgres@127.0.0.1:{listener.getsockname()[1]}/postgres"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
