"""`POST /hooks/<tool>/<token>/`, or the token as a bearer, and OnCall's `/integrations/v1/<type>/<token>/`."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.lib import outage, problem
from alerts import services
from alerts.engine.inbound.tools import TOOLS
from alerts.inbound.calls import LONGEST_EVENT, LONGEST_ID, Refused, header_text, posted, refusal_keep, stored

# What OnCall calls its integrations.
ONCALL = {
    "formatted_webhook": "oncall", "alertmanager": "alertmanager", "grafana_alerting": "grafana", "grafana": "grafana",
    "legacy_grafana_alerting": "grafana", "webhook": "generic",
}  # fmt: skip
# These have addresses of their own.
ELSEWHERE = ("pagerduty", "opsgenie")


@csrf_exempt
def tool_door(request: HttpRequest, tool: str, token: str | None = None) -> HttpResponse:
    """Answer 202 once a message is stored, 200 where it was before, and a problem with what to do about it."""
    try:
        response = _answered(request, tool, token)
    except outage.AWAY:
        response = outage.come_again(_problem(HTTPStatus.SERVICE_UNAVAILABLE, outage.WORDS))
    return _sealed(response)


@csrf_exempt
def oncall_door(request: HttpRequest, kind: str, token: str) -> HttpResponse:
    """Answer as OnCall does: a bare Ok. where the message is taken."""
    response = tool_door(request, ONCALL.get(kind, ""), token)
    if response.status_code in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        return _sealed(HttpResponse("Ok.", content_type="text/plain"))
    return response


def _sealed(response: HttpResponse) -> HttpResponse:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    # Else Django writes a refusal's path into the log, and with it the token.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _answered(request: HttpRequest, tool: str, token: str | None) -> HttpResponse:
    try:
        return _answer(request, tool, token)
    except Refused as refused:
        refusal_keep(request, refused, f"/hooks/{tool}/…/")
        response = _problem(refused.status, refused.reason)
        if refused.status is HTTPStatus.METHOD_NOT_ALLOWED:
            response.headers["Allow"] = "POST"
        if refused.retry_after_seconds:
            response.headers["Retry-After"] = str(int(refused.retry_after_seconds) + 1)
        return response


def _answer(request: HttpRequest, tool: str, token: str | None) -> HttpResponse:
    if request.method != "POST":
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "A webhook is called by POST.", known=False)
    if tool not in TOOLS or tool in ELSEWHERE:
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such integration.", known=False)
    call, known = posted(request, tool, token), TOOLS[tool]
    message = services.Message(
        body=call.body, event=header_text(request, known.event_header, LONGEST_EVENT),
        delivery_id=header_text(request, known.id_header, LONGEST_ID),
    )  # fmt: skip
    row, fresh, reading = stored(call, message)
    answer = {
        "status": "stored" if fresh else "duplicate", "id": str(row.request_id), "alerts": len(reading.alerts),
        "changes": len(reading.changes), "problems": list(reading.problems), "detail": reading.said,
    }  # fmt: skip
    return JsonResponse(answer, status=HTTPStatus.ACCEPTED if fresh else HTTPStatus.OK)


def _problem(status: HTTPStatus, detail: str) -> HttpResponse:
    return JsonResponse(problem.body(status, detail), status=status, content_type=problem.CONTENT_TYPE)
