"""The rule kinds `phase_failed` and `run_stalled`: one alert a phase and run, with the failure as its evidence."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from alerts.rules.fields import SpecField
from alerts.rules.kinds import AskedKind, Case
from forge_dashboard import timing
from forge_dashboard.catalogue import display
from forge_dashboard.failures import headline, last_frame
from forge_dashboard.models import LogLine, PhaseRun, Run
from forge_dashboard.reducer import Record, attempts
from forge_dashboard.selectors.inside import FAILURE_LINES

KEYS = frozenset({"phases", "models", "model_sizes"})
MOST_NAMES = 50
MOST_CASES = 200
# Cases whose lines are shown; of a flood of failures the first tell enough.
MOST_WITH_LINES = 20
LONGEST_ERROR = 4_000
LONGEST_LINE = 300
# A run nobody has heard of for a week has been given up; an alert about it would never end.
GIVEN_UP = timedelta(days=7)
Lines = Mapping[tuple[Any, str], list[str]]


def problems(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a spec, by key."""
    found = {}
    for key in sorted(KEYS & set(spec)):
        names = spec[key]
        if (
            not isinstance(names, list) or len(names) > MOST_NAMES
            or not all(isinstance(name, str) and name for name in names)
        ):  # fmt: skip
            found[key] = f"{key} is a list of at most {MOST_NAMES} names; leave it out for all."
    return found


def _narrowed(spec: Mapping[str, Any], prefix: str) -> Q:
    wanted = Q()
    if spec.get("models"):
        wanted &= Q(**{f"{prefix}model__in": spec["models"]})
    if spec.get("model_sizes"):
        wanted &= Q(**{f"{prefix}model_size__in": spec["model_sizes"]})
    return wanted


def _time(attempt: Mapping[str, str], name: str) -> datetime | None:
    return datetime.fromisoformat(attempt[name]) if attempt.get(name) else None


def _failing(phase: PhaseRun, window: timedelta, at: datetime) -> dict[str, str] | None:
    """Return the attempt whose failure holds at a time: heard of, not too long ago, and not begun again since."""
    for attempt, later in zip(phase.attempts, [*phase.attempts[1:], {}], strict=True):
        seen, again = _time(attempt, "seen_at"), _time(later, "begun_seen_at")
        if attempt["state"] != "failed" or seen is None or not seen <= at < seen + window:
            continue
        if again is None or again > at:
            return dict(attempt)
    return None


def phases_failed(spec: Mapping[str, Any], window_seconds: int, at: datetime) -> list[Case]:
    """Return the phases that failed within the window before a time and have not begun again."""
    window = timedelta(seconds=window_seconds)
    rows = PhaseRun.objects.filter(_narrowed(spec, "run__"), failed_at__gt=at - window)
    if spec.get("phases"):
        rows = rows.filter(phase__in=spec["phases"])
    rows = rows.select_related("run__source").order_by("-failed_at", "pk")
    unread = ("facts", "history", "run__facts", "run__history", "run__config")
    held = [(row, failed) for row in rows.defer(*unread)[:MOST_CASES] if (failed := _failing(row, window, at))]
    lines = _lines([(row.run_id, row.phase) for row, _ in held[:MOST_WITH_LINES]], at)
    return [_failed_case(row, failed, lines) for row, failed in held]


def _failed_case(row: PhaseRun, failed: Mapping[str, str], lines: Lines) -> Case:
    run, name = row.run, display(row.phase)
    error = row.error or failed.get("error", "")
    said = headline(error) or row.message or "it gave no reason"
    return Case(
        labels={**_labels(run), "phase": row.phase}, value=float(max(row.attempt, 1)),
        annotations={
            "summary": f"{name} of {run.shown_name} failed: {said}",
            "description": f"Phase {name} of run {run.shown_name} failed at attempt {max(row.attempt, 1)}: {said}",
            "run_url": run_url(run),
        },
        evidence={
            **_facts(run), "phase": row.phase, "display": name, "attempt": row.attempt, "headline": said,
            "error": error[-LONGEST_ERROR:], "place": last_frame(error), "message": row.message,
            "started_at": failed.get("started_at", ""), "failed_at": failed.get("ended_at", ""), "step": row.step,
            "total_steps": row.total_steps, "progress": row.progress, "lines": lines.get((run.pk, row.phase), []),
        },
    )  # fmt: skip


def run_url(run: Run) -> str:
    """Return where people read about a run."""
    return f"{settings.CONFIG.public_url.rstrip('/')}/forge/runs/{run.pk}/"


def _labels(run: Run) -> dict[str, str]:
    given = {
        "run": run.external_id, "run_name": run.shown_name, "model": run.model, "model_size": run.model_size,
        "source": run.source.name,
    }  # fmt: skip
    return {name: text for name, text in given.items() if text}


