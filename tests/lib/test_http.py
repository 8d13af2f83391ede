"""The outbound guard lets nothing private be reached, however it is spelled."""

import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from aivillage_console.lib import http

PRIVATE = """
http://127.0.0.1/ https://127.0.0.1/ https://127.1/ https://127.0.1/ https://2130706433/ https://0x7f000001/ https://0177.0.0.1/
https://0x7f.1/ https://017700000001/ https://localhost/ https://localhost./ https://LOCALHOST/ https://0/ https://0.0.0.0/
https://[::1]/ https://[::]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::127.0.0.1]/ https://[0:0:0:0:0:0:0:1]/
https://10.0.0.1/ https://10.255.255.255/ https://172.16.0.1/ https://172.31.255.255/ https://192.168.0.1/ https://192.168.255.1/
https://169.254.169.254/latest/meta-data/ https://169.254.0.1/ https://100.64.0.1/ https://100.127.255.254/ https://192.0.0.1/
https://192.0.2.1/ https://198.18.0.1/ https://198.19.255.255/ https://198.51.100.1/ https://203.0.113.1/ https://224.0.0.1/
https://239.1.1.1/ https://240.0.0.1/ https://255.255.255.255/ https://192.88.99.1/ https://[fc00::1]/ https://[fd12:3456::1]/
https://[fe80::1]/ https://[fec0::1]/ https://[ff02::1]/ https://[2002:7f00:1::]/ https://[2002:a00:1::]/ https://[2001::1]/
https://[2001:0:7f00:1::]/ https://[64:ff9b::7f00:1]/ https://[64:ff9b::a00:1]/ https://[64:ff9b:1::1]/ https://[2001:db8::1]/
https://[100::1]/ https://0xa9fea9fe/ https://2852039166/ https://0251.0376.0251.0376/ https://127.0.0.1:8443/ https://①②⑦.⓪.⓪.①/
""".split()
MALFORMED = [
    "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "javascript:alert(1)", "//example.org/", "",
    "https://", "https://user@example.org/", "https://user:pw@example.org/", "https://example.org\\@127.0.0.1/",
    "https://exa mple.org/", "https://example.org:99999/", "https://example.org/\n", "https://[::1/",
    "data:text/plain,x",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_allowed(settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=[])


def public(host: str, port: int) -> Sequence[str]:
    return ["93.184.216.34"]


def test_the_corpus_has_sixty_addresses() -> None:
    assert len(PRIVATE) >= 60


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_not_called(url: str) -> None:
    with pytest.raises((http.Refused, http.Unreachable)):
        http.post(url, body=b"{}", headers={})


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(http.Refused):
        http.check_url(url)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(http.Refused, match="not a public address"):
        http.checked_addresses("https", "example.org", 443, [], lambda h, p: ["93.184.216.34", "10.0.0.1"])


def test_plain_http_and_odd_ports_are_refused_even_for_public_addresses() -> None:
    with pytest.raises(http.Refused, match="only https"):
        http.checked_addresses("http", "example.org", 80, [], public)
    with pytest.raises(http.Refused, match="port 22"):
        http.checked_addresses("https", "example.org", 22, [], public)
    assert http.checked_addresses("https", "example.org", 443, [], public) == ["93.184.216.34"]


def test_the_allow_list_admits_single_destinations() -> None:
    doors = http.doors_from(["127.0.0.0/8:9000", "[fd00::]/8:*"])
    assert http.checked_addresses("http", "x", 9000, doors, lambda h, p: ["127.0.0.1"]) == ["127.0.0.1"]
    assert http.checked_addresses("http", "x", 1, doors, lambda h, p: ["fd00::1"]) == ["fd00::1"]
    with pytest.raises(http.Refused):
        http.checked_addresses("http", "x", 9001, doors, lambda h, p: ["127.0.0.1"])


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes], list[bytes]]]:
    """A raw socket that answers what the test puts into the list, piece by piece."""
    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []
    answer: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                got.append(peer.recv(65_536))
                try:
                    for piece in answer:
                        peer.sendall(piece)
                        threading.Event().wait(0.05)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1], got, answer
    server.close()


def test_a_resolver_that_changes_its_mind_is_asked_once(listener: Any) -> None:
    port, got, _ = listener
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])
    with pytest.raises(http.Refused):
        http.checked_addresses("https", "rebind", port, [], lambda h, p: next(answers))
    assert got == []


def test_the_name_stays_in_the_host_header(listener: Any, settings: Any) -> None:
    port, got, answer = listener
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    answer.append(b"HTTP/1.1 204 No Content\r\n\r\n")
    reply = http.post(f"http://example.org:{port}/a?b=c", body=b"{}", headers={}, resolver=lambda h, p: ["127.0.0.1"])
    assert reply.status == 204
    assert got[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"Host: example.org:{port}".encode().lower() in got[0].lower()


def test_a_huge_body_is_cut_and_a_redirect_is_not_followed(listener: Any, settings: Any) -> None:
    port, got, answer = listener
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    answer.append(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 10000000000\r\n\r\n" + b"x" * 200_000
    )
    reply = http.post(f"http://127.0.0.1:{port}/", body=b"{}", headers={})
    assert (reply.status, len(reply.body), len(got)) == (302, http.BODY_BYTES, 1)


def test_a_receiver_that_drips_is_cut_off(listener: Any, settings: Any) -> None:
    port, _, answer = listener
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    answer.extend([b"HTTP/1.1 200 OK\r\n", *[b"x"] * 100])
    with pytest.raises(http.CutOff):
        http.post(f"http://127.0.0.1:{port}/", body=b"{}", headers={}, total_seconds=0.4)


def test_nobody_listening_is_unreachable(settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    with pytest.raises(http.Unreachable):
        http.post("http://127.0.0.1:1/", body=b"{}", headers={})


@pytest.mark.parametrize(("call", "line"), [("get", b"GET"), ("patch", b"PATCH")])
def test_every_verb_goes_through_the_same_guard(listener: Any, settings: Any, call: str, line: bytes) -> None:
    port, got, answer = listener
    how: dict[str, Any] = {"headers": {}} | ({"body": b"{}"} if call == "patch" else {})
    with pytest.raises(http.Refused):
        getattr(http, call)(f"http://127.0.0.1:{port}/", **how)
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    answer.append(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert getattr(http, call)(f"http://127.0.0.1:{port}/x", **how).status == 204
    assert got[0].startswith(line + b" /x HTTP/1.1")


def test_connections_for_other_protocols_obey_the_same_rules(listener: Any, settings: Any) -> None:
    port, _, _ = listener
    with pytest.raises(http.Refused, match="not a public address"):
        http.connect("127.0.0.1", port, encrypted=True, ports=frozenset({port}))
    with pytest.raises(http.Refused, match="only TLS"):
        http.connect("example.org", 25, encrypted=False, ports=frozenset({25}), resolver=public)
    with pytest.raises(http.Refused, match="port 22"):
        http.connect("example.org", 22, encrypted=True, ports=frozenset({25}), resolver=public)
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    with http.connect("127.0.0.1", port, encrypted=False, ports=frozenset()) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
    with pytest.raises(http.Unreachable):
        http.connect("127.0.0.1", 1, encrypted=False, ports=frozenset())
