"""Errors of our own API as RFC 9457 `application/problem+json`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

CONTENT_TYPE = "application/problem+json"


class Conflict(exceptions.APIException):
    """The object changed meanwhile; `fresh` is what it is now."""

    status_code = 409
    default_detail = "The object has changed since you read it."
    default_code = "conflict"

    def __init__(self, fresh: Any = None, detail: str | None = None) -> None:
        super().__init__(detail)
        self.fresh = fresh


def _errors(detail: Any, path: str = "") -> list[dict[str, str]]:
    if isinstance(detail, Mapping):
        return [error for key, inner in detail.items() for error in _errors(inner, f"{path}/{key}")]
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        found = []
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            found += _errors(inner, f"{path}/{index}" if nested else path)
        return found
    return [{"pointer": path or "/", "detail": str(detail)}]


def body(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return the members of a problem; `about:blank` says that the status tells its kind."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(challenge)
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def handle(error: Exception, _context: Mapping[str, Any]) -> Response | None:
    """Turn what a view raised into a problem; None leaves it to Django (500, with an id and no trace)."""
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    set_rollback()
    status = error.status_code
    if isinstance(error, exceptions.ValidationError):
        content = body(status, "The request is not valid.", errors=_errors(error.detail))
    else:
        content = body(status, str(error.detail), errors=[])
    if isinstance(error, Conflict) and error.fresh is not None:
        content["fresh"] = error.fresh
    return Response(content, status=status, headers=_headers(error), content_type=CONTENT_TYPE)
