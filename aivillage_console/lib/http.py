"""The only outbound HTTP client: it refuses private addresses, follows nothing and waits for nobody.

A name is resolved once, every address it has is checked, and the connection goes to a checked address, so that a
resolver that changes its mind in between gains nothing. TLS still verifies the name.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
from django.conf import settings

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 4.0
BODY_BYTES = 65_536
PORTS = frozenset({443, 8443, 80})
ENCRYPTED = frozenset({"https", "tls"})
ENCRYPTED_INSTEAD = {"tcp": "TLS"}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
BLOCKED: Sequence[Network] = tuple(
    ipaddress.ip_network(block)
    for block in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ]
)


class Refused(Exception):
    """The guard does not let this request out; nothing was sent."""


class Unreachable(Exception):
    """No connection came about; nothing was sent."""


class CutOff(Exception):
    """The connection ended after sending began; the receiver may have acted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A receiver's answer, its body cut at 64 KB unless the caller asked for more."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Door:
    """An allow-listed destination; port 0 means any."""

    network: Network
    port: int


def doors_from(entries: Iterable[str]) -> list[Door]:
    """Return the allow-list of `CIDR:port` entries (`*` for any port)."""
    doors = []
    for entry in entries:
        cidr, _, port = entry.strip().rpartition(":")
        doors.append(
            Door(
                ipaddress.ip_network(cidr.translate({91: None, 93: None}), strict=False),
                0 if port == "*" else int(port),
            )
        )
    return doors


def allowed(address: Address, port: int, doors: Sequence[Door]) -> bool:
    """Say whether an address is on the allow-list."""
    return any(address in door.network and door.port in (0, port) for door in doors)


def blocked(address: Address) -> bool:
    """Say whether an address is not a public one."""
    return any(address in network for network in BLOCKED) or not address.is_global


Resolver = Callable[[str, int], Sequence[str]]
SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


