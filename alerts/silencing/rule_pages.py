"""Pages of what keeps quiet again and again: mute times with a preview, inhibitions with what they inhibit now."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.selectors import zone_of
from aivillage_console.lib import clock
from alerts.engine.occurrences import Window
from alerts.models import Inhibition, MuteTime
from alerts.services import hiding
from alerts.services.configuration import Invalid, Outdated
from alerts.services.quiet_calendar import next_of, next_of_rows, runs_at
from alerts.services.quiet_rules import QuietRule, quiet_rule_change, quiet_rule_delete
from alerts.silencing import listing
from alerts.silencing.rule_forms import (
    ZONES,
    InhibitionForm,
    IntervalForms,
    MuteTimeForm,
    filled_inhibition,
    filled_intervals,
    filled_mute_time,
    interval_rows,
)

MOST_SHOWN = 200
OUTDATED = "Somebody changed this meanwhile and nothing was stored. Load it again."
NO_INTERVAL = "Fill in at least one interval: without any the mute time would hold always."


def _put(form: Form, row: QuietRule, request: HttpRequest, stored: bool, **more: Any) -> int:
    """Store a row; return 200, or the status of the answer that shows what is wrong."""
    version = form.cleaned_data["version"] if stored else None
    try:
        quiet_rule_change(row, actor=actor_of(request), now=clock.now(), version=version, **more)
    except Invalid as invalid:
        for name, text in invalid.problems.items():
            form.add_error(name if name in form.fields else None, text)
        return 422
    except Outdated:
        form.add_error(None, OUTDATED)
        return 409
    messages.success(request, f"{row.name} is stored.")
    return 200


# ---- Mute times


@require_GET
@role_required(Role.VIEWER)
def mute_times(request: HttpRequest) -> HttpResponse:
    """Show the recurring mute times, which of them run, and when each comes next."""
    now = clock.now()
    rows = MuteTime.objects.prefetch_related("policies").order_by("name")[:MOST_SHOWN]
    found = [
        {
            "row": row,
            "runs": runs_at(row, now),
            "next": next_of(row, now, 1),
            "intervals": filled_intervals(row.intervals),
        }
        for row in rows
    ]
    context = {"rows": found, "now": now, "may": listing.may(request), "zone": zone_of(request)}
    return render(request, "silences/mute_times.html", context)


def _mute_time(times_id: UUID) -> MuteTime:
    row = MuteTime.objects.prefetch_related("policies").filter(pk=times_id).first()
    if row is None:
        raise Http404("There is no such mute time.")
    return row


def _mute_form(
    request: HttpRequest, form: MuteTimeForm, intervals: Any, row: MuteTime | None, *, status: int = 200, **more: Any
) -> HttpResponse:
    now = clock.now()
    context: dict[str, Any] = {
        "form": form, "intervals": intervals, "row": row, "may": listing.may(request), "zones": ZONES, "now": now,
        "upcoming": next_of(row, now) if row is not None else [], "zone": zone_of(request),
        "turned": row.tells_inside if row is not None else False, **more,
    }  # fmt: skip
    return render(request, "silences/mute_time.html", context, status=status)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def new_mute_time(request: HttpRequest) -> HttpResponseBase:
    """Make a mute time."""
    if request.method == "GET":
        return _mute_form(request, MuteTimeForm(), IntervalForms(prefix="i"), None)
    return _mute_saved(request, MuteTime(), None)


@require_GET
@role_required(Role.VIEWER)
def mute_time(request: HttpRequest, times_id: UUID) -> HttpResponse:
    """Show one mute time with its next occurrences, and for editors the form."""
    row = _mute_time(times_id)
    intervals = IntervalForms(prefix="i", initial=filled_intervals(row.intervals))
    return _mute_form(request, MuteTimeForm(initial=filled_mute_time(row)), intervals, row)


@require_POST
@role_required(Role.EDITOR)
def save_mute_time(request: HttpRequest, times_id: UUID) -> HttpResponseBase:
    """Store a changed mute time."""
    row = _mute_time(times_id)
    return _mute_saved(request, row, row)


def _mute_saved(request: HttpRequest, row: MuteTime, stored: MuteTime | None) -> HttpResponseBase:
    form, intervals = MuteTimeForm(request.POST), IntervalForms(request.POST, prefix="i")
    valid = [form.is_valid(), intervals.is_valid()]
    if not all(valid):
        return _mute_form(request, form, intervals, stored, status=422)
    wanted = interval_rows(intervals)
    if not wanted:
        form.add_error(None, NO_INTERVAL)
        return _mute_form(request, form, intervals, stored, status=422)
    form.apply(row, wanted)
    status = _put(form, row, request, stored is not None, policies=form.cleaned_data["policies"])
    if status != 200:
        return _mute_form(request, form, intervals, stored, status=status)
    return redirect("silences:mute-time", times_id=row.pk)


@require_POST
@role_required(Role.EDITOR)
def delete_mute_time(request: HttpRequest, times_id: UUID) -> HttpResponseBase:
    """Delete a mute time; what it keeps quiet is told within seconds."""
    row = _mute_time(times_id)
    name = row.name
    quiet_rule_delete(row, actor=actor_of(request), now=clock.now())
    messages.success(request, f"{name} is deleted. What it kept quiet is told now.")
    return redirect("silences:mute-times")


@require_POST
@role_required(Role.EDITOR)
def preview_mute_time(request: HttpRequest) -> HttpResponse:
    """Show the next occurrences of the intervals that are filled in; nothing is stored."""
    intervals = IntervalForms(request.POST, prefix="i")
    context = _upcoming(intervals) | {"turned": bool(request.POST.get("tells_inside")), "now": clock.now()}
    if request.headers.get("HX-Request"):
        return render(request, "silences/_upcoming.html", context)
    form = MuteTimeForm(request.POST)
    form.is_valid()
    return _mute_form(request, form, intervals, None, **context)


def _upcoming(intervals: Any) -> dict[str, Any]:
    found: list[Window] = []
    problem = ""
    if intervals.is_valid():
        rows = interval_rows(intervals)
        found = next_of_rows(rows, clock.now()) if rows else []
    else:
        texts = [str(text) for each in intervals.errors for lines in each.values() for text in lines]
        problem = " ".join([*texts, *map(str, intervals.non_form_errors())])
    return {"upcoming": found, "problem": problem}


# ---- Inhibitions


@require_GET
@role_required(Role.VIEWER)
def inhibitions(request: HttpRequest) -> HttpResponse:
    """Show the inhibitions and how many open alerts each keeps quiet now."""
    rows = list(Inhibition.objects.order_by("name")[:MOST_SHOWN])
    counts = hiding.inhibits_now(rows)
    found = [{"row": row, "inhibits": counts.get(row.pk)} for row in rows]
    return render(
        request, "silences/inhibitions.html", {"rows": found, "may": listing.may(request), "now": clock.now()}
    )


def _inhibition(rule_id: UUID) -> Inhibition:
    row = Inhibition.objects.filter(pk=rule_id).first()
    if row is None:
        raise Http404("There is no such inhibition.")
    return row


def _inhibition_form(
    request: HttpRequest, form: InhibitionForm, row: Inhibition | None, *, status: int = 200
) -> HttpResponse:
    kept = hiding.inhibited_now(row) if row is not None else []
    context = {"form": form, "row": row, "kept": kept, "may": listing.may(request)}
    return render(request, "silences/inhibition.html", context, status=status)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def new_inhibition(request: HttpRequest) -> HttpResponseBase:
    """Make an inhibition."""
    if request.method == "GET":
        return _inhibition_form(request, InhibitionForm(), None)
    return _inhibition_saved(request, Inhibition(), None)


@require_GET
@role_required(Role.VIEWER)
def inhibition(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    """Show one inhibition with what it keeps quiet now, and for editors the form."""
    row = _inhibition(rule_id)
    return _inhibition_form(request, InhibitionForm(initial=filled_inhibition(row)), row)


@require_POST
@role_required(Role.EDITOR)
def save_inhibition(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Store a changed inhibition."""
    row = _inhibition(rule_id)
    return _inhibition_saved(request, row, row)


def _inhibition_saved(request: HttpRequest, row: Inhibition, stored: Inhibition | None) -> HttpResponseBase:
    form = InhibitionForm(request.POST)
    status = 422
    if form.is_valid():
        form.apply(row)
        status = _put(form, row, request, stored is not None)
    if status != 200:
        return _inhibition_form(request, form, stored, status=status)
    return redirect("silences:inhibition", rule_id=row.pk)


@require_POST
@role_required(Role.EDITOR)
def delete_inhibition(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Delete an inhibition; what it keeps quiet is told within seconds."""
    row = _inhibition(rule_id)
    name = row.name
    quiet_rule_delete(row, actor=actor_of(request), now=clock.now())
    messages.success(request, f"{name} is deleted. What it kept quiet is told now.")
    return redirect("silences:inhibitions")
