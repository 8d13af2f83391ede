"""Pages of incidents: the list, one with its alerts and its story, and what people do to it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from alerts import services
from alerts.engine.states import Severity
from alerts.models import Incident
from alerts.services import incident_rows as rows
from alerts.services.actions import NotPossible
from alerts.services.incident_rows import Asked

LONGEST_REASON = 2000
MOST_CHOSEN = 200
STALE = "Somebody changed this incident meanwhile. Nothing was done; this is how it stands now."


def _may_respond(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(Role.RESPONDER))


def asked_of(query: Mapping[str, str]) -> Asked:
    """Return what an address asks for; what means nothing is left out."""
    severity, owner, tab = query.get("sev", ""), query.get("owner", ""), query.get("state", "")
    return Asked(
        tab=tab if tab in rows.TABS else "open", severity=severity if severity in {s.value for s in Severity} else "",
        owner=owner if owner in ("me", "none") else "", text=query.get("q", "").strip().replace("\x00", "")[:200],
        single=query.get("single") == "1", before=query.get("before", ""),
    )  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def incidents(request: HttpRequest) -> HttpResponse:
    """Show the incidents that match the address; every filter is in it."""
    asked = asked_of(request.GET.dict())
    found = rows.incidents_page(request.user, asked)
    base = reverse("incidents:list") + "?"
    kept = {name: request.GET[name] for name in ("sev", "owner", "q", "single") if request.GET.get(name)}
    here = {**kept, "state": asked.tab}
    context = {
        "asked": asked, "found": found, "now": clock.now(), "severities": [s.value for s in Severity],
        "filtered": bool(asked.severity or asked.owner or asked.text),
        "tabs": [(name, found.counts[name], base + urlencode({**kept, "state": name})) for name in rows.TABS],
        "with_single": base + urlencode({**here, "single": "1"}),
        "without_single": base + urlencode({name: text for name, text in here.items() if name != "single"}),
        "next_page": base + urlencode({**here, "before": found.following}),
        "fragment": base + urlencode({**here, "before": asked.before, "fragment": "table"}),
    }  # fmt: skip
    table = request.GET.get("fragment") == "table"
    return render(request, "incidents/_table.html" if table else "incidents/list.html", context)


def _incident(incident_id: int) -> Incident:
    found = rows.incident_of_page(incident_id)
    if found is None:
        raise Http404("There is no such incident.")
    return found


def _window(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    """Return what the strips of time show: from shortly before it opened until it ended, or now."""
    end = min(now, incident.resolved_at + timedelta(minutes=5)) if incident.resolved_at else now
    lasted = max(end - incident.opened_at, timedelta(minutes=5))
    return incident.opened_at - lasted / 20, max(end, incident.opened_at + timedelta(minutes=5))


def _context(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    now = clock.now()
    start, end = _window(incident, now)
    members = rows.members_shown(incident, start, end)
    changes = rows.changes_around(incident)
    open_ones = [shown for shown in members if shown.alert.state in rows.OPEN]
    return {
        "incident": incident, "members": members, "firing": len(open_ones), "start": start, "end": end, "now": now,
        "untaken": sum(shown.alert.acked_at is None for shown in open_ones),
        "hidden": max(0, incident.alerts - len(members)),
        "left": rows.left_of(incident), "timeline": rows.timeline(incident, changes), "changes": changes,
        "others": rows.others_open(incident), "can_act": _may_respond(request),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def detail(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Show one incident: its alerts and why they are in it, its story, and what was changed before it began."""
    fragment = request.GET.get("fragment") == "detail"
    context = _context(request, _incident(incident_id))
    return render(request, "incidents/_detail.html" if fragment else "incidents/detail.html", context)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else -1


def _numbers(request: HttpRequest, name: str) -> list[int]:
    texts = [part for text in request.POST.getlist(name) for part in text.replace(",", " ").replace("#", " ").split()]
    return [number for number in map(_number, texts[:MOST_CHOSEN]) if number >= 0]


