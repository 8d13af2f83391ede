"""Limits of a session, and the headers no answer may lack."""

import time
from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 3600
SEEN_EVERY_SECONDS = 60
SIGNED_IN, SEEN = "signed_in_at_seconds", "seen_at_seconds"


def start_limits(request: HttpRequest) -> None:
    """Note when the session began; called right after a sign-in."""
    request.session[SIGNED_IN] = request.session[SEEN] = int(time.time())


class SessionLimits:
    """Ends a session after 30 idle minutes or 12 hours, and keeps every answer out of caches."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Check the session, answer, and forbid storing the answer."""
        if request.user.is_authenticated:
            self._check(request)
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _check(self, request: HttpRequest) -> None:
        now = int(time.time())
        begun, seen = request.session.get(SIGNED_IN, now), request.session.get(SEEN, now)
        if now - begun > ABSOLUTE_SECONDS or now - seen > IDLE_SECONDS:
            logout(request)
        elif SIGNED_IN not in request.session or now - seen >= SEEN_EVERY_SECONDS:
            request.session[SIGNED_IN], request.session[SEEN] = begun, now
