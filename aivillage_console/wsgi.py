"""WSGI entry: pages and API through the full middleware, ingest and queries with a token past nearly all of it.

Every middleware costs an ingest request about as much as storing its rows, so the doors that machines push to are
switched to a handler with an empty middleware list before the normal one is reached. Those doors are tokens or
signatures only: no session, no cookie, no page. Prometheus' API is switched where the request carries a token; a
person's browser, which carries a session, asks it through the middleware.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, cast

import django
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, HttpResponse
from django.urls import resolve, reverse
from django.utils.module_loading import import_string

from aivillage_console.embedded import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aivillage_console.settings")

INGEST_PATHS = (
    "/api/v1/ingest/", "/api/v1/write", "/v1/metrics", "/api/v1/otlp/", "/metrics/job", "/hooks/",
    "/v2/", "/integrations/v1/", "/ping/",
)  # fmt: skip
QUERY_PATHS = (
    "/api/v1/query", "/api/v1/label", "/api/v1/series", "/api/v1/metadata", "/api/v1/status/", "/api/v1/targets",
    "/api/v1/rules", "/api/v1/alerts", "/api/v1/read", "/api/v1/format_query", "/api/v1/parse_query", "/federate",
)  # fmt: skip


# The door that gets thousands of requests a second.
REMOTE_WRITE = "remote-write"


class IngestHandler(WSGIHandler):
    """Django's handler with no middleware at all."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002
        """Build the shortest chain there is: errors become responses, the view is called."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]


class DoorHandler:
    """One door without the rest of Django's handling of a request: no resolver, no signals, no response object's end.

    What the signals do that a door needs is done here: a connection that broke or is too old is closed.
    """

    def __init__(
        self, door: Callable[[HttpRequest], HttpResponse], *, shortcut: Callable[[dict[str, Any]], bool]
    ) -> None:
        """Answer with this view, and 204 to what the shortcut has taken; what the view raises becomes an answer."""
        self._answer = convert_exception_to_response(door)
        self._shortcut = shortcut

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        connection = connections[DEFAULT_DB_ALIAS]
        connection.close_if_unusable_or_obsolete()
        if self._shortcut(environ):
            start_response("204 No Content", [])
            return [b""]
        connection.close_if_unusable_or_obsolete()
        try:
            response = cast(HttpResponse, self._answer(WSGIRequest(environ)))
        finally:
            connection.close_if_unusable_or_obsolete()
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return [response.content]


def _shortcut() -> Callable[[dict[str, Any]], bool]:
    # Its models cannot be imported before Django is set up.
    taken: Callable[[dict[str, Any]], bool] = import_string("metrics.ingest.shortcut.taken")
    return taken


def build() -> Any:
    """Return the WSGI callable that switches between the two handlers."""
    pages = get_wsgi_application()
    ingest = IngestHandler()
    doors = {reverse(REMOTE_WRITE): DoorHandler(resolve(reverse(REMOTE_WRITE)).func, shortcut=_shortcut())}

    def switch(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        door = doors.get(path)
        if door is not None:
            return door(environ, start_response)
        short = path.startswith(INGEST_PATHS) or (path.startswith(QUERY_PATHS) and "HTTP_AUTHORIZATION" in environ)
        return (ingest if short else pages)(environ, start_response)

    return switch


if os.environ.get("ROLE") == "web" and os.environ.get("SUPERVISED"):
    # granian forks its worker; a kill -9 of granian must not leave the worker on the port.
    end_with_parent()
django.setup(set_prefix=False)
application = build()
