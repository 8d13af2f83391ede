"""Pages of Health: the tree, one component, its checks, and the report."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from health import services
from health.models import Check
from health.report import as_data, as_markdown
from health.selectors import Board, CheckRow, Row, board, history, report_numbers, results_of
from health.selectors.reporting import because
from metrics.maths.charting import Chart, Threshold

BANDS = ("unhealthy", "partial", "unknown", "healthy")
WINDOWS = {"1h": timedelta(hours=1), "3h": timedelta(hours=3), "24h": timedelta(hours=24)}
SILENT = timedelta(seconds=120)
VERDICTS = {"healthy": "ok", "partial": "medium", "unhealthy": "critical", "unknown": "unknown"}


def _may(request: HttpRequest, role: str) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(role))


def _filtered(shown: Board, request: HttpRequest) -> tuple[list[Row], str, str]:
    status = request.GET.get("status", "") if request.GET.get("status") in BANDS else ""
    kind = request.GET.get("kind", "")[:40]
    rows = [row for row in shown.rows if status in ("", row.score.band) and kind in ("", row.component.kind)]
    return rows, status, kind


def _links(shown: Board, status: str, kind: str) -> dict[str, Any]:
    """Return every filter as a link that keeps the others; absolute, because a fragment lives at another address."""
    base = reverse("health:overview")

    def link(**wanted: str) -> str:
        kept = {name: value for name, value in {"status": status, "kind": kind, **wanted}.items() if value}
        return f"{base}?{urlencode(kept)}" if kept else base

    counts = shown.system.counts
    tabs = [("all", len(shown.rows), link(status=""), not status)]
    tabs += [(name, counts.get(name, 0), link(status=name), name == status) for name in BANDS]
    kinds = sorted({row.component.kind for row in shown.rows if row.component.kind})[:20]
    chips = [(name, link(kind="" if name == kind else name), name == kind) for name in kinds]
    return {"tabs": tabs, "kinds": chips, "fragment": link(fragment="board")}


def _silence(shown: Board) -> timedelta | None:
    """Return for how long no check of the console's own has run, where that is too long."""
    own = [one.check for one in shown.checks if one.check.enabled and one.check.kind != "reported"]
    last = max((check.last_at for check in own if check.last_at), default=None)
    if not own:
        return None
    quiet = shown.at - (last or min(check.created_at for check in own))
    return quiet if quiet > SILENT else None


def _board_context(request: HttpRequest) -> dict[str, Any]:
    shown = board(now=clock.now(), viewer=request.user)
    rows, status, kind = _filtered(shown, request)
    worst = [row for row in shown.rows if row.score.band == "unhealthy"] or [
        row for row in shown.rows if row.score.band == "partial"
    ]
    silence = _silence(shown)
    return {
        "board": shown, "rows": [(row, because(row.score)) for row in rows], "flat": bool(status or kind),
        "checks": [one for row in rows for one in row.checks], "now": shown.at, "worst": worst[:3],
        "verdict": _verdict(shown, worst), "silence": silence and silence.total_seconds(),
        "can_run": _may(request, Role.RESPONDER), "can_edit": _may(request, Role.EDITOR), "status": status,
        "kind": kind, **_links(shown, status, kind),
    }  # fmt: skip


def _verdict(shown: Board, worst: list[Row]) -> str:
    """Return the look of the whole; a good mean does not make a page green on which something is broken."""
    verdict = VERDICTS[shown.system.band]
    return "medium" if verdict == "ok" and worst else verdict


