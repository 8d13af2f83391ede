"""`/api/v2/alerts`: lists alerts, and takes ready-made alerts as Prometheus and amtool send them to Alertmanager."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from aivillage_console.accounts import authentication
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, outage
from alerts import services
from alerts.compat.alerts_shown import alerts_view
from alerts.services.intake import Incoming
from metrics.services import refused_request_keep

MOST_ALERTS = 256
BODY_BYTES = 4_000_000
MOST_LABELS = 64
LONGEST_VALUE = 4096
LONGEST_TEXT = 65_536
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251
SCOPE = "ingest:alerts"
# Grafana and Prometheus send the zero time for "not over yet".
NO_TIME = datetime(1, 1, 1, tzinfo=UTC)


class BadAlert(ValueError):
    """One alert of the array cannot be taken; the others are."""


@dataclass(eq=False)
class _Refused(Exception):
    status: HTTPStatus
    message: str
    source_id: UUID | None = None


def _away() -> JsonResponse:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"code": int(status), "message": outage.WORDS}, status=status)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def alerts_door(request: HttpRequest) -> HttpResponse:
    """List open alerts, or take ready-made ones."""
    return _alerts_taken(request) if request.method == "POST" else alerts_view(request)


@outage.answered_when_away(_away)
def _alerts_taken(request: HttpRequest) -> HttpResponse:
    """Answer 200 once every good alert is committed; 400 names the bad ones, whose neighbours are kept."""
    now = clock.now()
    try:
        _take(request, now)
    except _Refused as refused:
        agent = request.headers.get("User-Agent", "")
        refused_request_keep(
            door="alerts", status=refused.status, reason=refused.message, source_id=refused.source_id, now=now,
            ip=authentication.client_ip(request), excerpt=f"POST {request.path} {request.content_type} {agent}",
        )  # fmt: skip
        return JsonResponse({"code": int(refused.status), "message": refused.message}, status=refused.status)
    return JsonResponse({})


def _take(request: HttpRequest, now: datetime) -> None:
    try:
        token = authentication.authenticate_request(request, scope=SCOPE)
    except authentication.TokenRefused as error:
        raise _Refused(HTTPStatus.UNAUTHORIZED, str(error)) from None
    except PermissionError as error:
        raise _Refused(HTTPStatus.FORBIDDEN, str(error)) from None
    try:
        good, problems = _sorted(_items(request))
    except _Refused as refused:
        refused.source_id = token.source_id
        raise
    services.alerts_intake(good, source_id=token.source_id, actor=Actor.of_token(token), now=now)
    if problems:
        text = f"{len(good)} taken, {len(problems)} refused: {'; '.join(problems[:10])}"
        raise _Refused(HTTPStatus.BAD_REQUEST, text, token.source_id)


def _items(request: HttpRequest) -> list[Any]:
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_BYTES:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {BODY_BYTES} bytes.")
    try:
        items = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"The body is not JSON: {error}.") from None
    if not isinstance(items, list):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body must be a JSON array of alerts.")
    if len(items) > MOST_ALERTS:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"More than {MOST_ALERTS} alerts in one call.")
    return items


def _sorted(items: list[Any]) -> tuple[list[Incoming], list[str]]:
    good, problems = [], []
    for number, item in enumerate(items):
        try:
            good.append(incoming_from(item))
        except BadAlert as error:
            problems.append(f"alert {number}: {error}")
    return good, problems


def incoming_from(item: Any) -> Incoming:
    """Return one alert of the array, or raise BadAlert."""
    if not isinstance(item, Mapping):
        raise BadAlert("is not an object")
    labels = {name: value for name, value in _texts(item, "labels", LONGEST_VALUE).items() if value}
    if not labels.get("alertname"):
        raise BadAlert("has no label alertname")
    if len(labels) > MOST_LABELS:
        raise BadAlert(f"has more than {MOST_LABELS} labels")
    starts_at, ends_at = _time(item, "startsAt"), _time(item, "endsAt")
    if starts_at and ends_at and ends_at < starts_at:
        raise BadAlert("ends before it starts")
    url = item.get("generatorURL") or ""
    return Incoming(
        labels=labels, annotations=_texts(item, "annotations", LONGEST_TEXT), starts_at=starts_at, ends_at=ends_at,
        generator_url=url[:2000] if isinstance(url, str) and url.startswith(("http://", "https://")) else "",
    )  # fmt: skip


def _texts(item: Mapping[str, Any], key: str, longest: int) -> dict[str, str]:
    value = item.get(key) or {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadAlert(f"{key} is not a map of texts")
    for name, text in value.items():
        if not LABEL_NAME.fullmatch(name):
            raise BadAlert(f"{name[:60]!r} is not a label name")
        if len(text) > longest or "\x00" in text:
            raise BadAlert(f"the value of {name[:60]} is too long or holds a NUL")
    return value


def _time(item: Mapping[str, Any], key: str) -> datetime | None:
    value = item.get(key)
    if value is None or value == "":
        return None
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None:
        raise BadAlert(f"{key} is not an RFC 3339 time")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return None if at == NO_TIME else at
