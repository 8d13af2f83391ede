"""Which token or person speaks: for DRF, and for the doors that use no framework."""

import datetime
import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from aivillage_console.accounts import keys, services
from aivillage_console.accounts.models import ApiToken
from aivillage_console.lib import clock

CACHE_SECONDS = 4.0
CACHE_SIZE = 10_000
QUERY_KEYS = frozenset({"token", "api_key", "apikey", "access_token", "key", "auth", "authorization"})


class TokenRefused(Exception):
    """No valid token; the text is safe to show."""


@dataclass(slots=True)
class _Known:
    token: ApiToken
    read_at_seconds: float
    used_at_seconds: float


_known: dict[bytes, _Known] = {}
_lock = threading.Lock()


def forget_tokens() -> None:
    """Empty this process's memory of tokens."""
    with _lock:
        _known.clear()


def client_ip(request: HttpRequest) -> str | None:
    """Return the peer's address as the server saw it."""
    return request.META.get("REMOTE_ADDR") or None


def _look_up(key: keys.Key) -> ApiToken | None:
    active_owner = Q(owner=None) | Q(owner__disabled_at=None)
    token = ApiToken.objects.select_related("source").filter(active_owner, sha256=key.sha256).first()
    if token is None or not hmac.compare_digest(bytes(token.sha256), key.sha256):
        return None
    return token


def _remembered(key: keys.Key, now: datetime.datetime | None) -> ApiToken | None:
    seconds = time.monotonic()
    known = _known.get(key.sha256)
    if known is None or seconds - known.read_at_seconds > CACHE_SECONDS:
        token = _look_up(key)
        if token is None:
            _known.pop(key.sha256, None)
            return None
        used = known.used_at_seconds if known else float("-inf")
        known = _Known(token, seconds, used)
        with _lock:
            if len(_known) >= CACHE_SIZE:
                _known.clear()
            _known[key.sha256] = known
    if seconds - known.used_at_seconds >= services.USED_EVERY_SECONDS:
        known.used_at_seconds = seconds
        services.token_used(known.token.pk, now=now or clock.now())
    return known.token


def remembered_token(plain: str) -> ApiToken | None:
    """Return the live token that this text was moments ago; None says nothing, `authenticate_token` tells the rest."""
    known, seconds = _known.get(hashlib.sha256(plain.encode()).digest()), time.monotonic()
    if known is None or seconds - known.read_at_seconds > CACHE_SECONDS:
        return None
    is_plain = known.token.revoked_at is None and known.token.expires_at is None
    return known.token if is_plain and seconds - known.used_at_seconds < services.USED_EVERY_SECONDS else None


def authenticate_token(plain: str, *, now: datetime.datetime | None = None) -> ApiToken:
    """Return the live token of this text, or raise TokenRefused.

    A text whose checksum is wrong is refused without a query; a revoked token is refused by every process within
    five seconds, because that is how long one remembers it.
    """
    key = keys.parse(plain)
    token = _remembered(key, now) if key else None
    if token is None or token.revoked_at is not None:
        raise TokenRefused("The token is not valid.")
    if token.expires_at is not None and token.expires_at <= (now or clock.now()):
        raise TokenRefused("The token has expired.")
    return token


def bearer(headers: Mapping[str, str], query: Mapping[str, Any]) -> str | None:
    """Return the plain token of a request, None without one; a key in the query string is refused."""
    if any(name.lower() in QUERY_KEYS for name in query):
        raise TokenRefused("Keys belong in the Authorization header, never in the address.")
    scheme, _, plain = headers.get("Authorization", "").partition(" ")
    return plain.strip() if scheme.lower() == "bearer" else None


def authenticate_request(request: HttpRequest, *, scope: str) -> ApiToken:
    """Return the token of a plain Django request that has this scope; raise TokenRefused or PermissionError."""
    # Not request.headers: it would parse every header of thousands of requests a second for this one.
    authorization = {"Authorization": request.META.get("HTTP_AUTHORIZATION", "")}
    plain = bearer(authorization, request.GET if request.META.get("QUERY_STRING") else {})
    if plain is None:
        raise TokenRefused("Send a token: Authorization: Bearer obs_…")
    token = authenticate_token(plain)
    if scope not in token.scopes:
        raise PermissionError(f"The token lacks the scope {scope}.")
    return token


class TokenAuthentication(BaseAuthentication):
    """DRF: `Authorization: Bearer obs_…`; the token is `request.auth`."""

    def authenticate(self, request: Request) -> tuple[None, ApiToken] | None:
        """Return the token, None when the request carries none."""
        try:
            plain = bearer(request.headers, request.query_params)
            return (None, authenticate_token(plain)) if plain is not None else None
        except TokenRefused as error:
            raise AuthenticationFailed(str(error)) from error

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """Name the scheme, so that the refusal is 401 and not 403."""
        return "Bearer"


class BrowserAuthentication(SessionAuthentication):
    """DRF: the session of a signed-in person, with the CSRF check on every unsafe method."""


def actor_of(request: HttpRequest | Request) -> services.Actor:
    """Return who makes this request."""
    ip = request.META.get("REMOTE_ADDR") or None
    token = getattr(request, "auth", None)
    if isinstance(token, ApiToken):
        return services.Actor.of_token(token, ip)
    return services.Actor.of_user(request.user, ip)  # type: ignore[arg-type]
