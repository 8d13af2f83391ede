"""What the REST views of all apps share: pages by cursor, and services' refusals as answers."""

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.services import Actor, NotAllowed, Refused


class Pages(CursorPagination):
    """Pages by cursor: stable while rows come in, and as fast at the end as at the beginning."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "limit"
    ordering: Any = "-id"


class NewestFirst(Pages):
    """Rows whose ids are not in order of time."""

    ordering = "-created_at"


class ByName(Pages):
    """Configured things."""

    ordering = "name"


class StrictSerializer(Serializer[Any]):
    """Refuses fields it does not know: a misspelt field is an error, not silence."""

    def to_internal_value(self, data: Any) -> Any:
        """Check for unknown and read-only fields, then read."""
        writable = {name for name, field in self.fields.items() if not field.read_only}
        if isinstance(data, dict) and (unknown := sorted(set(data) - writable)):
            raise exceptions.ValidationError(dict.fromkeys(unknown, "This field is not known or cannot be set."))
        return super().to_internal_value(data)


class ConsoleViewSet(GenericViewSet[Any]):
    """A view set whose services' refusals become problems."""

    pagination_class = Pages
    lookup_value_regex: ClassVar[str] = "[0-9a-f-]{36}"

    @property
    def actor(self) -> Actor:
        """Who makes this request."""
        return actor_of(self.request)

    def handle_exception(self, exc: Exception) -> Any:
        """Translate what services raise, then let DRF answer."""
        if isinstance(exc, NotAllowed):
            exc = exceptions.PermissionDenied(str(exc))
        elif isinstance(exc, Refused):
            exc = exceptions.ValidationError({exc.field or "detail": [str(exc)]})
        return super().handle_exception(exc)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How a token is shown in the OpenAPI document."""

    target_class = "aivillage_console.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "description": "A token of the console: obs_…"}


class BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the session of a signed-in person is shown in the OpenAPI document."""

    target_class = "aivillage_console.accounts.authentication.BrowserAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:  # noqa: ARG002
        """Return the security scheme."""
        return {"type": "apiKey", "in": "cookie", "name": "session", "description": "Needs the CSRF header to write."}
