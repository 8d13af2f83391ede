"""/metrics: the console's own counters, of every role when the processes share a directory."""

import hmac
import os
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from aivillage_console.accounts.authentication import TokenRefused, authenticate_request, client_ip


def registry() -> CollectorRegistry:
    """Return the registry of all processes, or of this one alone when they share no directory."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    joined = CollectorRegistry()
    MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
    return joined


def _near(request: HttpRequest) -> bool:
    address = client_ip(request)
    # A proxy on this host makes the whole world look like loopback; then only tokens and the list count.
    if address is None or "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    near = ip_address(address)
    return near.is_loopback or any(near in ip_network(net) for net in settings.CONFIG.metrics_allowed_addresses)


def _has_token(request: HttpRequest) -> bool:
    wanted = settings.CONFIG.metrics_scrape_token
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if wanted and hmac.compare_digest(sent.encode(), wanted.encode()):
        return True
    try:
        authenticate_request(request, scope="scrape")
    except (TokenRefused, PermissionError):
        return False
    return True


def metrics(request: HttpRequest) -> HttpResponse:
    """GET /metrics."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse("send a GET\n", status=405, headers={"Allow": "GET, HEAD"}, content_type="text/plain")
    if not (_near(request) or _has_token(request)):
        return HttpResponse(
            "a scrape token is needed\n", status=401, headers={"WWW-Authenticate": "Bearer"}, content_type="text/plain"
        )
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return HttpResponse(encode(registry()), content_type=content_type, headers=headers)
