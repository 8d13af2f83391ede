"""`POST /v2/enqueue` and `/v2/change/enqueue`: events as PagerDuty's clients send them, answered as they expect."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.lib import clock, outage
from alerts import services
from alerts.engine.inbound import pagerduty
from alerts.inbound.calls import Call, Refused, body_of, known, payload_of, refusal_keep, stored

TOOL = "pagerduty"
WORDS = {
    HTTPStatus.TOO_MANY_REQUESTS: "throttle exceeded", HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "invalid event",
}  # fmt: skip


@csrf_exempt
@outage.answered_when_away(lambda: _body(HTTPStatus.SERVICE_UNAVAILABLE, [outage.WORDS]))
def enqueue(request: HttpRequest) -> HttpResponse:
    """Take an event: 202 with its key, by which it is acknowledged and resolved."""
    return _answered(request, pagerduty.problems, _event)


@csrf_exempt
@outage.answered_when_away(lambda: _body(HTTPStatus.SERVICE_UNAVAILABLE, [outage.WORDS]))
def enqueue_change(request: HttpRequest) -> HttpResponse:
    """Take a change: something that was done on purpose, which pages nobody."""
    return _answered(request, pagerduty.change_problems, _change)


def _answered(
    request: HttpRequest, check: Callable[[Any], list[str]], answer: Callable[[Call], HttpResponse]
) -> HttpResponse:  # fmt: skip
    try:
        if request.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Events are sent by POST.", known=False)
        body = body_of(request)
        payload = payload_of(body)
        problems = check(payload)
        key = payload.get("routing_key") if isinstance(payload, dict) else None
        key = key or request.headers.get("X-Routing-Key", "")
        integration = known(request, TOOL, key if isinstance(key, str) else "", clock.now())
        if problems:
            text = "; ".join(problems)
            raise Refused(HTTPStatus.BAD_REQUEST, text, source_id=integration.source_id)
        return answer(Call(integration=integration, body=_without_key(payload), payload=payload, now=clock.now()))
    except Refused as refused:
        return _refused(request, refused)


def _without_key(payload: dict[str, Any]) -> bytes:
    # What is stored is shown to people; the key is a secret.
    return orjson.dumps({name: value for name, value in payload.items() if name != "routing_key"})


def _event(call: Call) -> HttpResponse:
    key = call.payload.get("dedup_key") or uuid4().hex
    stored(call, services.Message(body=call.body, event=call.payload["event_action"], key=key))
    answer = {"status": "success", "message": "Event processed", "dedup_key": key}
    return JsonResponse(answer, status=HTTPStatus.ACCEPTED)


def _change(call: Call) -> HttpResponse:
    stored(call, services.Message(body=call.body, event="change"))
    answer = {"status": "success", "message": "Change event processed"}
    return JsonResponse(answer, status=HTTPStatus.ACCEPTED)


def _refused(request: HttpRequest, refused: Refused) -> HttpResponse:
    refusal_keep(request, refused, request.path)
    status, errors = refused.status, refused.reason.split("; ")
    if status is HTTPStatus.NOT_FOUND:
        # A wrong key is a fault of the event to these clients, which would try again after anything else.
        status, errors = HTTPStatus.BAD_REQUEST, ["'routing_key' belongs to no integration"]
    response = _body(status, errors)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "POST"
    if refused.retry_after_seconds:
        response.headers["Retry-After"] = str(int(refused.retry_after_seconds) + 1)
    return response


def _body(status: HTTPStatus, errors: list[str]) -> HttpResponse:
    word = WORDS.get(status, "invalid event")
    message = "Event object is invalid" if word == "invalid event" else errors[0]
    return JsonResponse({"status": word, "message": message, "errors": errors}, status=status)