def resolve(host: str, port: int) -> Sequence[str]:
    """Return every address of a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be resolved") from error
    return [str(each[4][0]) for each in found]


def checked_addresses(
    scheme: str, host: str, port: int, doors: Sequence[Door], resolver: Resolver, ports: frozenset[int] = PORTS
) -> list[str]:
    """Return the addresses of a destination, or refuse it if any of them is out of bounds."""
    addresses = [ipaddress.ip_address(text.split("%")[0]) for text in resolver(host, port)]
    for address in addresses:
        if allowed(address, port, doors):
            continue
        if blocked(address):
            raise Refused(f"{host} leads to {address}, which is not a public address")
        if scheme not in ENCRYPTED:
            raise Refused(
                f"only {ENCRYPTED_INSTEAD.get(scheme, 'https')} goes out; OUTBOUND_ALLOWED admits single destinations "
                f"over {scheme}"
            )
        if port not in ports:
            raise Refused(f"port {port} is not one of {', '.join(map(str, sorted(ports)))}")
    if not addresses:
        raise Unreachable(f"{host} has no address")
    return [str(address) for address in addresses]


def check_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL, or refuse its form."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise Refused("the URL cannot be read") from error
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Refused("the URL must begin with https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise Refused("a URL with a user name or password is not called")
    if any(ord(letter) <= 32 or letter == "\\" for letter in url):
        raise Refused("the URL holds a space, a control character or a backslash")
    return parts.scheme, parts.hostname, port


class _Stream(httpcore.NetworkStream):
    """A stream whose every wait ends at one deadline, so a byte a second does not hold a slot."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the receiver took too long")
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 (the deadline decides)
        return self._inner.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._inner.write(buffer, self._left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        try:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._left()), self._deadline)
        except httpcore.ReadTimeout as error:
            raise httpcore.ConnectTimeout(str(error)) from error

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, addresses: Sequence[str], deadline: float) -> None:
        self._addresses, self._deadline, self._inner = addresses, deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 (resolved and checked before)
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline decides)
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        ends_at = min(time.monotonic() + CONNECT_SECONDS, self._deadline)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectTimeout("no time left to connect")
        for address in self._addresses:
            if (left := ends_at - time.monotonic()) <= 0:
                break
            try:
                return _Stream(
                    self._inner.connect_tcp(address, port, left, socket_options=socket_options), self._deadline
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


@cache
def _tls(minimum: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = minimum
    return context


def forget_trust() -> None:
    """Read the trusted authorities anew at the next call, for they were changed (SSL_CERT_FILE, SSL_CERT_DIR)."""
    _tls.cache_clear()


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    tls_1_2: bool = False,
    resolver: Resolver = resolve,
    total_seconds: float = TOTAL_SECONDS,
    body_bytes: int = BODY_BYTES,
    context: ssl.SSLContext | None = None,
    server_name: str = "",
) -> Reply:
    """Send one request and return the answer; raises Refused, Unreachable or CutOff.

    `context` and `server_name` are for a destination with authorities or a name of its own.
    """
    deadline = time.monotonic() + total_seconds
    scheme, host, port = check_url(url)
    addresses = checked_addresses(scheme, host, port, doors_from(settings.CONFIG.outbound_allowed), resolver)
    context = (context or tls(tls_1_2=tls_1_2)) if scheme == "https" else None
    extensions = {"sni_hostname": server_name} if server_name and context else {}
    # httpx builds the request (it knows URLs, IDNA and headers); httpcore carries it, for it takes a network backend.
    built = httpx.Request(method, url, content=body or None, headers={**headers, "accept-encoding": "identity"})
    target = httpcore.URL(scheme=scheme, host=built.url.raw_host, port=port, target=built.url.raw_path)
    try:
        with (
            httpcore.HTTPConnection(
                target.origin, ssl_context=context, network_backend=_Backend(addresses, deadline)
            ) as connection,
            connection.stream(
                method, target, headers=built.headers.raw, content=body or None, extensions=extensions
            ) as response,
        ):
            return _reply(response, body_bytes)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise Unreachable(str(error) or "no connection") from error
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise CutOff(str(error) or type(error).__name__) from error


def connect(
    host: str, port: int, *, encrypted: bool, ports: frozenset[int], seconds: float = CONNECT_SECONDS,
    resolver: Resolver = resolve,
) -> socket.socket:  # fmt: skip
    """Open a connection for a protocol other than HTTP by the same rules; raises Refused or Unreachable.

    `encrypted` is the caller's promise to talk TLS before anything else that matters.
    """
    doors = doors_from(settings.CONFIG.outbound_allowed)
    addresses = checked_addresses("tls" if encrypted else "tcp", host, port, doors, resolver, ports)
    ends_at = time.monotonic() + seconds
    failure: OSError = TimeoutError("no time left to connect")
    for address in addresses:
        if (left := ends_at - time.monotonic()) <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as error:
            failure = error
    raise Unreachable(f"{host}:{port}: {failure}") from failure


def tls(*, tls_1_2: bool = False) -> ssl.SSLContext:
    """Return the context every encrypted call uses: certificates verified, TLS 1.3 unless 1.2 is asked for."""
    return _tls(ssl.TLSVersion.TLSv1_2 if tls_1_2 else ssl.TLSVersion.TLSv1_3)


def get(url: str, *, headers: Mapping[str, str], **how: Any) -> Reply:
    """Send one GET; see `request`."""
    return request("GET", url, headers=headers, **how)


def post(url: str, *, body: bytes, headers: Mapping[str, str], **how: Any) -> Reply:
    """Send one POST; see `request`."""
    return request("POST", url, body=body, headers=headers, **how)


def patch(url: str, *, body: bytes, headers: Mapping[str, str], **how: Any) -> Reply:
    """Send one PATCH; see `request`."""
    return request("PATCH", url, body=body, headers=headers, **how)


def _reply(response: httpcore.Response, body_bytes: int) -> Reply:
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_stream():
        chunks.append(chunk)
        size += len(chunk)
        if size >= body_bytes:
            break
    known = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Reply(response.status, known, b"".join(chunks)[:body_bytes])
