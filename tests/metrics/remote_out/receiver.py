"""A receiver that answers as it is told and keeps what it was sent, decoded by messages that are not the console's."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cramjam
from remote_pb2.remote_pb2 import WriteRequest

from tests.metrics.write_v2 import Request

Keep = Callable[..., None]
NOW_MS = int(datetime.now(UTC).timestamp() * 1000)


class Waits(threading.Event):
    """Notes how long it is waited for, and never waits."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return self.is_set()


WRITTEN = {f"X-Prometheus-Remote-Write-{kind}-Written": "1" for kind in ("Samples", "Histograms", "Exemplars")}


@dataclass
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def version(self) -> str:
        return self.headers["x-prometheus-remote-write-version"]

    def message(self) -> Any:
        kind = Request if self.version == "2.0.0" else WriteRequest
        return kind.FromString(bytes(cramjam.snappy.decompress_raw(self.body)))

    def rows(self) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
        message = self.message()
        return [
            (labels_of(message, series), [(one.timestamp, one.value) for one in series.samples])
            for series in message.timeseries
        ]


def labels_of(message: Any, series: Any) -> dict[str, str]:
    if not hasattr(message, "symbols"):
        return {label.name: label.value for label in series.labels}
    texts = [message.symbols[ref] for ref in series.labels_refs]
    return dict(zip(texts[::2], texts[1::2], strict=True))


@dataclass
class Receiver:
    """Answers in the order given, the last one again and again: (status, headers, body)."""

    url: str
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=lambda: [(204, WRITTEN, b"")])
    received: list[Received] = field(default_factory=list)

    def next_answer(self) -> tuple[int, dict[str, str], bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def samples(self) -> list[tuple[str, int, float]]:
        return [
            (labels["__name__"], at, value)
            for request in self.received
            for labels, samples in request.rows()
            for at, value in samples
        ]


def handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            receiver.received.append(Received(self.command, self.path, headers, body))
            status, more, answer = receiver.next_answer()
            self.send_response(status)
            for name, text in more.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    receiver = Receiver("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(receiver))
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/api/v1/write"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
