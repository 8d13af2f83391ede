"""Sentry: the console's own errors and a share of its requests, without anything a person sent or is named by."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import sentry_sdk
from sentry_sdk.integrations.argv import ArgvIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.redis import RedisIntegration

from aivillage_console.env import Config

# Headers that say how something was asked, not who asked what; all others are left out.
HARMLESS_HEADERS = frozenset({"accept", "content-length", "content-type", "host", "user-agent"})
HEALTH_PATHS = ("/-/", "/metrics")
ONE_TIME_LINK = "/sign-in/"
# Addresses that end with a secret.
SECRET_PATHS = (ONE_TIME_LINK, "/hooks/", "/integrations/v1/")
QUERY_KEYS = frozenset({"http.query", "http.fragment", "url.query", "url.fragment", "url.full", "http.url"})
Record = MutableMapping[str, Any]


def start(role: str, config: Config) -> None:
    """Initialise the SDK."""
    sentry_sdk.init(
        dsn=config.sentry_dsn,
        integrations=[DjangoIntegration(), CeleryIntegration(), RedisIntegration()],
        # A command line may hold what only its author should see.
        disabled_integrations=[ArgvIntegration()],
        traces_sampler=lambda context: _sampled(context, config.sentry_traces_sample_rate),
        profiles_sample_rate=config.sentry_profiles_sample_rate,
        # The id of the user is wanted, and comes only with the rest; `scrubbed` takes the rest away again.
        send_default_pii=True,
        max_request_body_size="never",
        include_local_variables=False,
        before_send=scrubbed,
        before_send_transaction=scrubbed,
        before_breadcrumb=_breadcrumb,
    )
    sentry_sdk.set_tag("role", role)


def _sampled(context: MutableMapping[str, Any], share: float) -> float:
    path = (context.get("wsgi_environ") or {}).get("PATH_INFO", "")
    return 0.0 if path.startswith(HEALTH_PATHS) else share


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    path = next((begin + "…" for begin in SECRET_PATHS if parts.path.startswith(begin)), parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _breadcrumb(crumb: dict[str, Any], _hint: Any) -> dict[str, Any]:
    data = crumb.get("data")
    if isinstance(data, MutableMapping):
        _scrub_data(data)
    return crumb


def _scrub_data(data: Record) -> None:
    for key in [key for key in data if key.lower() in QUERY_KEYS]:
        del data[key]
    if isinstance(data.get("url"), str):
        data["url"] = _without_query(data["url"])


def scrubbed(event: Any, _hint: Any) -> Any:
    """Return the event with the user reduced to the id, and of the request only what `_request` keeps."""
    if user := event.get("user"):
        event["user"] = {"id": user["id"]} if user.get("id") else {}
    if request := event.get("request"):
        event["request"] = _request(request)
    for span in event.get("spans") or ():
        _scrub_data(span.get("data") or {})
    trace = (event.get("contexts") or {}).get("trace") or {}
    _scrub_data(trace.get("data") or {})
    return event


def _request(request: Record) -> Record:
    headers = request.get("headers") or {}
    kept = {name: value for name, value in headers.items() if name.lower() in HARMLESS_HEADERS}
    return {"method": request.get("method", ""), "url": _without_query(request.get("url", "")), "headers": kept}
