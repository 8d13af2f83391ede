"""Limits of a session, and the headers no answer may lack."""

import contextlib
import time
from collections.abc import Callable

from django.contrib.auth import logout
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase

from aivillage_console.accounts import services
from aivillage_console.accounts.models import User
from aivillage_console.accounts.services.sessions import PLACE, SEEN, SIGNED_IN
from aivillage_console.lib import clock

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 3600
SEEN_EVERY_SECONDS = 60


def start_limits(request: HttpRequest) -> None:
    """Note when the session began; called right after a sign-in."""
    request.session[SIGNED_IN] = request.session[SEEN] = int(time.time())
    request.session[PLACE] = f"{request.META.get('REMOTE_ADDR', '')} · {request.headers.get('User-Agent', '')[:120]}"


class SessionLimits:
    """Ends a session after 30 idle minutes or 12 hours, and keeps every answer out of caches."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Check the session, answer, and forbid storing the answer."""
        if request.user.is_authenticated:
            self._check(request)
        response = self.get_response(request)
        if response.status_code in (401, 403):
            self._denied(request, response.status_code)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _denied(self, request: HttpRequest, status: int) -> None:
        ip = request.META.get("REMOTE_ADDR") or None
        person = request.user
        actor = services.Actor.of_user(person, ip) if isinstance(person, User) else services.Actor("user", "", "", ip)
        # Without a database the refusal still stands; the log has it.
        with contextlib.suppress(DatabaseError):
            services.access_denied(
                actor, method=request.method or "", path=request.path, status=status, now=clock.now()
            )

    def _check(self, request: HttpRequest) -> None:
        now = int(time.time())
        begun, seen = request.session.get(SIGNED_IN, now), request.session.get(SEEN, now)
        if now - begun > ABSOLUTE_SECONDS or now - seen > IDLE_SECONDS:
            logout(request)
        elif SIGNED_IN not in request.session or now - seen >= SEEN_EVERY_SECONDS:
            request.session[SIGNED_IN], request.session[SEEN] = begun, now
