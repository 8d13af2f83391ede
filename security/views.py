"""Pages of Security: the overview, findings, one event, and who is kept out."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.services import Refused
from aivillage_console.lib import clock
from security import pictures, selectors, services
from security.catalogue import DETECTOR_NAMES, Band
from security.selectors import Overview

WINDOWS = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800}
DURATIONS = {"1 hour": 3600, "4 hours": 14_400, "1 day": 86_400, "7 days": 604_800}
BAND_NAMES = [band.value for band in Band]
ASKED = ("band", "detector", "user", "ip", "event_type")


def _text(request: HttpRequest, name: str, longest: int = 200) -> str:
    return request.GET.get(name, "").strip().replace("\x00", "")[:longest]


def _drawn(facts: Overview) -> dict[str, Any]:
    columns = [{name: getattr(bucket, name) for name in BAND_NAMES} for bucket in facts.timeline]
    most = max((cell for row in facts.heat for cell in row.cells), default=0)
    return {
        "bars": pictures.stacked(columns, BAND_NAMES),
        "heat": [(row, pictures.heat(row.cells, most)) for row in facts.heat],
        "heat_width": 10 * len(facts.timeline), "heat_most": most,
        "peak": max(facts.timeline, key=lambda bucket: bucket.total, default=None),
    }  # fmt: skip


def _overview_context(request: HttpRequest) -> dict[str, Any]:
    name = request.GET.get("range", "24h")
    name = name if name in WINDOWS else "24h"
    facts = selectors.overview(request.user, now=clock.now(), window_seconds=WINDOWS[name])
    fragment = f"{reverse('security:overview')}?{urlencode({'range': name, 'fragment': 'overview'})}"
    return {
        "facts": facts, "range": name, "ranges": list(WINDOWS), "fragment": fragment, "bands": BAND_NAMES,
        "may_block": request.user.is_authenticated and request.user.has_role(Role.RESPONDER), **_drawn(facts),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def overview(request: HttpRequest) -> HttpResponse:
    """Say whether somebody is at us, from where, and what was done about it."""
    template = "security/_overview.html" if request.GET.get("fragment") == "overview" else "security/overview.html"
    return render(request, template, _overview_context(request))


@require_GET
@role_required(Role.VIEWER)
def findings(request: HttpRequest) -> HttpResponse:
    """Show what the detectors found; every filter is in the address."""
    asked = {name: _text(request, name) for name in ASKED}
    page = selectors.findings_page(
        request.user, cursor=_text(request, "after", 20), band=asked["band"], detector=asked["detector"],
        user=asked["user"], ip=asked["ip"], event_type=asked["event_type"],
    )  # fmt: skip
    kept = {name: value for name, value in asked.items() if value}
    base = reverse("security:findings") + "?"
    context = {
        "findings": page.findings, "asked": asked, "filtered": bool(kept), "bands": BAND_NAMES, "now": clock.now(),
        "detectors": [(one.value, name) for one, name in DETECTOR_NAMES.items()], "following": page.next_cursor,
        "next_page": base + urlencode({**kept, "after": page.next_cursor}),
        "fragment": base + urlencode({**request.GET.dict(), "fragment": "table"}),
    }  # fmt: skip
    template = "security/_findings.html" if request.GET.get("fragment") == "table" else "security/findings.html"
    return render(request, template, context)


@require_GET
@role_required(Role.VIEWER)
def event(request: HttpRequest, event_id: int) -> HttpResponse:
    """Show one event: what was told, what was found in it, and why."""
    found = selectors.event_detail(request.user, event_id)
    if found is None:
        raise Http404("There is no such event.")
    details = [(key, value) for key, value in found.details.items()]
    return render(request, "security/event.html", {"event": found, "details": details, "now": clock.now()})


def _blocks_context(request: HttpRequest) -> dict[str, Any]:
    now = clock.now()
    over, following = selectors.blocks_page(request.user, now=now, cursor=_text(request, "before", 40), limit=20)
    return {
        "now": now, "active": list(selectors.active_blocks(now=now)[:200]), "over": over, "following": following,
        "allowed": list(selectors.allow_list()[:200]), "enforcers": selectors.enforcers(now=now),
        "durations": list(DURATIONS), "given": {"scope": _text(request, "scope"), "value": _text(request, "value")},
        "may_block": request.user.is_authenticated and request.user.has_role(Role.RESPONDER),
        "may_allow": request.user.is_authenticated and request.user.has_role(Role.EDITOR),
        "preview": _preview(request, now),
    }  # fmt: skip


def _preview(request: HttpRequest, now: datetime) -> Any:
    scope, value = _text(request, "scope"), _text(request, "value")
    if not value:
        return None
    try:
        spelled = services.spelled(scope, value)
        danger = services.dangers(*spelled, actor_of(request))
        return {"shown": selectors.block_preview(*spelled, now=now), "danger": danger}
    except Refused as error:
        return {"problem": str(error)}


@require_GET
@role_required(Role.VIEWER)
def blocks(request: HttpRequest) -> HttpResponse:
    """Show who is kept out, who never is, and who enforces it."""
    part = request.GET.get("fragment")
    if part == "preview":
        context = {"preview": _preview(request, clock.now()), "given": {"value": _text(request, "value")}}
        return render(request, "security/_preview.html", context)
    template = "security/_blocks.html" if part == "lists" else "security/blocks.html"
    return render(request, template, _blocks_context(request))


def _answer(request: HttpRequest, said: str) -> HttpResponseBase:
    messages.success(request, said)
    return redirect("security:blocks")


def _refused(request: HttpRequest, error: Refused) -> HttpResponseBase:
    messages.error(request, str(error))
    given = {name: request.POST.get(name, "")[:200] for name in ("scope", "value")}
    kept = urlencode({name: text for name, text in given.items() if text})
    return redirect(f"{reverse('security:blocks')}?{kept}#add" if given["value"] else reverse("security:blocks"))


@require_POST
@role_required(Role.RESPONDER)
def block_add(request: HttpRequest) -> HttpResponseBase:
    """Keep somebody out for a time."""
    asked = request.POST
    try:
        block = services.block_add(
            scope=asked.get("scope", ""), value=asked.get("value", ""), reason=asked.get("reason", ""),
            seconds=DURATIONS.get(asked.get("duration", "")), confirm=asked.get("confirm", ""),
            force="force" in asked, actor=actor_of(request), now=clock.now(),
        )  # fmt: skip
    except Refused as error:
        return _refused(request, error)
    return _answer(request, f"{block.value} is kept out until {block.expires_at:%H:%M} UTC.")


@require_POST
@role_required(Role.RESPONDER)
def block_lift(request: HttpRequest, block_id: UUID) -> HttpResponseBase:
    """Let somebody in again."""
    reason = request.POST.get("reason", "")
    try:
        block = services.block_lift(block_id=block_id, reason=reason, actor=actor_of(request), now=clock.now())
    except Refused as error:
        return _refused(request, error)
    return _answer(request, f"{block.value} is let in again.")


@require_POST
@role_required(Role.EDITOR)
def allow_add(request: HttpRequest) -> HttpResponseBase:
    """Never block somebody."""
    asked = request.POST
    try:
        entry = services.allow_add(
            scope=asked.get("scope", ""), value=asked.get("value", ""), reason=asked.get("reason", ""),
            actor=actor_of(request), now=clock.now(),
        )  # fmt: skip
    except Refused as error:
        return _refused(request, error)
    return _answer(request, f"{entry.value} is never blocked.")


@require_POST
@role_required(Role.EDITOR)
def allow_remove(request: HttpRequest, entry_id: UUID) -> HttpResponseBase:
    """Take somebody off the list of those who are never blocked."""
    reason = request.POST.get("reason", "")
    try:
        entry = services.allow_remove(entry_id=entry_id, reason=reason, actor=actor_of(request), now=clock.now())
    except Refused as error:
        return _refused(request, error)
    return _answer(request, f"{entry.value} can be blocked again.")