def _assign(request: HttpRequest, given: dict[str, Any]) -> Incident:
    return services.incident_assign(**given, assignee_id=request.user.pk)


def _rename(request: HttpRequest, given: dict[str, Any]) -> Incident:
    return services.incident_rename(**given, name=request.POST.get("name", "").replace("\x00", ""))


def _merge(request: HttpRequest, given: dict[str, Any]) -> Incident:
    return services.incident_merge(**given, others=_numbers(request, "other"))


def _split(request: HttpRequest, given: dict[str, Any]) -> Incident:
    name = request.POST.get("name", "").replace("\x00", "")
    return services.incident_split(**given, alerts=_numbers(request, "alert"), name=name)[1]


def _add(request: HttpRequest, given: dict[str, Any]) -> Incident:
    return services.incident_add(**given, alerts=_numbers(request, "number"))


def _remove(request: HttpRequest, given: dict[str, Any]) -> Incident:
    return services.incident_remove(**given, alerts=_numbers(request, "alert"))


def _plain(service: Callable[..., Incident]) -> Callable[[HttpRequest, dict[str, Any]], Incident]:
    return lambda _request, given: service(**given)


ACTIONS: dict[str, tuple[str, Callable[[HttpRequest, dict[str, Any]], Incident]]] = {
    "acknowledge": ("is acknowledged, and so are its alerts", _plain(services.incident_acknowledge)),
    "resolve": ("is resolved, and so are its alerts", _plain(services.incident_resolve)),
    "assign": ("is commanded by you", _assign),
    "note": ("has a note more", _plain(services.incident_note)),
    "rename": ("has a new name", _rename),
    "merge": ("has taken them in", _merge),
    "split": ("was split off", _split),
    "add": ("has the alerts", _add),
    "remove": ("has lost the alerts; they do not come back by themselves", _remove),
}


@require_POST
@role_required(Role.RESPONDER)
def act(request: HttpRequest, incident_id: int, action: str) -> HttpResponseBase:
    """Do one thing to one incident; a stale version answers 409 with the incident as it stands now."""
    if action not in ACTIONS:
        raise Http404
    _incident(incident_id)
    words, service = ACTIONS[action]
    given: dict[str, Any] = {
        "incident_id": incident_id, "version": _number(request.POST.get("version", "")), "actor": actor_of(request),
        "reason": request.POST.get("reason", "").strip().replace("\x00", "")[:LONGEST_REASON], "now": clock.now(),
    }  # fmt: skip
    status, said, shown_id = 200, "", incident_id
    try:
        done = service(request, given)
        shown_id, said = done.pk, f"Incident #{done.pk} {words}."
    except services.StaleIncident:
        status, said = 409, STALE
    except NotPossible as error:
        status, said = 422, str(error)
    htmx = bool(request.headers.get("HX-Request"))
    if status == 200 and (not htmx or shown_id != incident_id):
        messages.success(request, said)
        return _gone_to(shown_id, htmx=htmx)
    context = _context(request, _incident(incident_id)) | {"said": said, "status": status}
    return render(request, "incidents/_detail.html" if htmx else "incidents/detail.html", context, status=status)


def _gone_to(incident_id: int, *, htmx: bool) -> HttpResponseBase:
    if not htmx:
        return redirect("incidents:detail", incident_id=incident_id)
    return HttpResponse(status=204, headers={"HX-Redirect": reverse("incidents:detail", args=[incident_id])})


@require_POST
@role_required(Role.RESPONDER)
def make(request: HttpRequest) -> HttpResponseBase:
    """Make an incident of the alerts that were chosen in the inbox."""
    try:
        name = request.POST.get("name", "").replace("\x00", "")
        chosen = _numbers(request, "id")
        done = services.incident_make(alerts=chosen, actor=actor_of(request), name=name, now=clock.now())
    except NotPossible as error:
        messages.error(request, str(error))
        return redirect("alerts:inbox")
    messages.success(request, f"Incident #{done.pk} has {done.alerts} alerts.")
    return redirect("incidents:detail", incident_id=done.pk)
