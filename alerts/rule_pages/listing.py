"""The list of rules, switching one on and off, and its place in its group."""

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
from aivillage_console.lib import clock
from alerts.engine.states import Severity
from alerts.models import Rule
from alerts.rule_pages.rows import HEALTHS, KINDS, STATES, Asked, groups_counted, listing
from alerts.services import configuration, rule_order

LONGEST = 200


def text_of(request: HttpRequest, name: str, longest: int = LONGEST) -> str:
    """Return one parameter of an address as plain text."""
    return request.GET.get(name, "").strip().replace("\x00", "")[:longest]


def may_edit(request: HttpRequest) -> bool:
    """Say whether the reader may change rules."""
    return bool(request.user.is_authenticated and request.user.has_role(Role.EDITOR))


def zone_of(request: HttpRequest) -> str:
    """Return the name of the reader's time zone, in which nights are counted."""
    return str(getattr(request.user, "time_zone", "") or "UTC")


def rule_of(rule_id: UUID) -> Rule:
    """Return a rule with its group, or raise 404."""
    found = Rule.objects.select_related("group").filter(pk=rule_id).first()
    if found is None:
        raise Http404("There is no such rule.")
    return found


def _one_of(request: HttpRequest, name: str, known: object) -> str:
    value = text_of(request, name)
    return value if value in known else ""  # type: ignore[operator]


def _asked(request: HttpRequest) -> Asked:
    group = text_of(request, "group")
    try:
        group = str(UUID(group)) if group else ""
    except ValueError:
        group = ""
    return Asked(
        kind=_one_of(request, "kind", [kind for kind, _ in KINDS]), group=group,
        severity=_one_of(request, "severity", [level.value for level in Severity]),
        health=_one_of(request, "health", HEALTHS), state=_one_of(request, "state", STATES),
        noisy=text_of(request, "noisy") == "1", text=text_of(request, "q"),
        after=request.GET.get("after", "").replace("\x00", "")[:500],
    )  # fmt: skip


def _context(request: HttpRequest) -> dict[str, Any]:
    asked, now = _asked(request), clock.now()
    found = listing(asked, now=now, zone=zone_of(request))
    kept = {name: value for name, value in request.GET.items() if value and name not in ("fragment", "after")}
    base = reverse("alerts:rules") + "?"
    return {
        "asked": asked, "listing": found, "now": now, "may_edit": may_edit(request), "kinds": KINDS,
        "severities": [level.value for level in Severity], "healths": HEALTHS, "states": list(STATES),
        "fragment": base + urlencode({**request.GET.dict(), "fragment": "table"}),
        "next_page": base + urlencode({**kept, "after": found.following}),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def rules(request: HttpRequest) -> HttpResponse:
    """Show the rules that match the address, by group, with how they fare and how much noise they make."""
    context = _context(request)
    if request.GET.get("fragment") == "table":
        return render(request, "alerts/rules/_table.html", context)
    return render(request, "alerts/rules/list.html", context | {"groups": groups_counted()})


@require_POST
@role_required(Role.EDITOR)
def switch(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Switch a rule on or off; the same call with the other word takes it back."""
    rule = rule_of(rule_id)
    rule.enabled = request.POST.get("on") == "1"
    word, status = "on" if rule.enabled else "off", 200
    try:
        configuration.rule_save(rule, actor=actor_of(request), now=clock.now(), version=rule.version)
        said = f"{rule.name} is switched {word}."
    except configuration.Outdated:
        said, status = f"{rule.name} was changed meanwhile. Nothing was done; try again.", 409
    except configuration.Invalid as invalid:
        said, status = f"{rule.name} cannot be saved as it is: {invalid}", 422
    if request.headers.get("HX-Request"):
        return HttpResponse(said, status=status, content_type="text/plain; charset=utf-8")
    (messages.success if status == 200 else messages.error)(request, said)
    return redirect(_back(request, rule))


def _back(request: HttpRequest, rule: Rule) -> str:
    """Return where the button was: the list with its filters, or the rule."""
    if request.POST.get("back") == "rule":
        return reverse("alerts:rule", args=[rule.pk])
    query = request.POST.get("query", "")[:1000]
    return reverse("alerts:rules") + (f"?{query}" if query else "")


@require_POST
@role_required(Role.EDITOR)
def move(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Move a rule up or down within its group, or to the end of another one."""
    rule, where = rule_of(rule_id), request.POST.get("to", "")
    try:
        group = UUID(request.POST.get("group", "")) if where == "group" else None
        said = rule_order.rule_move(rule, to=where, group_id=group, actor=actor_of(request), now=clock.now())
    except ValueError as error:
        messages.error(request, f"It was not moved: {error}.")
    else:
        messages.success(request, said)
    return redirect("alerts:rule", rule_id=rule.pk)
