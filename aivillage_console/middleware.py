"""Gives every request an id that its answer, its log lines and its error page carry."""

import string
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponseBase

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
