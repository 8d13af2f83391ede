"""`POST /hooks/github/<uuid>/`: checks the signature, stores the message and answers; it is dealt with afterwards.

GitHub waits ten seconds and sends nothing again by itself, so the answer does no more than it must.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.accounts.authentication import client_ip
from aivillage_console.lib import clock, outage, problem
from aivillage_console.lib.ratelimit import Buckets, Limit
from aivillage_console.lib.sealing import CannotUnseal
from alerts import services
from alerts.models import InboundHook
from metrics.services import refused_request_keep

BODY_BYTES = 1_000_000
CHUNK_BYTES = 1 << 16
LONGEST_ID = 64
LONGEST_EVENT = 40
JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"
# Whoever calls with wrong signatures pays ten times; what is signed counts for its webhook, whatever the address.
WRONG_COST = 9.0
ADDRESSES = Buckets(Limit(per_second=10, burst=300))
SIGNED = Buckets(Limit(per_second=20, burst=600))
log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Refused(Exception):
    status: HTTPStatus
    reason: str
    retry_after_seconds: float = 0
    known: bool = True  # A webhook that there is: its refusals are shown on the Setup page.


class _TwiceError(ValueError):
    """A name occurs twice in one object."""


@csrf_exempt
def github_door(request: HttpRequest, hook_id: UUID) -> HttpResponse:
    """Answer 202 once a message is stored and 200 where it was before; 404 also where no secret is set."""
    try:
        response = _answered(request, hook_id)
    except outage.AWAY:
        response = outage.come_again(_problem(HTTPStatus.SERVICE_UNAVAILABLE, outage.WORDS))
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


def _answered(request: HttpRequest, hook_id: UUID) -> HttpResponse:
    try:
        return _answer(request, hook_id)
    except _Refused as refused:
        return _refusal(request, refused)


def _answer(request: HttpRequest, hook_id: UUID) -> HttpResponse:
    if request.method != "POST":
        raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "A webhook is called by POST.", known=False)
    now = clock.now()
    _within(ADDRESSES, client_ip(request) or "", now.timestamp())
    hook, secret = _hook(hook_id)
    body = _body(request)
    if not _signed(body, secret, request.headers.get("X-Hub-Signature-256", "")):
        ADDRESSES.take(client_ip(request) or "", now_seconds=now.timestamp(), cost=WRONG_COST)
        raise _Refused(
            HTTPStatus.UNAUTHORIZED,
            "X-Hub-Signature-256 is missing or is not the HMAC-SHA256 of this body under the webhook's secret.",
        )
    _within(SIGNED, str(hook.pk), now.timestamp())
    delivery = services.Delivery(
        delivery_id=_header(request, "X-GitHub-Delivery", LONGEST_ID),
        event=_header(request, "X-GitHub-Event", LONGEST_EVENT),
        body=_checked(_json_of(body, request.content_type or "")),
    )
    kept = services.webhook_keep(hook, delivery, now=now)
    status = HTTPStatus.OK if kept is services.Kept.DUPLICATE else HTTPStatus.ACCEPTED
    return JsonResponse({"status": str(kept), "delivery": delivery.delivery_id}, status=status)


def _within(buckets: Buckets, key: str, now_seconds: float) -> None:
    wait_seconds = buckets.take(key, now_seconds=now_seconds)
    if wait_seconds:
        raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "Too many calls; come again later.", wait_seconds, known=False)


def _hook(hook_id: UUID) -> tuple[InboundHook, str]:
    hook = InboundHook.objects.filter(pk=hook_id, type="github", enabled=True).first()
    try:
        secret = hook.unseal() if hook else ""
    except CannotUnseal:
        log.exception("hook.sealed", hook=str(hook_id))
        text = "The webhook's secret cannot be read; set it again."
        raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, text) from None
    if hook is None or not secret:
        raise _Refused(HTTPStatus.NOT_FOUND, "There is no such webhook.", known=False)
    return hook, secret


def _body(request: HttpRequest) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    too_large = _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {BODY_BYTES} bytes.")
    if declared.isdecimal() and int(declared) > BODY_BYTES:
        raise too_large
    if (request.content_type or "") not in (JSON_TYPE, FORM_TYPE):
        raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON_TYPE} or {FORM_TYPE}, as GitHub does.")
    parts: list[bytes] = []
    try:
        while chunk := request.read(CHUNK_BYTES):
            parts.append(chunk)
            if sum(map(len, parts)) > BODY_BYTES:
                raise too_large
    except (UnreadablePostError, RequestDataTooBig):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body ended before its declared length.") from None
    return b"".join(parts)


def _signed(body: bytes, secret: str, given: str) -> bool:
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _header(request: HttpRequest, name: str, longest: int) -> str:
    value = request.headers.get(name, "")
    if not 0 < len(value) <= longest or not value.isascii() or not value.isprintable():
        raise _Refused(HTTPStatus.BAD_REQUEST, f"The header {name} is missing, or longer than {longest} characters.")
    return value


def _json_of(body: bytes, content_type: str) -> bytes:
    """Return the JSON of a body; GitHub's older kind of webhook sends it as the one field of a form."""
    if content_type == JSON_TYPE:
        return body
    try:
        fields = parse_qs(body.decode(), strict_parsing=True, errors="strict", max_num_fields=2)
    except ValueError:
        fields = {}
    if list(fields) != ["payload"] or len(fields["payload"]) != 1:
        raise _Refused(HTTPStatus.BAD_REQUEST, "The form does not hold exactly one field, payload.")
    return fields["payload"][0].encode()


def _checked(text: bytes) -> bytes:
    try:
        orjson.loads(text)  # Stricter about numbers and characters, and what the message is read with afterwards.
        payload = json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"The name {str(error)[:60]!r} occurs twice in one object.") from None
    except (ValueError, RecursionError):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body is not JSON in UTF-8, or nests too deeply.") from None
    if not isinstance(payload, Mapping):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body is not a JSON object.")
    return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers of one name could see two things.
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = value
    return found


def _refusal(request: HttpRequest, refused: _Refused) -> HttpResponse:
    if refused.known:
        agent = request.headers.get("User-Agent", "")
        refused_request_keep(
            door="hooks", status=refused.status, reason=refused.reason, source_id=None, now=clock.now(),
            ip=client_ip(request), excerpt=f"POST {request.path} {request.content_type} {agent}"[:500],
        )  # fmt: skip
    response = _problem(refused.status, refused.reason)
    if refused.status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "POST"
    if refused.retry_after_seconds:
        response.headers["Retry-After"] = str(int(refused.retry_after_seconds) + 1)
    return response


def _problem(status: HTTPStatus, detail: str) -> HttpResponse:
    return JsonResponse(problem.body(status, detail), status=status, content_type=problem.CONTENT_TYPE)
