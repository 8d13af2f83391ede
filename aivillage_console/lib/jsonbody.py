"""Reads the JSON body of a request to our own API: bounded in size and depth, and nothing that no database can hold."""

from typing import IO, Any

import orjson
from django.http.request import UnreadablePostError
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MAX_BYTES = 10_000_000
MAX_DEPTH = 32


class TooLarge(APIException):
    """A body beyond the bounds."""

    status_code = 413
    default_code = "too_large"


class BoundedJSONParser(BaseParser):
    """JSON as RFC 8259 has it: no NaN, no number beyond a double, no half of a surrogate pair."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], *_of_request: Any, **_more: Any) -> Any:
        """Return what the body says; raises ParseError or TooLarge."""
        try:
            body = stream.read(MAX_BYTES + 1)
        except UnreadablePostError:
            raise ParseError("The body ended before its declared length.") from None
        if len(body) > MAX_BYTES:
            raise TooLarge(f"The body is larger than {MAX_BYTES} bytes.")
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error}") from None
        if _deeper_than(said, MAX_DEPTH):
            raise TooLarge(f"The JSON is nested deeper than {MAX_DEPTH} levels.")
        return said


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
