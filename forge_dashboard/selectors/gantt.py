"""The phases of a run on one axis of time: what was, what is, and when the rest will probably be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from forge_dashboard import timing
from forge_dashboard.models import PhaseRun, Run
from forge_dashboard.selectors.usual import Usual
from forge_dashboard.timing import Band, Estimate


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt at a phase; an open one has no end."""

    started_at: datetime
    ended_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class GanttBar:
    """One phase on the axis. `ends_low_at`, `ends_high_at` and `begins_at` are estimates of what is not over."""

    phase: str
    display: str
    state: str
    progress: float | None
    started_at: datetime | None
    ended_at: datetime | None
    elapsed_seconds: float | None
    attempt: int
    earlier: list[Span]
    usual: Band | None
    estimate: Estimate | None
    begins_at: datetime | None
    ends_low_at: datetime | None
    ends_high_at: datetime | None
    stub: bool


def _earlier(phase: PhaseRun) -> list[Span]:
    spans = []
    for one in phase.attempts[:-1]:
        started = datetime.fromisoformat(one["started_at"])
        ended = datetime.fromisoformat(one["ended_at"]) if one.get("ended_at") else None
        spans.append(Span(started, ended, one["state"]))
    return spans


def _estimate(phase: PhaseRun, usual: Band | None, now: datetime) -> tuple[float | None, Estimate | None]:
    if phase.started_at is None:
        return None, timing.not_begun(usual) if phase.state in ("pending", "queued") else None
    elapsed = max(0.0, ((phase.ended_at or now) - phase.started_at).total_seconds())
    return elapsed, timing.remaining(elapsed, phase.progress, usual) if phase.state == "running" else None


def gantt(run: Run, phases: Sequence[PhaseRun], usual: Usual, *, now: datetime) -> list[GanttBar]:
    """Return the bars in order; no query. A run that is over plans nothing more."""
    over = run.ended_at is not None
    low: datetime | None = now
    high: datetime | None = now
    bars = []
    for phase in phases:
        band = usual.of_phase(run, phase.phase)
        elapsed, estimate = _estimate(phase, band, now)
        waits = phase.state in ("pending", "queued")
        begins, ends_low, ends_high = (low if waits and not over else None), None, None
        if over and waits:
            estimate = None
        elif estimate is not None and low is not None and high is not None:
            low, high = ends_low, ends_high = (
                low + timedelta(seconds=estimate.low_seconds), high + timedelta(seconds=estimate.high_seconds),
            )  # fmt: skip
        elif waits or phase.state in ("running", "paused"):
            # Nobody knows when this one ends, so nobody knows when the next begins.
            low = high = None
        bars.append(
            GanttBar(
                phase=phase.phase, display=phase.display, state=phase.state, progress=phase.progress,
                started_at=phase.started_at, ended_at=phase.ended_at, elapsed_seconds=elapsed, attempt=phase.attempt,
                earlier=_earlier(phase), usual=band, estimate=estimate, begins_at=begins, ends_low_at=ends_low,
                ends_high_at=ends_high, stub="stub" in phase.warnings,
            )
        )  # fmt: skip
    return bars
