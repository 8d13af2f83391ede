"""A console of one door for tests: a real HTTP server on loopback that answers as it is told and keeps what came."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Console:
    """What arrived, and what to answer: a list of (status, headers), then 200 for ever."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch["rows"]]

    def wait(self, count: int, seconds: float = 20.0) -> bool:
        """Wait until so many batches were taken."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.batches) >= count, seconds)

    def wait_refused(self, count: int, seconds: float = 20.0) -> bool:
        """Wait until so many requests were turned away."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.refused) >= count, seconds)


def _handler(console: Console) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with console.arrived:
                console.requests.append(dict(self.headers))
                status, headers = console.answers.pop(0) if console.answers else (200, {})
                if status == 200:
                    batch = json.loads(gzip.decompress(body))
                    reply = {"batch_id": batch["batch_id"], "duplicate": self._known(batch["batch_id"]), "rejected": []}
                    if not reply["duplicate"]:
                        console.batches.append(batch)
                else:
                    reply = {"title": "no"}
                    console.refused.append(status)
                console.arrived.notify_all()
            self._reply(status, headers, json.dumps(reply).encode())

        def _known(self, batch_id: str) -> bool:
            return any(batch["batch_id"] == batch_id for batch in console.batches)

        def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            if status == 999:  # taken, and the answer lost on the way
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            del args

    return Handler


class Server(ThreadingHTTPServer):
    """Dies quietly: a client that hangs up is part of these tests."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address


@contextmanager
def serve(console: Console, port: int = 0) -> Iterator[Console]:
    """Serve a console on loopback."""
    server = Server(("127.0.0.1", port), _handler(console))
    console.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield console
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
