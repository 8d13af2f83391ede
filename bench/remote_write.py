"""A fast sender of Prometheus remote write: requests are built by overwriting times and values in one template."""

import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cramjam
import numpy as np
import numpy.typing as npt

TIME_BYTES = 6  # a varint of milliseconds since 1970, until the year 2109
Labels = dict[str, str]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _series(labels: Labels) -> bytes:
    pairs = [_field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in sorted(labels.items())]
    sample = b"\x09" + bytes(8) + b"\x10" + bytes(TIME_BYTES)
    return _field(1, b"".join(pairs) + _field(2, sample))


class Template:
    """The request of some series with one sample each."""

    def __init__(self, series: Sequence[Labels]) -> None:
        """Build the bytes and note where times and values are."""
        parts = [_series(labels) for labels in series]
        self.size = len(parts)
        self._raw = np.frombuffer(b"".join(parts), np.uint8).copy()
        ends = np.cumsum([len(part) for part in parts])
        self._times = ends[:, None] - TIME_BYTES + np.arange(TIME_BYTES)
        self._values = ends[:, None] - TIME_BYTES - 9 + np.arange(8)

    def body(self, time_ms: int, values: npt.NDArray[np.float64]) -> bytes:
        """Return the compressed request with this time and these values."""
        self._raw[self._times] = np.frombuffer(_varint(time_ms), np.uint8)
        self._raw[self._values] = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
        return bytes(cramjam.snappy.compress_raw(self._raw.tobytes()))


def bodies(series: Sequence[Labels], columns: npt.NDArray[np.float64], times: Sequence[int], size: int) -> list[bytes]:
    """Return the requests of `size` samples, one time after the other; `columns` has a row a series."""
    slices = [slice(start, start + size) for start in range(0, len(series), size)]
    templates = [Template(series[part]) for part in slices]
    return [
        template.body(time_ms, columns[part, step])
        for step, time_ms in enumerate(times)
        for template, part in zip(templates, slices, strict=True)
    ]


def history(series: Iterable[tuple[Labels, Sequence[tuple[int, float]]]]) -> bytes:
    """Return the request that sends these samples."""
    parts = []
    for labels, samples in series:
        pairs = [
            _field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in sorted(labels.items())
        ]
        points = [_field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at)) for at, value in samples]
        parts.append(_field(1, b"".join(pairs + points)))
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send."""

    port: int
    path: str = "/api/v1/write"
    token: str = ""

    def head(self, size: int) -> bytes:
        """Return the head of a request."""
        lines = [
            f"POST {self.path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/x-protobuf",
            "Content-Encoding: snappy", "X-Prometheus-Remote-Write-Version: 0.1.0", f"Content-Length: {size}",
            *([f"Authorization: Bearer {self.token}"] if self.token else []),
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _answer(peer: socket.socket) -> tuple[int, bytes]:
    got = b""
    while b"\r\n\r\n" not in got:
        more = peer.recv(65_536)
        if not more:
            raise ConnectionError("closed while an answer was awaited")
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(rest) < int(lengths[0].partition(b":")[2]):
        rest += peer.recv(65_536)
    return int(head.split(b" ", 2)[1]), rest


def send(target: Target, requests: Sequence[bytes], *, connections: int) -> None:
    """Send every request once, each connection its share in turn; raises where one was not taken."""
    refused: list[str] = []
    taken: list[bytes] = []

    def run(share: Sequence[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", target.port)) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for body in share:
                peer.sendall(target.head(len(body)) + body)
                status, text = _answer(peer)
                if status >= 300:
                    refused.append(f"{status} {text[:200]!r}")
                taken.append(body)

    shares = [requests[number::connections] for number in range(connections)]
    threads = [threading.Thread(target=run, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused or len(taken) != len(requests):
        raise RuntimeError(f"of {len(requests)} requests {len(taken)} were answered, {len(refused)} no: {refused[:1]}")
