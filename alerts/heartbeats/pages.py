"""Pages of heartbeats: the list of jobs, one of them with its history, its form, its address and snippets."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from aivillage_console.lib.durations import format_seconds
from alerts.engine.heartbeats.schedule import BadSchedule
from alerts.engine.heartbeats.standing import JobState, Verdict
from alerts.heartbeats.forms import SHOWN_AT, JobForm, filled
from alerts.heartbeats.pictures import Strip, strips
from alerts.models import CronJob, Ping
from alerts.rules.heartbeats import because_text, verdicts_at
from alerts.services import configuration
from alerts.services.heartbeats import expected_times, job_pause, job_rotate, job_save

MOST_SHOWN, PINGS_SHOWN = 300, 50
WORST_FIRST = (JobState.DOWN, JobState.LATE, JobState.UP, JobState.NEW, JobState.PAUSED)
OUTPUT_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """A job as the list shows it."""

    job: CronJob
    standing: Verdict
    because: str
    expected: str
    strip: Strip | None = None


def _may_change(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(Role.EDITOR))


def schedule_words(job: CronJob) -> str:
    """Return in words when a job is expected."""
    grace = f", {format_seconds(job.grace_seconds)} of grace"
    return (f"{job.cron} ({job.time_zone})" if job.cron else f"every {format_seconds(job.period_seconds)}") + grace


def rows_of(jobs: list[CronJob], now: datetime) -> list[Row]:
    """Return jobs as they stand now, the worst first."""
    found = [
        Row(job, standing, because_text(job, facts, standing) if standing.because else "", schedule_words(job))
        for job, facts, standing in verdicts_at(jobs, now)
    ]
    return sorted(found, key=lambda row: (WORST_FIRST.index(row.standing.state), row.job.name))


@require_GET
@role_required(Role.VIEWER)
def jobs(request: HttpRequest) -> HttpResponse:
    """Show how every job stands, and its last reports."""
    rows = rows_of(list(CronJob.objects.all()), clock.now())
    shown = rows[:MOST_SHOWN]
    pictures = strips([row.job.pk for row in shown])
    counts = {state.value: sum(row.standing.state is state for row in rows) for state in WORST_FIRST}
    context = {
        "rows": [(row, pictures.get(row.job.pk)) for row in shown], "hidden": len(rows) - len(shown),
        "counts": {name: count for name, count in counts.items() if count}, "may_change": _may_change(request),
    }  # fmt: skip
    fragment = request.GET.get("fragment") == "rows"
    return render(request, "heartbeats/_rows.html" if fragment else "heartbeats/list.html", context)


def _job(job_id: UUID) -> CronJob:
    found = CronJob.objects.filter(pk=job_id).first()
    if found is None:
        raise Http404("There is no such job.")
    return found


def address_of(job: CronJob, key: str = "") -> str:
    """Return what a job calls, with its key where that is known, else with how it ends."""
    return f"{settings.CONFIG.public_url.rstrip('/')}/ping/{key or f'…{job.key_hint}'}"


def _shown(
    request: HttpRequest, form: JobForm, job: CronJob | None, *, status: int = 200, key: str = ""
) -> HttpResponse:
    """Show the form; of a stored job also how it stands, its address and what it told."""
    context: dict[str, Any] = {"form": form, "job": job, "may_change": _may_change(request), "key": key}
    if job is not None:
        context |= _standing(job) | {"address": address_of(job, key)}
    fragment = request.GET.get("fragment") == "standing" and job is not None
    return render(request, "heartbeats/_standing.html" if fragment else "heartbeats/job.html", context, status=status)


def _standing(job: CronJob) -> dict[str, Any]:
    now = clock.now()
    pings = list(Ping.objects.filter(job=job).order_by("-at", "-number")[:PINGS_SHOWN])
    took = [ping.duration_ms for ping in pings if ping.duration_ms is not None]
    try:
        upcoming = expected_times(job, now=now) if job.cron else []
    except BadSchedule:
        upcoming = []
    return {
        "row": rows_of([job], now)[0], "pings": [(ping, _text(ping)) for ping in pings], "upcoming": upcoming,
        "strip": strips([job.pk]).get(job.pk), "usual_seconds": sorted(took)[len(took) // 2] / 1000 if took else None,
        "last_output": next(((ping, _text(ping)) for ping in pings if ping.body), None),
    }  # fmt: skip


def _text(ping: Ping) -> str:
    return bytes(ping.body)[:OUTPUT_SHOWN].decode("utf-8", "replace")


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def new(request: HttpRequest) -> HttpResponseBase:
    """Make a job; its key is shown on the answer and nowhere else."""
    if request.method == "GET":
        return _shown(request, JobForm(), None)
    return _saved(request, CronJob(), None)


@require_GET
@role_required(Role.VIEWER)
def detail(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show one job: how it stands, what it told, and for editors its form."""
    job = _job(job_id)
    return _shown(request, JobForm(initial=filled(job)), job)


@require_POST
@role_required(Role.EDITOR)
def save(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Store a changed job."""
    job = _job(job_id)
    return _saved(request, job, job)


def _saved(request: HttpRequest, row: CronJob, stored: CronJob | None) -> HttpResponseBase:
    form = JobForm(request.POST)
    if not form.is_valid():
        return _shown(request, form, stored, status=422)
    form.apply(row)
    version = form.cleaned_data["version"] if stored else None
    try:
        made = job_save(row, actor=actor_of(request), now=clock.now(), version=version)
    except configuration.Invalid as invalid:
        for field, text in invalid.problems.items():
            shown_at = SHOWN_AT.get(field, field)
            form.add_error(shown_at if shown_at in form.fields else None, text)
        return _shown(request, form, _job(row.pk) if stored else None, status=422)
    except configuration.Outdated:
        form.add_error(None, "Somebody changed this meanwhile and nothing was stored. Load it again.")
        return _shown(request, form, _job(row.pk), status=409)
    if stored is not None:
        messages.success(request, f"{row.name} is stored.")
        return redirect("heartbeats:detail", job_id=row.pk)
    return _shown(request, JobForm(initial=filled(row)), row, status=201, key=made.key)


@require_POST
@role_required(Role.EDITOR)
def rotate(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Give a job a new key and show it this once."""
    made = job_rotate(_job(job_id), actor=actor_of(request), now=clock.now())
    return _shown(request, JobForm(initial=filled(made.job)), made.job, key=made.key)


@require_POST
@role_required(Role.RESPONDER)
def pause(request: HttpRequest, job_id: UUID, action: str) -> HttpResponseBase:
    """Pause a job, or have it watched again."""
    paused = action == "pause"
    job = job_pause(_job(job_id), actor=actor_of(request), now=clock.now(), paused=paused)
    messages.success(request, f"{job.name} is {'paused: nobody is told of it' if paused else 'watched again'}.")
    return redirect("heartbeats:detail", job_id=job.pk)


@require_POST
@role_required(Role.EDITOR)
def delete(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Delete a job with its history; its address ends."""
    job = _job(job_id)
    name = job.name
    configuration.configured_delete(job, actor=actor_of(request), now=clock.now())
    messages.success(request, f"{name} is deleted.")
    return redirect("heartbeats:list")
