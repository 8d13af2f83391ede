"""The outbound client's kept-alive half: asks one place again and again, in one event loop with a thousand others.

For places that an admin has configured (scrape targets, service discovery). They may be private; the addresses at which
clouds hand out credentials may not. A name is resolved at each new connection and the connection goes to a checked
address.
"""

import asyncio
import ipaddress
import socket
import ssl
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import httpcore

from aivillage_console.lib.http import Address, Refused, SocketOption, Unreachable, check_url

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
KEEP_SECONDS = 300.0
NEVER = tuple(
    ipaddress.ip_network(block)
    for block in ("0.0.0.0/32", "169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32", "224.0.0.0/4",
                  "ff00::/8", "255.255.255.255/32", "::/128", "192.0.0.192/32")
)  # fmt: skip
CHUNK_BYTES = 64 << 10


class TooMuch(Exception):
    """The body is larger than it may be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a place answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def never(address: Address) -> bool:
    """Say whether an address is one that nobody may have asked, an admin neither."""
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return any(one is not None and one in network for network in NEVER for one in (address, mapped))


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a name; raises Refused where one of them is out of bounds, Unreachable without any."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{host} cannot be resolved") from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    for address in addresses:
        if never(ipaddress.ip_address(address.split("%")[0])):
            raise Refused(f"{host} leads to {address}, a link-local or metadata address that is never asked")
    return addresses


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self) -> None:
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature; the caller's time-out ends all)
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await addresses_of(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, socket_options=socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


_BACKEND = _Backend()


class Puller:
    """One place; it keeps its connection between calls. One call at a time."""

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None, server_name: str = "") -> None:
        """Take a URL and, where it is encrypted, how it is verified."""
        scheme, host, port = check_url(url)
        self.url = url
        self._origin = httpcore.Origin(scheme.encode(), host.encode("idna"), port)
        self._context = context if scheme == "https" else None
        self._extensions = {"sni_hostname": server_name} if server_name and self._context else {}
        self._connection: httpcore.AsyncHTTPConnection | None = None
        self._names_port = port not in (80, 443)

    async def get(
        self, headers: Mapping[str, str], *, body_bytes: int, follow: bool = True, compressed: bool = True
    ) -> Answer:
        """Ask once; raises Refused, Unreachable, TooMuch. The caller bounds the time."""
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(url, headers, body_bytes, compressed=compressed)
            place = answer.headers.get("location", "")
            if answer.status not in REDIRECTS or not place or not follow:
                return answer
            url = urljoin(url, place)
            scheme, host, port = check_url(url)
            if (scheme.encode(), host.encode("idna"), port) != (
                self._origin.scheme, self._origin.host, self._origin.port,
            ):  # fmt: skip
                raise Refused(f"{self.url} redirects to {scheme}://{host}:{port}, another place; name that one instead")
        raise Refused(f"{self.url} redirects more than {MAX_REDIRECTS} times")

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def _ask(self, url: str, headers: Mapping[str, str], body_bytes: int, *, compressed: bool) -> Answer:
        reused = self._ready()
        try:
            return await self._exchange(url, headers, body_bytes, compressed=compressed)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError) as error:
            await self.close()
            if not reused:
                raise Unreachable(str(error) or "the connection ended") from error
        except (httpcore.ConnectError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            await self.close()
            raise Unreachable(str(error) or type(error).__name__) from error
        except BaseException:
            await self.close()
            raise
        # The other side had closed the kept connection meanwhile: nothing was answered, so asking anew repeats nothing.
        return await self._ask(url, headers, body_bytes, compressed=compressed)

    def _ready(self) -> bool:
        connection = self._connection
        if connection is not None and connection.is_available() and not connection.has_expired():
            return True
        self._connection = httpcore.AsyncHTTPConnection(
            self._origin, ssl_context=self._context, keepalive_expiry=KEEP_SECONDS, network_backend=_BACKEND
        )
        return False

    async def _exchange(self, url: str, headers: Mapping[str, str], body_bytes: int, *, compressed: bool) -> Answer:
        connection = self._connection
        if connection is None:
            raise Unreachable("the connection was closed")
        host = self._origin.host.decode()
        host = f"[{host}]" if ":" in host else host
        _, _, rest = url.partition("://")
        slash = rest.find("/")
        target = rest[slash:] if slash >= 0 else "/"
        sent = {
            "host": f"{host}:{self._origin.port}" if self._names_port else host,
            "accept-encoding": "gzip" if compressed else "identity",
            **headers,
        }
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=self._origin.scheme, host=self._origin.host, port=self._origin.port,
                         target=target.partition("#")[0].encode("ascii", "replace")),
            headers=[(name.encode(), value.encode("latin-1", "replace")) for name, value in sent.items()],
            extensions=self._extensions,
        )  # fmt: skip
        response = await connection.handle_async_request(request)
        try:
            known = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            body = await _read(response, body_bytes, zipped=known.get("content-encoding", "") == "gzip")
        finally:
            await response.aclose()
        return Answer(response.status, known, body)


async def _read(response: httpcore.Response, body_bytes: int, *, zipped: bool) -> bytes:
    chunks: list[bytes] = []
    size = 0
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if zipped else None
    async for chunk in response.aiter_stream():
        part = chunk if unzip is None else _unzipped(unzip, chunk, body_bytes - size)
        size += len(part)
        if size > body_bytes:
            raise TooMuch(f"the body is larger than {body_bytes} bytes")
        chunks.append(part)
    if unzip is not None and not unzip.eof:
        raise Unreachable("the compressed body is cut")
    return b"".join(chunks)


def _unzipped(unzip: "zlib._Decompress", chunk: bytes, left: int) -> bytes:
    try:
        part = unzip.decompress(chunk, max(1, left + 1))
    except zlib.error as error:
        raise Unreachable(f"the body is not gzip: {error}") from error
    if unzip.unconsumed_tail:
        raise TooMuch("the body is larger than it may be once decompressed")
    return part


def tls_context(
    *, ca: str = "", cert: str = "", key: str = "", insecure: bool = False, minimum: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return how a destination is verified: its own authorities (a file or PEM), a client certificate (a file)."""
    context = ssl.create_default_context()
    if ca:
        pem = "-----BEGIN" in ca
        context = ssl.create_default_context(cafile=None if pem else ca, cadata=ca if pem else None)
    if cert:
        context.load_cert_chain(cert, key or None)
    if minimum is not None:
        context.minimum_version = minimum
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
