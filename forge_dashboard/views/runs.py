"""The list of runs: every filter is in the address."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from forge_dashboard import selectors
from forge_dashboard.panels.words import bar_words, pieces, spread

LONGEST_TEXT = 200
TABS = ("all", "active", "running", "stalled", "queued", "paused", "succeeded", "failed", "cancelled")


def _asked(request: HttpRequest) -> dict[str, str]:
    """Return the filters of the address; what makes no sense is left out."""
    keys = ("state", "model", "q")
    given = {key: request.GET.get(key, "").replace("\x00", "").strip()[:LONGEST_TEXT] for key in keys}
    if given["state"] not in selectors.STATES or given["state"] == "all":
        given["state"] = ""
    return given


def _address(kept: dict[str, str], **changes: str) -> str:
    query = {key: value for key, value in (kept | changes).items() if value}
    return reverse("forge:runs") + (f"?{urlencode(query)}" if query else "")


def shown(row: selectors.RunRow) -> dict[str, Any]:
    """Return a run as a line of a list shows it."""
    usual, elapsed = row.usual, row.elapsed_seconds
    phases = [(bar.display, bar.state, bar.progress) for bar in row.phases]
    return {
        "run": row.run, "state": row.state, "elapsed_seconds": elapsed, "started": row.run.started_at,
        "pieces": pieces([(state, progress) for _, state, progress in phases]), "words": bar_words(phases),
        "usual_words": spread(usual.p50_seconds, usual.p90_seconds) if usual else "",
        "late": bool(usual and elapsed is not None and elapsed > usual.p90_seconds), "estimate": row.estimate,
    }  # fmt: skip


def _context(request: HttpRequest) -> dict[str, Any]:
    now, chosen = clock.now(), _asked(request)
    tiles = selectors.tiles(request.user, now=now)
    page = selectors.runs_page(
        request.user, state=chosen["state"], model=chosen["model"], text=chosen["q"],
        cursor=request.GET.get("after", "")[:LONGEST_TEXT], now=now,
    )  # fmt: skip
    stalled = f"{tiles.stalled} stalled" if tiles.stalled else "none stalled"
    return {
        "now": now, "rows": [shown(row) for row in page.rows], "following": page.next_cursor, "total": tiles.total,
        "tiles": [
            ("Active", tiles.active, stalled, _address({}, state="active")),
            ("Completed", tiles.completed, "every phase succeeded", _address({}, state="succeeded")),
            ("Failed", tiles.failed, "what they made is kept", _address({}, state="failed")),
            ("Total", tiles.total, "since the first event", _address({})),
        ],
        "states": [(name, _address(chosen, state="" if name == "all" else name)) for name in TABS],
        "models": selectors.models_seen(request.user), "chosen": chosen | {"filtered": any(chosen.values())},
        "applied": [("search", chosen["q"], _address(chosen, q=""))] if chosen["q"] else [],
        "next_page": _address(chosen, after=page.next_cursor), "base": request.build_absolute_uri("/").rstrip("/"),
        "fragment": _address(chosen, after=request.GET.get("after", "")[:LONGEST_TEXT], fragment="table"),
        "may_demo": request.user.is_authenticated and request.user.has_role(Role.ADMIN),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def runs(request: HttpRequest) -> HttpResponse:
    """Show the runs that match the address, the newest first."""
    template = "forge/_runs.html" if request.GET.get("fragment") == "table" else "forge/runs.html"
    return render(request, template, _context(request))
