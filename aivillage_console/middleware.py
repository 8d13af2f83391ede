"""Gives every request an id that its answer, its log lines and its error page carry."""

import string
import uuid
from collections.abc import Callable

import structlog
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from servestatic.middleware import ServeStaticMiddleware

HEADER = "X-Request-ID"
LONGEST = 64
ALLOWED = frozenset(string.ascii_letters + string.digits + "-_.")


def request_id_of(given: str) -> str:
    """Return the caller's id if it is harmless in a header, a log and a page, else a fresh one."""
    harmless = 0 < len(given) <= LONGEST and ALLOWED.issuperset(given)
    return given if harmless else uuid.uuid4().hex


class RequestId:
    """Names each request and binds the name to everything logged while it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer under an id."""
        name = request_id_of(request.headers.get(HEADER, ""))
        request.request_id = name  # type: ignore[attr-defined] # Django's request takes what middleware adds
        with structlog.contextvars.bound_contextvars(request_id=name):
            response = self.get_response(request)
        response.headers[HEADER] = name
        return response


class StaticFiles:
    """Hands requests for static files to ServeStatic, and no others.

    ServeStatic is asynchronous only: left in the chain it gives every page and query an event loop of its own and moves
    it between threads, which costs more than a small query.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._files = async_to_sync(ServeStaticMiddleware(sync_to_async(get_response)).__call__)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with a file where the path is below the static address."""
        if request.path_info.startswith(settings.STATIC_URL):
            response: HttpResponseBase = self._files(request)
            return response
        return self.get_response(request)
