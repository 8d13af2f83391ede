"""Secrets at rest: AES-GCM with the row id as associated data.

A sealed value is one version byte, four bytes that name the key, twelve of nonce, then the ciphertext. The keys come
from FIELD_KEYS, newest first; without them one is derived from SECRET_KEY, so that a fresh `make run` needs no set-up.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION = b"\x01"


class CannotUnseal(ValueError):
    """The value was sealed for another row, with a lost key, or was changed."""


def _key(secret: str) -> tuple[bytes, bytes]:
    # The secrets are random and long (32 characters at least), so a plain keyed hash is enough to derive from.
    key = hashlib.blake2b(secret.encode(), digest_size=32, person=b"console-field").digest()
    return hashlib.sha256(key).digest()[:4], key


def _keys() -> list[tuple[bytes, bytes]]:
    configured = list(settings.CONFIG.field_keys)
    return [_key(secret) for secret in (*configured, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def seal(secret: str, row: str) -> bytes:
    """Return the secret sealed for one row with the newest key."""
    name, key = _keys()[0]
    nonce = os.urandom(12)
    return VERSION + name + nonce + AESGCM(key).encrypt(nonce, secret.encode(), row.encode())


def unseal(sealed: bytes, row: str) -> str:
    """Return the secret, or raise CannotUnseal."""
    name, nonce, ciphertext = sealed[1:5], sealed[5:17], sealed[17:]
    key = dict(reversed(_keys())).get(name)
    if sealed[:1] != VERSION or key is None:
        raise CannotUnseal("No configured key opens this secret; is FIELD_KEYS or SECRET_KEY_FALLBACKS complete?")
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, row.encode()).decode()
    except InvalidTag as error:
        raise CannotUnseal("The secret was changed or belongs to another row; enter it again.") from error


def reseal(sealed: bytes, row: str) -> bytes:
    """Return the same secret under the newest key: one step of a key rotation."""
    return seal(unseal(sealed, row), row)
