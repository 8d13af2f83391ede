"""Prometheus' HTTP API: what Grafana and other clients ask a data source."""

import functools
from collections.abc import Callable

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.accounts.authentication import TokenRefused, authenticate_request
from aivillage_console.accounts.models import Role
from aivillage_console.lib import clock
from metrics import selectors
from metrics.compat.parameters import (
    bad,
    duration_ms,
    limit_of,
    matcher_sets,
    parameters,
    period_of,
    time_ms,
)
from metrics.compat.rendering import envelope, query_data
from metrics.promql.types import QueryError

STATUS = {"bad_data": 400, "execution": 422, "unsupported": 422, "timeout": 503}
ERROR_TYPES = {"unsupported": "execution"}
MAX_STEPS = 11_000
CUT = "results truncated due to limit"
View = Callable[..., bytes]


def _answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    fixed = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **(headers or {})}
    return HttpResponse(body, status=status, content_type="application/json", headers=fixed)


def error_answer(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return an error in Prometheus' envelope."""
    body = orjson.dumps({"status": "error", "errorType": kind, "error": text})
    return _answer(body, status, headers)


def _admit(request: HttpRequest) -> None:
    if request.user.is_authenticated:
        if not request.user.has_role(Role.VIEWER):
            raise PermissionError("Your role may not query.")
        return
    try:
        authenticate_request(request, scope="query")
    except PermissionError:
        authenticate_request(request, scope="read")


def _refused(error: Exception) -> HttpResponse:
    if isinstance(error, QueryError):
        kind = ERROR_TYPES.get(error.kind, error.kind)
        return error_answer(STATUS[error.kind], kind, str(error))
    if isinstance(error, TokenRefused):
        return error_answer(401, "unauthorized", str(error), {"WWW-Authenticate": "Bearer"})
    if isinstance(error, OperationalError | InterfaceError):
        return error_answer(503, "unavailable", "the database is away, ask again", {"Retry-After": "2"})
    if isinstance(error, RequestDataTooBig | TooManyFieldsSent):
        return error_answer(413, "bad_data", "the form is too large")
    return error_answer(403, "forbidden", str(error) or "not allowed")


EXPECTED = (
    QueryError,
    TokenRefused,
    PermissionError,
    PermissionDenied,
    OperationalError,
    InterfaceError,
    RequestDataTooBig,
    TooManyFieldsSent,
)


def endpoint(*methods: str) -> Callable[[View], Callable[..., HttpResponse]]:
    """Wrap a view: method, caller, envelope, errors. No effect has a POST here, so it needs no CSRF check."""

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @functools.wraps(view)
        def guarded(request: HttpRequest, **kwargs: str) -> HttpResponse:
            if request.method not in methods:
                return error_answer(405, "bad_data", "this method is not taken here", {"Allow": ", ".join(methods)})
            try:
                _admit(request)
                return _answer(view(request, **kwargs))
            except EXPECTED as error:
                return _refused(error)

        return guarded

    return decorate


def _data(value: object, warnings: list[str] | None = None) -> bytes:
    return envelope(orjson.dumps(value), warnings or [])


def _cut(values: list[str], limit: int) -> bytes:
    cut = bool(limit) and len(values) > limit
    return _data(values[:limit] if cut else values, [CUT] if cut else [])


def _now_ms() -> int:
    return int(clock.now().timestamp() * 1000)


@endpoint("GET", "POST")
def query(request: HttpRequest) -> bytes:
    """GET or POST /api/v1/query."""
    values = parameters(request)
    at_ms = time_ms(values, "time", _now_ms() if not values.get("time") else None)
    limit = limit_of(values)
    result = selectors.instant_query(
        values.get("query", ""),
        at_ms=at_ms,
        viewer=request.user,
        lookback_ms=duration_ms(values, "lookback_delta", 300_000),
        timeout_seconds=duration_ms(values, "timeout", 15_000) / 1000,
    )
    data, cut = query_data(result, instant=True, limit=limit)
    return envelope(data, [*result.warnings, CUT] if cut else result.warnings, result.infos)


@endpoint("GET", "POST")
def query_range(request: HttpRequest) -> bytes:
    """GET or POST /api/v1/query_range."""
    values = parameters(request)
    start_ms, end_ms = time_ms(values, "start"), time_ms(values, "end")
    if end_ms < start_ms:
        raise bad("end", "end timestamp must not be before start time")
    step_ms = duration_ms(values, "step")
    if step_ms <= 0:
        raise bad("step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
    if (end_ms - start_ms) // step_ms >= MAX_STEPS:
        raise QueryError(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution"
            " (?step=XX)",
            kind="bad_data",
        )
    limit = limit_of(values)
    result = selectors.range_query(
        values.get("query", ""),
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        viewer=request.user,
        lookback_ms=duration_ms(values, "lookback_delta", 300_000),
        timeout_seconds=duration_ms(values, "timeout", 15_000) / 1000,
    )
    data, cut = query_data(result, instant=False, limit=limit)
    return envelope(data, [*result.warnings, CUT] if cut else result.warnings, result.infos)


@endpoint("GET", "POST")
def labels(request: HttpRequest) -> bytes:
    """GET or POST /api/v1/labels."""
    values = parameters(request)
    found = selectors.label_names(matcher_sets(values), period=period_of(values), viewer=request.user)
    return _cut(found, limit_of(values))


@endpoint("GET")
def label_values(request: HttpRequest, name: str) -> bytes:
    """GET /api/v1/label/<name>/values."""
    values = parameters(request)
    found = selectors.label_values(name, matcher_sets(values), period=period_of(values), viewer=request.user)
    return _cut(found, limit_of(values))


@endpoint("GET", "POST")
def series(request: HttpRequest) -> bytes:
    """GET or POST /api/v1/series."""
    values = parameters(request)
    limit = limit_of(values)
    wanted, period = matcher_sets(values, required=True), period_of(values)
    found = selectors.series_matching(wanted, period=period, viewer=request.user)
    cut = bool(limit) and len(found) > limit
    return _data(found[:limit] if cut else found, [CUT] if cut else [])


@endpoint("GET")
def metadata(request: HttpRequest) -> bytes:
    """GET /api/v1/metadata."""
    values = parameters(request)
    found = selectors.metadata(metric=values.get("metric", ""), limit=limit_of(values), viewer=request.user)
    return _data(found)


@endpoint("GET")
def buildinfo(_request: HttpRequest) -> bytes:
    """GET /api/v1/status/buildinfo; without `features`, so that clients take us for a plain Prometheus."""
    named = {"version": "3.0.0", "revision": "aivillage-console", "branch": "main"}
    return _data({**named, "buildUser": "", "buildDate": "", "goVersion": ""})


@csrf_exempt
def not_found(_request: HttpRequest, rest: str = "") -> HttpResponse:
    """Answer /api/v1/status/flags and the like: a 404 keeps clients from taking us for another product."""
    return HttpResponse(f"404 page not found: {rest[:40]}\n", status=404, content_type="text/plain; charset=utf-8")
