"""The admin site behind the console's own door: one way in, one way out, one place for passwords."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class ConsoleAdminSite(AdminSite):
    """Editors and admins get in, other people are refused, strangers are sent to the console's sign-in page."""

    site_header = site_title = "AIVillage Console"
    index_title = "Configuration"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let editors and admins in; tell anybody else who is signed in that this is not theirs."""
        if request.user.is_authenticated and not request.user.is_staff:
            raise PermissionDenied
        return request.user.is_authenticated

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002
        """Send strangers to the console's sign-in page: it throttles, audits and limits the session."""
        if self.has_permission(request):
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next", "/admin/"))

    def password_change(  # type: ignore[override] # the stubs promise a page, Django takes any answer
        self,
        request: HttpRequest,  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Send people to the console's own page: it checks, audits and ends the other sessions."""
        return redirect("password")
