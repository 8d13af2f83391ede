"""Answers for htmx requests."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme


def is_fragment(request: HttpRequest) -> bool:
    """Tell whether htmx wants the fragment and not the page around it."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-Boosted") != "true"


def page_or_fragment(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render the fragment for htmx and the page for everybody else, from the same context."""
    response = render(request, fragment if is_fragment(request) else page, context, status=status)
    response.headers["Vary"] = "HX-Request"
    return response


def trigger(response: HttpResponse, event: str, **detail: Any) -> HttpResponse:
    """Make the browser fire an event when the answer arrives."""
    response.headers["HX-Trigger"] = json.dumps({event: detail})
    return response


def redirect(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser on, inside htmx too."""
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponse(status=303, headers={"Location": url})


def next_url(request: HttpRequest, default: str) -> str:
    """Return where `next` points if that is this console, else the default."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe and wanted.startswith("/") else default
