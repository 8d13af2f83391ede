"""`POST /api/v1/ingest/test-runs`: a report of a test run, in any of three forms; who it is about is in the address."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.accounts import authentication
from aivillage_console.accounts.models import ApiToken, Scope
from aivillage_console.lib import clock, outage, problem
from aivillage_console.lib.ratelimit import Buckets, Limit
from alerts.engine.testruns.outcomes import BadReport
from alerts.engine.testruns.reading import read_report
from alerts.models import TestRun
from alerts.services.testruns import Sent, run_keep
from metrics.services import refused_request_keep

BODY_BYTES = 16_000_000
CHUNK_BYTES = 1 << 16
LONGEST = {"suite": 120, "branch": 200, "run": 128, "commit": 64, "url": 2000}
DEFAULTS = {"suite": "tests", "branch": "main"}
# One process reads a large report in about a second.
SOURCES = Buckets(Limit(per_second=2, burst=60))


@dataclass(eq=False)
class _Refused(Exception):
    status: HTTPStatus
    reason: str
    source_id: UUID | None = None
    retry_after_seconds: float = 0


def _problem(status: HTTPStatus, detail: str) -> HttpResponse:
    return JsonResponse(problem.body(status, detail), status=status, content_type=problem.CONTENT_TYPE)


def _away() -> HttpResponse:
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, outage.WORDS)


def _sealed(response: HttpResponse) -> HttpResponse:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


@csrf_exempt
@outage.answered_when_away(_away)
def testrun_door(request: HttpRequest) -> HttpResponse:
    """Answer 201 with the run's figures once stored, 200 where it was before, or a problem that says what to do."""
    now = clock.now()
    try:
        run, fresh = _taken(request, now)
    except _Refused as refused:
        return _sealed(_refusal(request, refused, now))
    shown = {
        "id": run.pk, "suite": run.suite.name, "branch": run.suite.branch, "form": run.form, "at": run.at.isoformat(),
        "total_tests": run.total, "passed": run.passed, "failed": run.failed, "skipped": run.skipped,
        "errors": run.errors, "success_rate": run.success_rate, "duplicate": not fresh,
    }  # fmt: skip
    return _sealed(JsonResponse(shown, status=HTTPStatus.CREATED if fresh else HTTPStatus.OK))


def _taken(request: HttpRequest, now: datetime) -> tuple[TestRun, bool]:
    if request.method != "POST":
        raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "A report is sent by POST.")
    token = _token(request)
    try:
        wait_seconds = SOURCES.take(str(token.source_id), now_seconds=now.timestamp())
        if wait_seconds:
            raise _Refused(
                HTTPStatus.TOO_MANY_REQUESTS, "Too many reports; come again later.", retry_after_seconds=wait_seconds
            )
        sent = _sent(request, token)
        try:
            return run_keep(read_report(_body(request)), sent, now=now)
        except BadReport as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
    except _Refused as refused:
        refused.source_id = token.source_id
        raise


def _token(request: HttpRequest) -> ApiToken:
    try:
        token = authentication.authenticate_request(request, scope=Scope.INGEST_TESTS)
    except authentication.TokenRefused as error:
        raise _Refused(HTTPStatus.UNAUTHORIZED, str(error)) from None
    except PermissionError as error:
        raise _Refused(HTTPStatus.FORBIDDEN, str(error)) from None
    if token.source_id is None:
        raise _Refused(HTTPStatus.FORBIDDEN, "The token has no source, so what it sends would be nobody's.")
    return token


def _sent(request: HttpRequest, token: ApiToken) -> Sent:
    """Return what the query, or the headers X-Test-Suite and so on, say about the report."""
    given = {}
    for name, longest in LONGEST.items():
        text = (request.GET.get(name) or request.headers.get(f"X-Test-{name}") or DEFAULTS.get(name, "")).strip()
        if len(text) > longest or not text.isprintable():
            raise _Refused(HTTPStatus.BAD_REQUEST, f"{name}: at most {longest} printable characters.")
        given[name] = text
    if given["url"] and not given["url"].startswith(("http://", "https://")):
        raise _Refused(HTTPStatus.BAD_REQUEST, "url: an address that begins with https://.")
    return Sent(
        suite=given["suite"], branch=given["branch"], key=given["run"], commit=given["commit"], url=given["url"],
        source_id=token.source_id,
    )  # fmt: skip


def _body(request: HttpRequest) -> bytes:
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the report as it is, without Content-Encoding.")
    too_large = _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A report has at most {BODY_BYTES} bytes: split it.")
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > BODY_BYTES:
        raise too_large
    parts, total = [], 0
    try:
        while chunk := request.read(CHUNK_BYTES):
            total += len(chunk)
            if total > BODY_BYTES:
                raise too_large
            parts.append(chunk)
    except (UnreadablePostError, RequestDataTooBig):
        raise _Refused(HTTPStatus.BAD_REQUEST, "The body ended before its declared length.") from None
    return b"".join(parts)


def _refusal(request: HttpRequest, refused: _Refused, now: datetime) -> HttpResponse:
    agent = request.headers.get("User-Agent", "")
    refused_request_keep(
        door="test-runs", status=refused.status, reason=refused.reason, source_id=refused.source_id, now=now,
        ip=authentication.client_ip(request), excerpt=f"{request.method} {request.path} {request.content_type} {agent}",
    )  # fmt: skip
    response = _problem(refused.status, refused.reason)
    if refused.status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "POST"
    if refused.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if refused.retry_after_seconds:
        response.headers["Retry-After"] = str(int(refused.retry_after_seconds) + 1)
    return response
