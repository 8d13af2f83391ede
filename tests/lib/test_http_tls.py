"""Over TLS only a receiver whose certificate is good for its name is talked to."""

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from aivillage_console.lib import http
from tests.certificates import signed


@dataclass
class Receiver:
    """A TLS receiver and the file of the authority that signed for it."""

    port: int
    authority: Path
    got: list[bytes]


@pytest.fixture
def receiver(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    authority, leaf = signed(tmp_path, "receiver.example")
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Expect callers that hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    http.forget_trust()
    yield Receiver(server.server_port, authority, got)
    http.forget_trust()
    server.shutdown()
    server.server_close()


def send(receiver: Receiver, host: str) -> http.Reply:
    return http.post(
        f"https://{host}:{receiver.port}/", body=b"{}", headers={}, resolver=lambda _host, _port: ["127.0.0.1"]
    )


def test_a_certificate_nobody_vouches_for_is_refused(receiver: Receiver) -> None:
    with pytest.raises(http.Unreachable, match="certificate verify failed"):
        send(receiver, "receiver.example")
    assert receiver.got == []


def test_a_certificate_of_another_host_is_refused(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(receiver.authority))
    with pytest.raises(http.Unreachable, match="Hostname mismatch"):
        send(receiver, "other.example")
    assert receiver.got == []


def test_a_certificate_of_a_trusted_authority_is_accepted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(receiver.authority))
    assert send(receiver, "receiver.example").status == 204
    assert receiver.got == [b"{}"]
