"""A console of a few lines: takes what the demo sends, and gives out a block list."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class _Handler(BaseHTTPRequestHandler):
    server: "FakeConsole"

    def do_GET(self) -> None:
        blocks = [
            {"scope": "ip", "value": address, "expires_at": "2099-01-01T00:00:00Z", "reason": "test"}
            for address in self.server.blocked
        ]
        self._answer({"version": 1, "blocks": blocks, "allowed": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        document = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.server.rows.setdefault(self.path.rsplit("/", 1)[-1], []).extend(document["rows"])
        self._answer({"accepted": len(document["rows"]), "rejected": []})

    def _answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (named by http.server)
        pass


class FakeConsole(ThreadingHTTPServer):
    """Listens on loopback while a `with` block lasts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.blocked: set[str] = set()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.shutdown()
        self.server_close()
