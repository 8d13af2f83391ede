"""`/v2/alerts…`: Opsgenie's alert API as its clients call it, as far as it creates and ends alerts."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.lib import clock, outage
from alerts import selectors, services
from alerts.engine.inbound import opsgenie
from alerts.engine.states import WebhookState
from alerts.inbound.calls import Call, Refused, bearer, body_of, known, payload_of, refusal_keep, stored

TOOL = "opsgenie"
ACTIONS = ("close", "acknowledge")
Answer = Callable[[HttpRequest], HttpResponse]


def _answered(request: HttpRequest, methods: tuple[str, ...], answer: Answer) -> HttpResponse:
    began = time.monotonic()
    try:
        if request.method not in methods:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"Only {' and '.join(methods)}.", known=False)
        response = answer(request)
    except Refused as refused:
        response = _refused(request, refused, methods)
    except outage.AWAY:
        response = outage.come_again(_body(HTTPStatus.SERVICE_UNAVAILABLE, message=outage.WORDS))
    took = f',"took":{time.monotonic() - began:.3f}}}'
    response.content = response.content.rstrip()[:-1] + took.encode()
    return response


def _body(status: HTTPStatus, **facts: Any) -> HttpResponse:
    return JsonResponse({"requestId": str(uuid4()), **facts}, status=status)


def _refused(request: HttpRequest, refused: Refused, methods: tuple[str, ...]) -> HttpResponse:
    refusal_keep(request, refused, "/v2/alerts")
    status, reason = refused.status, refused.reason
    if status is HTTPStatus.NOT_FOUND and not refused.known:
        status, reason = HTTPStatus.UNAUTHORIZED, "The API key belongs to no integration."
    response = _body(status, message=reason)
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(methods)
    if refused.retry_after_seconds:
        response.headers["Retry-After"] = str(int(refused.retry_after_seconds) + 1)
    return response


def _call(request: HttpRequest) -> Call:
    now = clock.now()
    integration = known(request, TOOL, bearer(request), now)
    body = body_of(request) or b"{}"
    return Call(integration=integration, body=body, payload=payload_of(body), now=now)


def _taken(call: Call, message: services.Message) -> HttpResponse:
    row, _, _ = stored(call, message)
    return _body(HTTPStatus.ACCEPTED, result="Request will be processed", requestId=str(row.request_id))


@csrf_exempt
def alerts_door(request: HttpRequest) -> HttpResponse:
    """Create an alert: 202 with the id of the request; the same alias again is the same alert."""
    return _answered(request, ("POST",), _create)


def _create(request: HttpRequest) -> HttpResponse:
    call = _call(request)
    problems = opsgenie.problems(call.payload)
    if problems:
        errors = {problem.partition(" ")[0]: problem for problem in problems}
        refusal_keep(request, Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(problems)), "/v2/alerts")
        text = "Request body is not processable. Please check the errors."
        return _body(HTTPStatus.UNPROCESSABLE_ENTITY, message=text, errors=errors)
    alias = call.payload.get("alias") or uuid4().hex
    return _taken(call, services.Message(body=call.body, event="create", key=str(alias)))


@csrf_exempt
def alert_door(request: HttpRequest, identifier: str) -> HttpResponse:
    """Delete an alert, which ends it here."""
    return _answered(request, ("DELETE",), lambda request: _act(request, identifier, "delete"))


@csrf_exempt
def action_door(request: HttpRequest, identifier: str, action: str) -> HttpResponse:
    """Close or acknowledge an alert."""
    return _answered(request, ("POST",), lambda request: _act(request, identifier, action))


def _act(request: HttpRequest, identifier: str, action: str) -> HttpResponse:
    call = _call(request)
    if action not in (*ACTIONS, "delete"):
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f"The console takes {' and '.join(ACTIONS)}, not {action[:60]}.")
    key = identifier
    if request.GET.get("identifierType") == "tiny":
        key = selectors.inbound_key_of(call.integration, identifier) or identifier
    elif request.GET.get("identifierType", "id") == "id":
        # To these clients the id of an alert is what its request was answered with.
        key = selectors.inbound_key_of_request(call.integration, identifier) or identifier
    return _taken(call, services.Message(body=call.body, event=action, key=key))


def request_door(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Say what became of a request."""
    return _answered(request, ("GET",), lambda request: _status(request, request_id))


def _status(request: HttpRequest, request_id: UUID) -> HttpResponse:
    integration = known(request, TOOL, bearer(request), clock.now())
    row = selectors.inbound_message(integration, request_id)
    if row is None:
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such request.")
    done = row.state == WebhookState.DONE.value
    facts = {
        "success": done, "isSuccess": done, "action": row.event.capitalize(), "status": row.outcome or "Waiting",
        "processedAt": row.processed_at, "integrationId": str(integration.pk), "alertId": str(row.request_id),
        "alias": row.key,
    }  # fmt: skip
    return _body(HTTPStatus.OK, data=orjson.loads(orjson.dumps(facts)), requestId=str(row.request_id))
