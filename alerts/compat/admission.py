"""Who may ask Alertmanager's API, and how it says no: a JSON text, as its clients expect."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError

from aivillage_console.accounts.authentication import TokenRefused, authenticate_request
from aivillage_console.accounts.models import ApiToken, Role, Scope
from aivillage_console.lib import outage
from alerts.engine.alertmanager.matching import BadMatcher

MOST_BYTES = 1_000_000
View = Callable[..., HttpResponse]


@dataclass(eq=False)
class Refused(Exception):
    """What cannot be done, for the client to read; a missing or wrong field has a code of its own."""

    status: HTTPStatus
    message: str
    code: int = 0


def away() -> HttpResponse:
    """Answer while the database is away."""
    return answer(outage.WORDS, HTTPStatus.SERVICE_UNAVAILABLE)


def answer(value: Any, status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    """Return a JSON answer."""
    return JsonResponse(value, status=status, safe=False)


def _refusal(refused: Refused) -> HttpResponse:
    value = {"code": refused.code, "message": refused.message} if refused.code else refused.message
    response = answer(value, refused.status)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def spoken(view: View) -> View:
    """Turn what a view raises into answers."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, **kwargs)
        except Refused as refused:
            return _refusal(refused)
        except TokenRefused as error:
            return _refusal(Refused(HTTPStatus.UNAUTHORIZED, str(error)))
        except PermissionError as error:
            return _refusal(Refused(HTTPStatus.FORBIDDEN, str(error)))
        except BadMatcher as error:
            return _refusal(Refused(HTTPStatus.BAD_REQUEST, str(error)))
        except RequestDataTooBig:
            return _refusal(Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large."))
        except UnreadablePostError:
            return _refusal(Refused(HTTPStatus.BAD_REQUEST, "The body ended early."))

    return guarded


def reader(request: HttpRequest) -> object:
    """Return who reads: a person who is signed in, or a token; raises TokenRefused and PermissionError."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        if not user.has_role(Role.VIEWER):
            raise PermissionError("Your role may not read alerts.")
        return user
    try:
        return authenticate_request(request, scope=Scope.QUERY)
    except PermissionError:
        return authenticate_request(request, scope=Scope.READ)


def responder(request: HttpRequest) -> ApiToken:
    """Return the token that may silence; a session may not, for a foreign page could use it."""
    return authenticate_request(request, scope=Scope.RESPOND)


def body(request: HttpRequest) -> Any:
    """Return the JSON a request carries; raises Refused."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {MOST_BYTES} bytes.")
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f'parsing body body from "" failed, because {error}', 400) from error


def flag(request: HttpRequest, name: str) -> bool:
    """Return a switch of the query, on unless said otherwise; raises Refused."""
    text = request.GET.get(name, "")
    if text.lower() in {"", "1", "t", "true"}:
        return True
    if text.lower() in {"0", "f", "false"}:
        return False
    raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, f'{name} in query must be of type boolean: "{text}"', 601)