def _facts(run: Run) -> dict[str, Any]:
    return {"run_id": str(run.pk), "run": run.external_id, "run_name": run.shown_name, "run_url": run_url(run)}


def _lines(wanted: Sequence[tuple[Any, str]], at: datetime) -> Lines:
    """Return the last lines of phases; one query."""
    found: defaultdict[tuple[Any, str], list[str]] = defaultdict(list)
    if not wanted:
        return found
    phases = {phase for _, phase in wanted}
    rows = LogLine.objects.filter(run__in=[run for run, _ in wanted], phase__in=phases, at__lte=at)
    columns = ("run_id", "phase", "level", "text")
    for run, phase, level, text in rows.order_by("-pk").values_list(*columns)[: FAILURE_LINES * len(wanted)]:
        if len(found[run, phase]) < FAILURE_LINES:
            found[run, phase].insert(0, f"{level}: {text[:LONGEST_LINE]}")
    return found


def _candidates(spec: Mapping[str, Any], at: datetime) -> QuerySet[Run]:
    silent = at - timedelta(seconds=timing.LEAST_SILENCE_SECONDS)
    # At work now and silent since; or over or heard of since, which only a question about the past meets.
    rows = Run.objects.filter(_narrowed(spec, ""), created_at__lte=silent, last_event_at__gt=at - GIVEN_UP)
    rows = rows.filter(Q(state="running", last_event_at__lte=silent) | Q(last_event_at__gt=at))
    if spec.get("phases"):
        rows = rows.filter(current_phase__in=spec["phases"])
    return rows.select_related("source").defer("config").order_by("-last_event_at", "pk")[:MOST_CASES]


def _at_work(run: Run, at: datetime) -> bool:
    """Tell whether a run was at work at a time, as far as the console had heard by then."""
    at_ms = int(at.timestamp() * 1000)
    heard = [word for word in run.history if word[5] <= at_ms]
    tries = attempts(Record({}, heard))
    if any(word[3] == "running" or word[3] == "paused" for word in heard):
        return tries[-1].state == "running"
    return run.state == "running" if run.ended_at is None else run.ended_at > at


def _heard_at(run: Run, at: datetime) -> datetime | None:
    if run.last_event_at <= at:
        return run.last_event_at
    return run.events.filter(received_at__lte=at).order_by("-received_at").values_list("received_at", flat=True).first()


def runs_stalled(spec: Mapping[str, Any], _window_seconds: int, at: datetime) -> list[Case]:
    """Return the runs that should be at work at a time and had said nothing for too long by then."""
    cases = []
    for run in _candidates(spec, at):
        heard = _heard_at(run, at)
        if _at_work(run, at) and timing.is_stalled("running", heard, run.reporting_interval_seconds, at):
            cases.append(_stalled_case(run, heard or run.created_at, at))
    return cases


def _stalled_case(run: Run, heard: datetime, at: datetime) -> Case:
    silent = float(round((at - heard).total_seconds()))
    phase = display(run.current_phase) if run.current_phase else ""
    where = f" in {phase}" if phase else ""
    allowed = timing.silence_seconds(run.reporting_interval_seconds)
    return Case(
        labels=_labels(run), value=silent,
        annotations={
            "summary": f"{run.shown_name} has said nothing for {silent / 60:.0f} minutes{where}",
            "description": f"Run {run.shown_name} should be at work{where}; it may be silent for {allowed:.0f} s.",
            "run_url": run_url(run),
        },
        evidence={
            **_facts(run), "phase": run.current_phase, "display": phase, "last_event_at": heard.isoformat(),
            "silent_seconds": silent, "allowed_seconds": allowed, "message": run.message,
        },
    )  # fmt: skip


FIELDS = tuple(
    SpecField(name=name, type="json", label=label, example=example, help="A list; leave it out for all.")
    for name, label, example in (
        ("phases", "Phases", '["quietstar"]'), ("models", "Models", '["qwen"]'), ("model_sizes", "Sizes", '["7b"]'),
    )
)  # fmt: skip
PHASE_FAILED = AskedKind(
    label="Phase failed", keys=KEYS, problems=problems, ask=phases_failed,
    fields=FIELDS, help="A phase of a run failed within the window and has not begun again.",
    over="the phase runs again, or its failure is past the window", evidence_template="forge/_alert_evidence.html",
)  # fmt: skip
RUN_STALLED = AskedKind(
    label="Run stalled",
    keys=KEYS,
    fields=FIELDS,
    help="A run that goes on has not been heard of for the window.",
    problems=problems,
    ask=runs_stalled,
    over="the run was heard of again, or is over",
    evidence_template="forge/_alert_evidence.html",
)
