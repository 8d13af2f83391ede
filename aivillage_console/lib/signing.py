"""Standard Webhooks signatures, made and checked by the published library."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks.webhooks import Webhook

PREFIX = "whsec_"


def new_secret() -> str:
    """Return a fresh signing secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_problem(secret: str) -> str:
    """Return what is wrong with a signing secret, or an empty text."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        return "A signing secret is whsec_ followed by base64."
    return "" if 24 <= len(key) <= 64 else "A signing secret holds 24 to 64 bytes."


def headers(*, message_id: str, at: datetime, body: str, keys: Sequence[str]) -> dict[str, str]:
    """Return the three headers; with two keys, during a rotation, both signatures are sent."""
    signatures = " ".join(Webhook(key).sign(message_id, at, body) for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures,
    }
