"""The page of one run; each of its views is an address."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from forge_dashboard.panels.settings import compared
from forge_dashboard.selectors.following import Seen, follow
from forge_dashboard.views import curves, tail
from forge_dashboard.views.parts import over, part, zone_named

TABS = ("overview", "metrics", "logs", "config", "artifacts")
PARTS = {
    "overview": ("bar", "head", "failure", "now", "phases", "side"), "artifacts": ("bar", "head", "artifacts"),
}  # fmt: skip
LEVELS = (("", "All"), ("info", "Info and worse"), ("warning", "Warnings and errors"), ("error", "Errors"))


def zone_of(request: HttpRequest) -> str:
    """Return the name of the reader's time zone."""
    return str(getattr(request.user, "time_zone", "") or "UTC")


def _curves(request: HttpRequest, seen: Seen, tab: str) -> dict[str, Any]:
    overview = tab == "overview"
    query = request.GET.copy()
    query["fragment"] = "curves"
    return {
        "curves": curves.drawn(request, seen, overview=overview, grows=not over(seen)),
        "curves_key": curves.fingerprint(seen, overview=overview), "has_curves": bool(seen.curves),
        "curves_fragment": f"{request.path}?{query.urlencode()}",
    }  # fmt: skip


def _pulse(request: HttpRequest, seen: Seen, tab: str) -> str:
    kept = {key: request.GET[key] for key in ("level", "phase", "axis") if request.GET.get(key)}
    return f"{reverse('forge:pulse', args=[seen.detail.run.pk])}?{urlencode({'tab': tab, **kept})}"


def _tab(request: HttpRequest, seen: Seen, tab: str) -> dict[str, Any]:
    zone = zone_named(zone_of(request))
    if tab == "overview":
        return _curves(request, seen, tab) | {"tail": tail.tail(request, seen.detail.run, zone, long=False)}
    if tab == "metrics":
        shown = _curves(request, seen, tab)
        return shown | {"chips": curves.chips(request, seen), "axis": curves.axis_asked(request),
                        "chosen_all": len(shown["curves"]) == len(seen.curves)}  # fmt: skip
    if tab == "logs":
        return {"tail": tail.tail(request, seen.detail.run, zone, long=True), "levels": LEVELS,
                "level": tail.level_asked(request), "phase": tail.phase_asked(request)}  # fmt: skip
    if tab == "config":
        parent, differing = seen.detail.parent, request.GET.get("diff") == "only"
        rows = compared(seen.detail.run.config, parent.config if parent else None)
        return {"config": [row for row in rows if row.look or not differing], "differing": differing}
    return {}


def _context(request: HttpRequest, seen: Seen, tab: str) -> dict[str, Any]:
    detail, zone = seen.detail, zone_of(request)
    return {
        "run": detail.run, "detail": detail, "tab": tab, "over": over(seen), "pulse": _pulse(request, seen, tab),
        "parts": {name: part(seen, name, zone) for name in PARTS.get(tab, ("bar", "head"))},
        "tabs": [
            ("overview", "Overview", None), ("metrics", "Metrics", len(seen.curves)),
            ("logs", "Logs", detail.run.log_count), ("config", "Configuration", len(detail.run.config)),
            ("artifacts", "Artifacts", len(detail.artifacts)),
        ],
    } | _tab(request, seen, tab)  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Show one run: how far it is, when it will be done, and what went wrong."""
    found = follow(request.user, run_id)
    if found is None:
        raise Http404("There is no such run.")
    seen, tab = found[0], request.GET.get("tab", "")
    tab = tab if tab in TABS else "overview"
    if request.GET.get("fragment") == "curves":
        return render(request, "forge/_curves.html", _curves(request, seen, tab))
    return render(request, "forge/run.html", _context(request, seen, tab))
