"""Reads a request body with bounds: on the wire, while it is decoded, and on what the sender may claim."""

import re
import zlib

import cramjam
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from metrics.ingest.refusals import Refusal
from metrics.wire import remote_write
from metrics.wire.errors import TooLarge, WireError

CHUNK = 1 << 16
MAX_ZSTD_WINDOW_BYTES = 8 << 20
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ESCAPE = re.compile(  # noqa: TID251 - our own
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _too_large(limit: int, what: str) -> Refusal:
    return Refusal(413, f"the {what} is larger than {limit} bytes", "too_large")


def read_bounded(request: HttpRequest, limit: int) -> bytes:
    """Return the body as it came over the wire, reading no further than the limit."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit, "body")
    parts: list[bytes] = []
    total = 0
    try:
        while chunk := request.read(CHUNK):
            total += len(chunk)
            if total > limit:
                raise _too_large(limit, "body")
            parts.append(chunk)
    except UnreadablePostError:
        raise Refusal(400, "the body ended before its declared length", "bad_body") from None
    return b"".join(parts)


def _gunzip(body: bytes, limit: int) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    try:
        decoded = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise Refusal(400, "the body is not gzip", "bad_body") from None
    if len(decoded) > limit:
        raise _too_large(limit, "decoded body")
    if not decoder.eof:
        raise Refusal(400, "the gzip body is cut off", "bad_body")
    return decoded


def _zstd_window(body: bytes) -> int:
    """Return the window a frame asks for; a decoder would reserve that much memory before the first byte."""
    if not body.startswith(_ZSTD_MAGIC) or len(body) < 6:
        raise Refusal(400, "the body is not zstd", "bad_body")
    if body[4] & 0x20:  # a single segment: the window is the content
        return 0
    exponent, mantissa = body[5] >> 3, body[5] & 7
    base = 1 << (10 + exponent)
    return base + base // 8 * mantissa


def _unzstd(body: bytes, limit: int) -> bytes:
    if _zstd_window(body) > MAX_ZSTD_WINDOW_BYTES:
        raise Refusal(413, f"the zstd window is larger than {MAX_ZSTD_WINDOW_BYTES} bytes", "too_large")
    buffer = cramjam.Buffer(bytearray(limit + 1))
    try:
        size = cramjam.zstd.decompress_into(body, buffer)
    except cramjam.DecompressionError as error:
        if "buffer" in str(error).lower():
            raise _too_large(limit, "decoded body") from None
        raise Refusal(400, "the body is not zstd", "bad_body") from None
    if size > limit:
        raise _too_large(limit, "decoded body")
    buffer.seek(0)
    return bytes(buffer.read(size))


def _unsnappy(body: bytes, limit: int) -> bytes:
    try:
        return remote_write.decompress(body, max_bytes=limit)
    except TooLarge as error:
        # A declared length is a claim: the request is malformed, not merely big.
        raise Refusal(400, str(error), "too_large") from None
    except WireError as error:
        raise Refusal(400, str(error), "bad_body") from None


DECODERS = {"gzip": _gunzip, "zstd": _unzstd, "snappy": _unsnappy}


def decode_body(body: bytes, encoding: str, *, limit: int) -> bytes:
    """Undo one content encoding, never producing more than the limit."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        if len(body) > limit:
            raise _too_large(limit, "body")
        return body
    if encoding not in DECODERS:
        raise Refusal(415, f"the content encoding {encoding[:40]!r} is not taken", "encoding")
    return DECODERS[encoding](body, limit)


def lone_surrogates_spoiled(body: bytes) -> bytes:
    """Return JSON whose escapes of half a character are bytes of no character: those fail in their row alone.

    As an escape, half a character fails whoever reads past it, so one row would take the whole batch with it.
    """
    return _ESCAPE.sub(lambda found: b"\xff" if found["lone"] else found[0], body)


def lone_surrogates_replaced(body: bytes) -> bytes:
    """Return JSON whose escapes of half a character are escapes of the replacement character."""
    return (
        _ESCAPE.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], body) if b"\\ud" in body.lower() else body
    )
