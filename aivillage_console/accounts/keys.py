"""The text of an API token: `obs_<kind>_<30 base62><6 base62 CRC32>`.

30 base62 characters carry 178 bits. The checksum lets a secret scanner recognise a token, and lets a door refuse a
mistyped or invented one without asking the database.
"""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH = 30
CHECKSUM_LENGTH = 6
SHOWN_LENGTH = 6
MAX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Key:
    """A well-formed token, not yet known to exist."""

    kind: str
    prefix: str
    sha256: bytes


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def make(kind: str) -> str:
    """Return a fresh token in plain text."""
    body = f"obs_{kind}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return body + _checksum(body)


def parse(text: str) -> Key | None:
    """Return the key, or None when the text is no token at all."""
    if len(text) > MAX_LENGTH or not text.isascii():
        return None
    mark, _, rest = text.partition("_")
    kind, _, secret = rest.partition("_")
    if mark != "obs" or not kind or not secret.isalnum() or len(secret) != SECRET_LENGTH + CHECKSUM_LENGTH:
        return None
    body, checksum = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    if not secrets.compare_digest(checksum, _checksum(body)):
        return None
    return Key(kind, f"obs_{kind}_{secret[:SHOWN_LENGTH]}", hashlib.sha256(text.encode()).digest())
