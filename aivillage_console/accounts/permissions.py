"""Who may do what: by role for people, by scope for tokens."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from aivillage_console.accounts.models import ApiToken, Role, Scope, User

P = ParamSpec("P")


def role_required(
    role: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponseBase]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]
]:
    """Decorate a page: strangers are sent to the sign-in page, people of a lower role get 403."""

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.user.has_role(role):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return decorate


class Gate(BasePermission):
    """One role and one scope for reading, one of each for changing; `action_gates` overrides by action name."""

    read: ClassVar[tuple[str, str]] = (Role.VIEWER, Scope.READ)
    change: ClassVar[tuple[str, str]] = (Role.ADMIN, Scope.ADMIN)

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether the caller has the role or the scope."""
        needed = self.read if request.method in SAFE_METHODS else self.change
        overrides: dict[str, tuple[str, str]] = getattr(view, "action_gates", {})
        role, scope = overrides.get(getattr(view, "action", "") or "", needed)
        return allowed(request, role=role, scope=scope)


class ResponderGate(Gate):
    """Viewers read, responders change."""

    change: ClassVar[tuple[str, str]] = (Role.RESPONDER, Scope.RESPOND)


class EditorGate(Gate):
    """Viewers read, editors change."""

    change: ClassVar[tuple[str, str]] = (Role.EDITOR, Scope.WRITE)


class AdminGate(Gate):
    """Admins only, reading included."""

    read: ClassVar[tuple[str, str]] = (Role.ADMIN, Scope.ADMIN)


def allowed(request: Any, *, role: str, scope: str) -> bool:
    """Tell whether the person has the role, or the token the scope."""
    if isinstance(request.auth, ApiToken):
        return scope in request.auth.scopes
    return isinstance(request.user, User) and request.user.has_role(role)
