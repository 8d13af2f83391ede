"""What every endpoint of Prometheus' HTTP API shares: who may ask, the envelope, errors, CORS, compression."""

import contextlib
import functools
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

import cramjam
import orjson
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.accounts import services
from aivillage_console.accounts.authentication import TokenRefused, authenticate_request, client_ip
from aivillage_console.accounts.models import Role, Scope
from aivillage_console.lib import clock
from metrics.compat.parameters import parameters
from metrics.compat.rendering import envelope
from metrics.promql.types import QueryError

STATUS = {"bad_data": 400, "execution": 422, "unsupported": 422, "timeout": 503}
ERROR_TYPES = {"unsupported": "execution"}
CUT = "results truncated due to limit"
JSON = "application/json"
# Below this many bytes compressing costs more than it saves; never for a client on this machine.
COMPRESSED_FROM_BYTES = 16_384
GZIP_LEVEL = 1
CORS_HEADERS = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Origin",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Expose-Headers": "Date",
}


@dataclass(slots=True)
class Asked:
    """A question that was let in: the request, its parameters, and who asks."""

    request: HttpRequest
    values: QueryDict
    viewer: object


View = Callable[..., bytes | HttpResponse]


def _answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=JSON, headers=headers)


def error_answer(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return an error in Prometheus' envelope."""
    body = orjson.dumps({"status": "error", "errorType": kind, "error": text})
    return _answer(body, status, headers)


def data_answer(value: object, warnings: list[str] | None = None) -> bytes:
    """Return a success whose data is made of plain values."""
    return envelope(orjson.dumps(value), warnings or [])


def cut_answer(values: list[str] | list[dict[str, str]], limit: int) -> bytes:
    """Return the first `limit` values, and say so where there were more."""
    cut = bool(limit) and len(values) > limit
    return data_answer(values[:limit] if cut else values, [CUT] if cut else None)


def _admit(request: HttpRequest, scopes: tuple[str, ...]) -> object:
    # Requests with a token come past the middleware (wsgi.py), so there may be no `user` at all.
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        if not user.has_role(Role.VIEWER):
            raise PermissionError("Your role may not query.")
        return user
    for scope in scopes[:-1]:
        with contextlib.suppress(PermissionError):
            return authenticate_request(request, scope=scope)
    return authenticate_request(request, scope=scopes[-1])


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
    if isinstance(error, UnreadablePostError):
        return error_answer(400, "bad_data", "the form ended early")
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
    UnreadablePostError,
)


def endpoint(
    *methods: str, scopes: tuple[str, ...] = (Scope.QUERY, Scope.READ)
) -> Callable[[View], Callable[..., HttpResponse]]:
    """Wrap a view: method, caller, envelope, errors. No effect has a POST here, so it needs no CSRF check."""

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @functools.wraps(view)
        def guarded(request: HttpRequest, **kwargs: str) -> HttpResponse:
            if request.method == "OPTIONS":
                return _finished(request, HttpResponse(status=204))
            if request.method not in methods:
                allowed = {"Allow": ", ".join((*methods, "OPTIONS"))}
                return _finished(request, error_answer(405, "bad_data", "Method Not Allowed", allowed))
            try:
                viewer = _admit(request, scopes)
                found = view(Asked(request, parameters(request), viewer), **kwargs)
                response = found if isinstance(found, HttpResponse) else _answer(found)
            except EXPECTED as error:
                response = _refused(error)
                _note_denial(request, response.status_code)
            return _finished(request, response)

        return guarded

    return decorate


def _note_denial(request: HttpRequest, status: int) -> None:
    # Where the middleware ran it keeps the trail itself.
    if status not in (401, 403) or hasattr(request, "user"):
        return
    actor = services.Actor("user", "", "", client_ip(request))
    with contextlib.suppress(DatabaseError):
        services.access_denied(actor, method=request.method or "", path=request.path, status=status, now=clock.now())


def _finished(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cache-Control"] = "no-store"
    origin = request.META.get("HTTP_ORIGIN", "")
    allowed = settings.CONFIG.api_cors_origins
    if allowed:
        headers["Vary"] = "Origin"
    if origin and (origin in allowed or "*" in allowed):
        headers["Access-Control-Allow-Origin"] = origin
        for name, value in CORS_HEADERS.items():
            headers[name] = value
    if len(response.content) >= COMPRESSED_FROM_BYTES and _wants_gzip(request, response):
        response.content = bytes(cramjam.gzip.compress(response.content, GZIP_LEVEL))
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Origin, Accept-Encoding" if allowed else "Accept-Encoding"
    return response


def _wants_gzip(request: HttpRequest, response: HttpResponse) -> bool:
    offers = [part.partition(";") for part in request.META.get("HTTP_ACCEPT_ENCODING", "").split(",")]
    takes = any(name.strip() == "gzip" and rest.replace(" ", "") not in ("q=0", "q=0.0") for name, _, rest in offers)
    return takes and not response.has_header("Content-Encoding") and not _on_this_machine(request)


def _on_this_machine(request: HttpRequest) -> bool:
    """Tell whether the client sits on this machine: compressing for it costs both sides and saves no wire."""
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        return False
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(client_ip(request) or "").is_loopback
    return False


@csrf_exempt
def not_found(_request: HttpRequest, rest: str = "") -> HttpResponse:
    """Answer /api/v1/status/flags and the like: a 404 keeps clients from taking us for another product."""
    return HttpResponse(f"404 page not found: {rest[:40]}\n", status=404, content_type="text/plain; charset=utf-8")
