"""The targets page: what is scraped and how that goes."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from metrics import selectors
from metrics.models import TargetHealth
from metrics.scrape.lock import scraper_runs

MOST_TARGETS = 500


@require_GET
@role_required(Role.VIEWER)
def targets(request: HttpRequest) -> HttpResponse:
    """List pools and targets, the worst first."""
    asked = {name: request.GET.get(name, "")[:200].replace("\0", "") for name in ("pool", "health", "q")}
    health = asked["health"] if asked["health"] in TargetHealth.values else ""
    found = selectors.scrape_targets(pool=asked["pool"], health=health, search=asked["q"], limit=MOST_TARGETS + 1)
    kept = {name: value for name, value in {**asked, "health": health, "fragment": "targets"}.items() if value}
    context = {
        "pools": selectors.scrape_pools(), "targets": found[:MOST_TARGETS], "shortened": len(found) > MOST_TARGETS,
        "running": scraper_runs(), "pool": asked["pool"], "health": health, "search": asked["q"],
        "healths": TargetHealth.choices, "filtered": any(asked.values()), "now": clock.now(),
        "may_change": request.user.is_authenticated and request.user.has_role(Role.ADMIN),
        "fragment": f"{reverse('metrics:targets')}?{urlencode(kept)}",
    }  # fmt: skip
    template = "metrics/_targets.html" if request.GET.get("fragment") == "targets" else "metrics/targets.html"
    return render(request, template, context)
