"""What every door for other tools does: who calls, how much, is it JSON, is it signed; then store it and say so."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import orjson
import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from aivillage_console.accounts.authentication import client_ip
from aivillage_console.lib import clock
from aivillage_console.lib.ratelimit import Buckets, Limit
from aivillage_console.lib.sealing import CannotUnseal
from alerts import services
from alerts.engine.inbound.told import Reading, Unreadable
from alerts.engine.inbound.tools import TOOLS
from alerts.models import InboundMessage, Integration
from metrics.services import refused_request_keep

BODY_BYTES = 1_000_000
CHUNK_BYTES = 1 << 16
MAX_DEPTH = 32
LONGEST_ID, LONGEST_EVENT, MOST_FIELDS = 128, 100, 200
FORM_TYPE = "application/x-www-form-urlencoded"
WRONG_COST = 9.0
ADDRESSES = Buckets(Limit(per_second=20, burst=600))
SENDERS = Buckets(Limit(per_second=50, burst=3000))
# Where senders put the HMAC-SHA256 of the body.
SIGNATURES = (
    "X-Hub-Signature-256", "X-Signature-256", "X-Grafana-Alerting-Signature", "X-PagerDuty-Signature", "X-Signature",
)  # fmt: skip
log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Refused(Exception):
    """The call is refused; each door says so as its clients expect."""

    status: HTTPStatus
    reason: str
    retry_after_seconds: float = 0
    known: bool = True  # An integration that there is: its refusals are shown on the Setup page.
    source_id: Any = None


class _TwiceError(ValueError):
    """A name occurs twice in one object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call whose sender is known and whose body is JSON."""

    integration: Integration
    body: bytes
    payload: Any
    now: datetime


def posted(request: HttpRequest, tool: str, token: str | None = None) -> Call:
    """Return the call of an integration known by its token, or raise Refused."""
    now = clock.now()
    _within(ADDRESSES, client_ip(request) or "", now)
    if token is None:
        token = bearer(request)
    integration = known(request, tool, token, now)
    try:
        return _call(request, integration, now)
    except Refused as refused:
        refused.source_id = integration.source_id
        raise


def known(request: HttpRequest, tool: str, token: str, now: datetime) -> Integration:
    """Return the integration of a token; whoever guesses pays for it."""
    integration = services.integration_of(token, tool)
    if integration is None:
        ADDRESSES.take(client_ip(request) or "", now_seconds=now.timestamp(), cost=WRONG_COST)
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such integration.", known=False)
    _within(SENDERS, str(integration.pk), now)
    return integration


def _call(request: HttpRequest, integration: Integration, now: datetime) -> Call:
    body = body_of(request)
    _check_signature(request, integration, body)
    text = json_of(body, request.content_type or "")
    return Call(integration=integration, body=text, payload=payload_of(text), now=now)


def bearer(request: HttpRequest) -> str:
    """Return the token of the header, as a bearer or under any other scheme of one word."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "geniekey", "token") else ""


def _within(buckets: Buckets, key: str, now: datetime) -> None:
    wait_seconds = buckets.take(key, now_seconds=now.timestamp())
    if wait_seconds:
        raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "Too many calls; come again later.", wait_seconds, known=False)


def body_of(request: HttpRequest) -> bytes:
    """Return the body, if it is within its bounds."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    too_large = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {BODY_BYTES} bytes.")
    if declared.isdecimal() and int(declared) > BODY_BYTES:
        raise too_large
    parts: list[bytes] = []
    try:
        while chunk := request.read(CHUNK_BYTES):
            parts.append(chunk)
            if sum(map(len, parts)) > BODY_BYTES:
                raise too_large
    except (UnreadablePostError, RequestDataTooBig):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body ended before its declared length.") from None
    return b"".join(parts)


def _check_signature(request: HttpRequest, integration: Integration, body: bytes) -> None:
    """Refuse what is not signed, where the integration has a secret; some tools show the secret itself."""
    if not integration.has_secret:
        return
    try:
        secret = integration.unseal()
    except CannotUnseal:
        log.exception("integration.sealed", integration=str(integration.pk))
        text = "The integration's secret cannot be read; set it again."
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, text) from None
    header = TOOLS[integration.tool].token_header
    if header:
        if not _same(secret, request.headers.get(header, "")):
            raise Refused(HTTPStatus.UNAUTHORIZED, f"{header} is missing or is not the integration's secret.")
        return
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    shown = [part for name in SIGNATURES for part in request.headers.get(name, "").split(",")]
    if not any(_same(expected, part.strip().rpartition("=")[2]) for part in shown):
        text = "The body must be signed: X-Signature-256 with sha256=<hex HMAC-SHA256 of the body under the secret>."
        raise Refused(HTTPStatus.UNAUTHORIZED, text)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def json_of(body: bytes, content_type: str) -> bytes:
    """Return the JSON of a body; a form is an object of its fields, or holds the JSON in its field `payload`."""
    if content_type != FORM_TYPE:
        return body
    try:
        fields = dict(parse_qsl(body.decode(), strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST, "The form cannot be read.") from None
    return fields["payload"].encode() if list(fields) == ["payload"] else orjson.dumps(fields)


def payload_of(text: bytes) -> Any:
    """Return what a body says: JSON in UTF-8, no name twice, and not too deep."""
    try:
        orjson.loads(text)  # Stricter about numbers and characters, and what the message is read with afterwards.
        payload = json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        text_of = f"The name {str(error)[:60]!r} occurs twice in one object."
        raise Refused(HTTPStatus.BAD_REQUEST, text_of) from None
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The body is not JSON in UTF-8: {str(error)[:100]}") from None
    if not isinstance(payload, Mapping | list):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body is neither a JSON object nor a list of such.")
    level: list[Any] = [payload]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _inside(each)]
    if level:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The JSON is nested deeper than {MAX_DEPTH} levels.")
    return payload


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one name could see two things.
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = value
    return found


def stored(call: Call, message: services.Message) -> tuple[InboundMessage, bool, Reading]:
    """Store the message if anything can be made of it; what was stored is dealt with at once, by another hand."""
    hints = services.hints_of(call.integration, event=message.event, key=message.key)
    try:
        reading = services.reading_of(call.integration, call.payload, hints)
    except Unreadable as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error), source_id=call.integration.source_id) from None
    row, fresh = services.message_keep(call.integration, message, now=call.now)
    return row, fresh, reading


def header_text(request: HttpRequest, name: str, longest: int) -> str:
    """Return a header fit to be stored, cut to its column; empty where it is not sent."""
    value = request.headers.get(name, "") if name else ""
    return value[:longest] if value.isascii() and value.isprintable() else ""


def refusal_keep(request: HttpRequest, refused: Refused, path: str) -> None:
    """Keep a refusal for the Setup page; the path is given without its token."""
    if not refused.known:
        return
    agent = request.headers.get("User-Agent", "")
    refused_request_keep(
        door="hooks", status=refused.status, reason=refused.reason, source_id=refused.source_id, now=clock.now(),
        ip=client_ip(request), excerpt=f"{request.method} {path} {request.content_type} {agent}"[:500],
    )  # fmt: skip