@require_GET
@role_required(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Show what is alive, and how well."""
    template = "health/_board.html" if request.GET.get("fragment") == "board" else "health/overview.html"
    return render(request, template, _board_context(request))


def _row(shown: Board, component_id: uuid.UUID) -> Row:
    row = shown.row(component_id)
    if row is None:
        raise Http404("There is no such component.")
    return row


def _chart(row: Row, shown: Board, window: timedelta) -> Chart:
    named = [(one.check.pk, one.check.name) for one in row.checks]
    found = history(named, now=shown.at, window=window)
    limit = min((one.check.degraded_ms for one in row.checks), default=1000) / 1000
    return Chart("history", f"Time the checks of {row.component.name} took", "seconds", found.times, found.lines,
                 found.start, found.end, Threshold(limit), hidden=max(0, len(named) - len(found.lines))
                 if len(named) > 6 else 0)  # fmt: skip


def _component_context(request: HttpRequest, component_id: uuid.UUID) -> dict[str, Any]:
    shown = board(now=clock.now(), viewer=request.user)
    row = _row(shown, component_id)
    chosen = request.GET.get("range", "3h") if request.GET.get("range") in WINDOWS else "3h"
    known = {each.component.name: each for each in shown.rows}
    needs = [(edge, known.get(edge["name"])) for edge in row.component.depends_on]
    address = reverse("health:component", args=[component_id])
    return {
        "row": row, "because": because(row.score), "chart": _chart(row, shown, WINDOWS[chosen]), "now": shown.at,
        "results": results_of(component_id), "needs": needs, "used_by": [known[name] for name in row.used_by],
        "ranges": [(name, f"{address}?range={name}", name == chosen) for name in WINDOWS], "checks": row.checks,
        "fragment": f"{address}?range={chosen}&fragment=component", "can_run": _may(request, Role.RESPONDER),
        "can_edit": _may(request, Role.EDITOR), "alone": True,
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def component(request: HttpRequest, component_id: uuid.UUID) -> HttpResponse:
    """Show one component: where its score comes from, who needs it, and how its checks went."""
    template = "health/_component.html" if request.GET.get("fragment") == "component" else "health/component.html"
    return render(request, template, _component_context(request, component_id))


def _check_row(request: HttpRequest, check: Check) -> CheckRow:
    return next(one for one in _row(board(now=clock.now(), viewer=request.user), check.component_id).checks
                if one.check.pk == check.pk)  # fmt: skip


@require_POST
@role_required(Role.RESPONDER)
def run(request: HttpRequest, check_id: uuid.UUID) -> HttpResponseBase:
    """Run one check now and show its result where it was asked for."""
    if not request.user.is_authenticated:
        raise PermissionDenied
    check = Check.objects.filter(pk=check_id).first()
    if check is None:
        raise Http404("There is no such check.")
    actor = Actor.of_user(request.user, request.META.get("REMOTE_ADDR"))
    refused = ""
    try:
        check = services.check_run_now(check_id=check_id, actor=actor, now=clock.now())
        said = f"{check.name} is {check.last_status}: {check.last_detail or 'no details'}"
    except services.NotPossible as error:
        refused = said = str(error)
    if request.headers.get("HX-Request"):
        context = {"one": _check_row(request, check), "said": said, "refused": bool(refused), "can_run": True,
                   "alone": request.GET.get("alone") == "1"}  # fmt: skip
        return render(request, "health/_check.html", context)
    (messages.error if refused else messages.success)(request, said)
    return redirect("health:component", component_id=check.component_id)


@require_GET
@role_required(Role.VIEWER)
def report(request: HttpRequest) -> HttpResponse:
    """Show the report as a page: the Markdown, read aloud."""
    text = as_markdown(as_data(report_numbers(now=clock.now(), viewer=request.user)))
    return render(request, "health/report.html", {"text": text})


@require_GET
@role_required(Role.VIEWER)
def report_json(request: HttpRequest) -> HttpResponse:
    """Return the report as data."""
    return JsonResponse(as_data(report_numbers(now=clock.now(), viewer=request.user)))


@require_GET
@role_required(Role.VIEWER)
def report_markdown(request: HttpRequest) -> HttpResponse:
    """Return the report as Markdown."""
    text = as_markdown(as_data(report_numbers(now=clock.now(), viewer=request.user)))
    return HttpResponse(text, content_type="text/markdown; charset=utf-8")
