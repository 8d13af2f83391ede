"""The shortest way through the remote-write door: a token seen moments ago, and the series its sender sent before.

Whatever is otherwise, even a little, is left to the door, which knows what to say; so nothing is refused here.
"""

import io
from typing import Any

from django.db import InterfaceError, OperationalError

from aivillage_console.accounts.authentication import remembered_token
from aivillage_console.accounts.models import ApiToken
from metrics.ingest.arrival import ARRIVAL
from metrics.ingest.doors import COUNTED, disk_guard, written_count
from metrics.ingest.refusals import Refusal
from metrics.ingest.rows import gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import COMMITS, TABLE, store_samples
from metrics.store.columns import Samples
from metrics.wire import remote_write

MOST_BYTES = 4 << 20
SCOPE = "ingest:metrics"
MEDIA_TYPES = frozenset({"application/x-protobuf", "application/x-protobuf;proto=prometheus.WriteRequest"})
Environ = dict[str, Any]


def taken(environ: Environ) -> bool:
    """Store the samples of a request and return True once they are committed; False leaves it to the door as it was."""
    token, size = _token(environ), _size(environ)
    if token is None or token.source is None or not size:
        return False
    try:
        disk_guard().check()
        gate().take_request(token.source.pk)
        # The door does not count it a second time.
        environ[COUNTED] = token.source.pk
        body = _body(environ, size)
        with COMMITS.coming():
            return _stored(body, token)
    except (Refusal, OperationalError, InterfaceError):
        return False


def _token(environ: Environ) -> ApiToken | None:
    if (
        environ["REQUEST_METHOD"] != "POST"
        or environ.get("QUERY_STRING")
        or environ.get("HTTP_CONTENT_ENCODING") != "snappy"
        or environ.get("CONTENT_TYPE") not in MEDIA_TYPES
    ):
        return None
    scheme, _, plain = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = remembered_token(plain) if scheme == "Bearer" else None
    return token if token is not None and SCOPE in token.scopes else None


def _size(environ: Environ) -> int:
    """Return the declared length of the body, 0 where it is not declared or too large for this way."""
    declared = environ.get("CONTENT_LENGTH") or ""
    size = int(declared) if declared.isdecimal() else 0
    return size if size <= MOST_BYTES else 0


def _body(environ: Environ, size: int) -> bytes:
    """Return the body, and leave it to be read again."""
    source, body = environ["wsgi.input"], b""
    while len(body) < size and (more := source.read(size - len(body))):
        body = body + more if body else more
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _stored(body: bytes, token: ApiToken) -> bool:
    found = remote_write.decode_repeated(body, TABLE)
    if found is None or token.source is None:
        return False
    now = ARRIVAL.now()
    window = Window.at(now, backfill="backfill" in token.scopes)
    if found.first_ms < window.low_ms or found.newest_ms > window.high_ms:
        return False
    gate().take_samples(token.source.pk, found.values.size)
    written = store_samples(Samples(found.series_ids, found.timestamps_ms, found.values), window)
    written_count("remote_write", token.source.name, written, now)
    return True
