"""Over TLS only a receiver whose certificate is good for its name is talked to."""

import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aivillage_console.lib import http

NOW = dt.datetime.now(dt.UTC)


@dataclass
class Receiver:
    """A TLS receiver and the file of the authority that signed for it."""

    port: int
    authority: Path
    got: list[bytes]


def _certificate(name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None, key: Any) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by, signer = issuer or (subject, key)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(hours=1))
        .not_valid_after(NOW + dt.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(authority=issuer is None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


@pytest.fixture
def receiver(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("authority.example", None, authority_key)
    leaf = _certificate("receiver.example", (authority.subject, authority_key), key)
    pem = serialization.Encoding.PEM
    (tmp_path / "ca.pem").write_bytes(authority.public_bytes(pem))
    (tmp_path / "leaf.pem").write_bytes(
        leaf.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
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
    context.load_cert_chain(tmp_path / "leaf.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    http.forget_trust()
    yield Receiver(server.server_port, tmp_path / "ca.pem", got)
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
