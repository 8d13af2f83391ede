"""Pages to get in, get out and choose a password."""

import contextlib
from typing import Any, cast

from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from aivillage_console.accounts import services
from aivillage_console.accounts.authentication import actor_of, client_ip
from aivillage_console.accounts.forms import PasswordForm, ProfileForm, SignInForm
from aivillage_console.accounts.middleware import start_limits
from aivillage_console.accounts.models import Role, User
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock

BACKEND = "django.contrib.auth.backends.ModelBackend"


@method_decorator(never_cache, name="dispatch")
class SignInView(LoginView):
    """Sign in by e-mail and password."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: Any) -> HttpResponse:
        """Start the session and record it."""
        response = super().form_valid(form)
        start_limits(self.request)
        services.signed_in(form.get_user(), now=clock.now(), ip=client_ip(self.request))
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the form again and record the failure."""
        address = str(form.data.get("username", "")).lower()
        services.sign_in_failed(address, now=clock.now(), ip=client_ip(self.request))
        return super().form_invalid(form)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Show a button (GET), and only on its press use the link up (POST)."""
    if request.method != "POST":
        user = services.sign_in_link_user(secret, now=clock.now())
        return render(request, "accounts/sign_in_link.html", {"for_user": user}, status=200 if user else 410)
    user = services.sign_in_link_use(secret, now=clock.now(), ip=client_ip(request))
    if user is None:
        return render(request, "accounts/sign_in_link.html", {"for_user": None}, status=410)
    login(request, user, backend=BACKEND)
    start_limits(request)
    return redirect("home" if user.has_usable_password() else "password")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    if isinstance(request.user, User):
        services.signed_out(request.user, now=clock.now(), ip=client_ip(request))
    logout(request)
    return redirect("sign-in")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.VIEWER)
def password(request: HttpRequest) -> HttpResponseBase:
    """Choose a new password; this session goes on, all others end."""
    form = PasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = cast("User", request.user)
        try:
            user = services.user_password_set(
                user, form.cleaned_data["password"], actor=actor_of(request), now=clock.now()
            )
        except services.Refused as refusal:
            form.add_error("password", str(refusal))
        else:
            update_session_auth_hash(request, user)
            return redirect("home")
    return render(request, "accounts/password.html", {"form": form}, status=422 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.VIEWER)
def settings(request: HttpRequest) -> HttpResponseBase:
    """Show and change one's own profile, and list one's sessions."""
    user, now = cast("User", request.user), clock.now()
    form = ProfileForm(request.POST or None, initial={"name": user.name, "time_zone": user.time_zone})
    if request.method == "POST" and form.is_valid():
        try:
            services.user_update(user, actor=actor_of(request), now=now, **form.cleaned_data)
        except services.Refused as refusal:
            form.add_error("time_zone", str(refusal))
        else:
            return redirect("settings")
    found = services.sessions_of(user, current_key=request.session.session_key or "", now=now)
    context = {"form": form, "sessions": found}
    return render(request, "accounts/settings.html", context, status=422 if form.errors else 200)


@require_POST
@role_required(Role.VIEWER)
def session_end(request: HttpRequest, handle: str) -> HttpResponseBase:
    """End one of one's own sessions; one that has ended already is as wished."""
    with contextlib.suppress(services.Refused):
        services.session_end(cast("User", request.user), handle, actor=actor_of(request), now=clock.now())
    return redirect("settings")
