"""Puts what is derived into the rows people's pages read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from forge_dashboard.models import PhaseRun, Run
from forge_dashboard.reducer import Attempt, Event, PhaseView, Record, RunView

ATTEMPTS_KEPT = 20
NAMED = ("name", "model", "model_size", "owner", "wandb_url")
RUN_COLUMNS = [
    *NAMED, "config", "tags", "parent_external_id", "planned_phases", "state", "message", "error", "warnings",
    "progress", "current_phase", "started_at", "ended_at", "duration_seconds", "last_event_at",
    "reporting_interval_seconds", "version", "facts", "history", "event_count", "thing_count", "log_count",
    "log_dropped",
]  # fmt: skip
SHOWN = (
    "position", "state", "progress", "step", "total_steps", "message", "metrics", "warnings", "error", "started_at",
    "ended_at", "duration_seconds", "attempt", "attempts", "failed_at", "last_event_at",
)  # fmt: skip
PHASE_COLUMNS = [*SHOWN, "facts", "history", "counted"]


@dataclass(frozen=True, slots=True)
class Change:
    """Phases to be written, phases that are planned no longer, and whether a failure began or ended."""

    phases: list[PhaseRun]
    gone: list[int]
    failing: bool


def at(milliseconds: int) -> datetime:
    """Return the time of Unix milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def moment(milliseconds: int | None) -> datetime | None:
    """Return the time of Unix milliseconds, None for none."""
    return None if milliseconds is None else at(milliseconds)


def stand(
    run: Run, rows: dict[str, PhaseRun], record: Record, records: Mapping[str, Record], view: RunView,
    events: Sequence[Event],
) -> Change:  # fmt: skip
    """Set the columns of a run and its phases; nothing is saved."""
    _stand_run(run, record, view, events)
    spoken = {event.phase for event in events}
    changed: list[PhaseRun] = []
    failing = False
    for name, shown in view.phases.items():
        row = rows[name] if name in rows else PhaseRun(run=run, phase=name)
        before = [getattr(row, column) for column in SHOWN]
        kept = records.get(name) or Record()
        row.facts, row.history = kept.facts, kept.history
        _stand_phase(row, shown, view.positions[name])
        if name not in rows or name in spoken or before != [getattr(row, column) for column in SHOWN]:
            changed.append(row)
        failing = failing or (before[1] != row.state and "failed" in (before[1], row.state))
    gone = [row.pk for name, row in rows.items() if name not in view.phases]
    return Change(changed, gone, failing)


def _stand_run(run: Run, record: Record, view: RunView, events: Sequence[Event]) -> None:
    given = view.fields
    for name in NAMED:
        setattr(run, name, given[name] or "")
    run.config, run.tags = given["config"] or {}, given["tags"] or []
    run.parent_external_id = given["parent"] or ""
    run.reporting_interval_seconds = given["reporting_interval_seconds"]
    run.planned_phases, run.state, run.progress = view.planned, view.state, view.progress
    run.message, run.error, run.current_phase = view.message, view.error, view.current_phase
    run.warnings = [str(text)[:300] for text in record.get("warnings") or []][:50]
    run.started_at, run.ended_at = moment(view.started_ms), moment(view.ended_ms)
    run.duration_seconds = _seconds(run.started_at, run.ended_at)
    heard = at(max(event.received_ms for event in events))
    # A run that was begun by this very batch has heard of nothing before, however old what it is told now.
    run.last_event_at = max(run.last_event_at, heard) if run.event_count else heard
    run.facts, run.history = record.facts, record.history
    run.event_count += len(events)
    run.version += 1


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def _stand_phase(row: PhaseRun, view: PhaseView, position: int) -> None:
    last = view.last
    row.position, row.state, row.progress = position, view.state, view.progress
    row.step, row.total_steps, row.message = view.step, view.total_steps, view.message
    row.metrics, row.warnings, row.error = view.metrics, [text[:300] for text in view.warnings[:50]], view.error
    row.started_at, row.ended_at = moment(last.started_ms), moment(last.ended_ms)
    row.duration_seconds = last.duration_seconds
    row.attempt = len([one for one in view.attempts if one.started_ms is not None])
    row.attempts = [_attempt(one) for one in view.attempts[-ATTEMPTS_KEPT:] if one.started_ms or one.ended_ms]
    heard = [one.seen_ms for one in view.attempts if one.state == "failed" and one.seen_ms is not None]
    row.failed_at, row.last_event_at = moment(max(heard, default=None)), moment(view.last_ms)


def _attempt(one: Attempt) -> dict[str, Any]:
    times = {
        "started_at": one.started_ms, "ended_at": one.ended_ms, "seen_at": one.seen_ms,
        "begun_seen_at": one.begun_seen_ms,
    }  # fmt: skip
    shown = {name: time.isoformat() for name, ms in times.items() if (time := moment(ms)) is not None}
    return {**shown, "state": one.state, "error": one.error}


def save(runs: Sequence[Run], phases: Sequence[PhaseRun], gone: Sequence[int]) -> None:
    """Write the rows: three queries at most."""
    Run.objects.bulk_create(runs, update_conflicts=True, unique_fields=["id"], update_fields=RUN_COLUMNS)
    if gone:
        PhaseRun.objects.filter(pk__in=gone).delete()
    if phases:
        ordered = sorted(phases, key=lambda row: (str(row.run_id), row.phase))
        for row in ordered:
            # The pair names the row; with a key the statement would conflict twice.
            row.pk = None
        PhaseRun.objects.bulk_create(
            ordered, update_conflicts=True, unique_fields=["run", "phase"], update_fields=PHASE_COLUMNS
        )
