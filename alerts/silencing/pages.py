"""Pages of silences: the list, the form with what it covers as one types, and one silence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.selectors import zone_of
from aivillage_console.lib import clock
from alerts.engine.alertmanager.matching import BadMatcher, Matchers
from alerts.engine.alertmanager.silences import NoSilence
from alerts.engine.states import Severity
from alerts.models import Silence
from alerts.services import hiding, silencing
from alerts.services.configuration import Invalid, Outdated
from alerts.silencing import listing
from alerts.silencing.forms import LASTS, USUAL, SilenceForm, filled

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
EXTEND_SECONDS = {"1h": 3600, "4h": 14_400}
MOST_CHOSEN = 50


def in_readers_zone(view: Page[P]) -> Page[P]:
    """Have a page read and write times in the reader's own zone."""

    @wraps(view)
    def zoned(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        with timezone.override(zone_of(request)):
            return view(request, *args, **kwargs)

    return zoned


@dataclass(slots=True)
class Preview:
    """What a silence covers and would have hidden, or why that cannot be told."""

    problem: str = ""
    now: hiding.CoveredNow | None = None
    before: hiding.WouldHave | None = None
    warnings: list[str] = field(default_factory=list)
    matchers: Matchers = ()


def preview_of(form: SilenceForm, now: datetime) -> Preview:
    """Return what the matchers of a form cover; the other fields need not be filled in yet."""
    form.is_valid()
    if "matchers" in form.errors:
        return Preview(problem=" ".join(map(str, form.errors["matchers"])))
    through = bool(form.cleaned_data.get("lets_critical_through"))
    lasts = None
    if "lasts" in form.cleaned_data and (form.cleaned_data["lasts"] != "until" or form.cleaned_data.get("ends_at")):
        lasts = form.ends(now) - max(form.cleaned_data.get("starts_at") or now, now)
    return _previewed(silencing.matchers_read(form.cleaned_data["matchers"]), now, through, lasts)


def _previewed(matchers: Matchers, now: datetime, through: bool, lasts: timedelta | None = None) -> Preview:
    found = hiding.covered_now(matchers)
    before = hiding.would_have_hidden(matchers, now=now, lets_critical_through=through)
    said = silencing.warnings_of(matchers, open_count=found.open_count, covered=found.count, lasts=lasts)
    return Preview(now=found, before=before, warnings=said, matchers=matchers)


@require_GET
@role_required(Role.VIEWER)
@in_readers_zone
def silences(request: HttpRequest) -> HttpResponse:
    """Show the silences of one state; state, search and place are in the address."""
    context = listing.context_of(request, clock.now()) | {"may": listing.may(request)}
    fragment = request.GET.get("fragment") == "table"
    return render(request, "silences/_table.html" if fragment else "silences/list.html", context)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Return what the address wants filled in: matchers, alerts, or the filter of the inbox."""
    chosen = [int(text) for text in request.GET.getlist("alert")[:MOST_CHOSEN] if text.isdigit() and len(text) < 19]
    wanted, said = listing.matchers_of_alerts(chosen) if chosen else ("", "")
    if request.GET.get("q") or request.GET.get("sev"):
        severity = request.GET.get("sev", "")
        known = severity if severity in {level.value for level in Severity} else ""
        wanted, said = listing.matchers_of_filter(request.GET.get("q", "")[:200], known), ""
    lasts = request.GET.get("lasts", USUAL)
    return {
        "matchers": request.GET.get("matchers", "")[: silencing.LONGEST_MATCHERS] or wanted,
        "reason": request.GET.get("reason", "")[: silencing.LONGEST_REASON] or said,
        "lasts": lasts if lasts in LASTS else USUAL,
        "handover_minutes": settings.CONFIG.silence_handover_seconds // 60,
    }


def _builder(text: str) -> list[tuple[str, str, str]]:
    try:
        return [(each.name, each.op, each.value) for each in silencing.matchers_read(text)]
    except BadMatcher:
        return []


def _shown(
    request: HttpRequest, form: SilenceForm, silence: Silence | None = None, *, status: int = 200, **more: Any
) -> HttpResponse:
    """Show the form, and of a stored silence where it stands."""
    now = clock.now()
    text = str(form["matchers"].value() or "")
    context: dict[str, Any] = {
        "form": form, "silence": silence, "may": listing.may(request), "now": now, "builder": _builder(text),
        "zone": zone_of(request), **more,
    }  # fmt: skip
    if "preview" not in context and text:
        context["preview"] = _preview_of_text(text, now, bool(form["lets_critical_through"].value()))
    if context["may"]["silence"]:
        context["label_names"] = listing.label_names()
    if silence is not None:
        context |= listing.standing_of(silence, now)
    return render(request, "silences/form.html", context, status=status)


def _preview_of_text(text: str, now: datetime, through: bool) -> Preview:
    try:
        return _previewed(silencing.matchers_read(text), now, through)
    except BadMatcher as problem:
        return Preview(problem=str(problem))


@require_http_methods(["GET", "POST"])
@role_required(Role.RESPONDER)
@in_readers_zone
def new(request: HttpRequest) -> HttpResponseBase:
    """Make a silence; what the address says is filled in already."""
    if request.method == "GET":
        form = SilenceForm(initial=_initial(request))
        if not form.initial["matchers"]:
            form.fields["matchers"].widget.attrs["data-autofocus"] = ""
        return _shown(request, form)
    return _saved(request, None)


def _saved(request: HttpRequest, silence: Silence | None) -> HttpResponseBase:
    form, now = SilenceForm(request.POST), clock.now()
    if not form.is_valid():
        return _shown(request, form, silence, status=422)
    stored = silence.pk if silence is not None else None
    try:
        row = silencing.silence_make(
            form.asked(now), actor=actor_of(request), now=now, silence_id=stored,
            version=form.cleaned_data["version"] if silence is not None else None,
        )  # fmt: skip
    except Invalid as invalid:
        for name, text in invalid.problems.items():
            form.add_error(_field(name, form), text)
        return _shown(request, form, silence, status=422)
    except Outdated:
        form.add_error(None, "Somebody changed this silence meanwhile and nothing was stored. Load it again.")
        return _shown(request, form, silence, status=409)
    if silence is not None and row.pk == silence.pk:
        messages.success(request, "The silence is stored.")
        return redirect("silences:detail", silence_id=row.pk)
    return redirect(_after("made", row))


def _field(name: str, form: SilenceForm) -> str | None:
    """Return the field a problem is shown at: an end that follows from how long it lasts belongs there."""
    if name == "ends_at" and form.cleaned_data.get("lasts") != "until":
        return "lasts"
    name = {"handover_seconds": "handover_minutes"}.get(name, name)
    return name if name in form.fields else None


def _after(done: str, row: Silence, until: datetime | None = None) -> str:
    asked = {"done": done, "silence": str(row.pk), **({"until": until.isoformat()} if until else {})}
    return f"{reverse('silences:list')}?{urlencode(asked)}"


@require_POST
@role_required(Role.RESPONDER)
def chosen(request: HttpRequest) -> HttpResponseBase:
    """Go from the alerts chosen in the inbox to the form of a silence that covers them."""
    ids = [text for text in request.POST.getlist("id")[:MOST_CHOSEN] if text.isdigit() and len(text) < 19]
    asked = urlencode([*(("alert", text) for text in ids), ("lasts", USUAL)])
    return redirect(f"{reverse('silences:new')}?{asked}")


@require_POST
@role_required(Role.RESPONDER)
@in_readers_zone
def preview(request: HttpRequest) -> HttpResponse:
    """Show what the matchers cover and would have hidden; nothing is stored."""
    form, now = SilenceForm(request.POST), clock.now()
    shown = preview_of(form, now)
    if not request.headers.get("HX-Request"):
        return _shown(request, form, preview=shown)
    # Whoever types in the rows keeps them; whoever types in the text gets the rows anew.
    rows = [(each.name, each.op, each.value) for each in shown.matchers]
    from_rows = request.POST.get("edited") == "rows"
    context = {"preview": shown, "builder": rows, "swap": not from_rows and not shown.problem}
    return render(request, "silences/_preview.html", context)


def _silence(silence_id: UUID) -> Silence:
    row = Silence.objects.filter(pk=silence_id).first()
    if row is None:
        raise Http404("There is no such silence.")
    return row


@require_GET
@role_required(Role.VIEWER)
@in_readers_zone
def detail(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    """Show one silence: what it covers, what it would have hidden, who changed it, and for responders the form."""
    row = _silence(silence_id)
    return _shown(request, SilenceForm(initial=filled(row)), row)


@require_POST
@role_required(Role.RESPONDER)
@in_readers_zone
def save(request: HttpRequest, silence_id: UUID) -> HttpResponseBase:
    """Store a changed silence."""
    return _saved(request, _silence(silence_id))


@require_POST
@role_required(Role.RESPONDER)
def act(request: HttpRequest, silence_id: UUID, action: str) -> HttpResponseBase:
    """Extend a silence, end it, or silence again; a stale version changes nothing."""
    if action not in ("extend", "end", "again"):
        raise Http404
    row, now, actor = _silence(silence_id), clock.now(), actor_of(request)
    version = request.POST.get("version", "")
    shared: dict[str, Any] = {"actor": actor, "now": now}
    seen: dict[str, Any] = {"version": int(version)} if version.isdigit() and len(version) < 10 else {}
    until = _moment(request.POST.get("until", ""))
    try:
        if action == "end":
            silencing.silence_end(silence_id, **shared, **seen)
            return redirect(_after("ended", row, row.ends_at))
        if action == "again":
            longest = timedelta(hours=1)
            made = silencing.silence_again(silence_id, ends_at=until or now + longest, **shared)
            return redirect(_after("made", made))
        by = timedelta(seconds=EXTEND_SECONDS.get(request.POST.get("by", ""), EXTEND_SECONDS["1h"]))
        silencing.silence_until(silence_id, ends_at=until or row.ends_at + by, **shared, **seen)
        return redirect(_after("extended", row, row.ends_at))
    except Invalid as invalid:
        messages.error(request, " ".join(invalid.problems.values()))
    except (Outdated, NoSilence):
        messages.error(request, "Somebody changed this silence meanwhile. Nothing was done; this is how it stands now.")
    return redirect("silences:detail", silence_id=silence_id)


def _moment(text: str) -> datetime | None:
    try:
        at = parse_datetime(text) if text else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
