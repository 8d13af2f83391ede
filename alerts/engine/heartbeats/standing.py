"""How a job stands: what it told is folded into a few facts, and the facts, the schedule and the time make a verdict.

The facts are kept with every report, so the verdict about a past time is the one of the last report before it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from alerts.engine.heartbeats.schedule import Schedule


class JobState(StrEnum):
    """How a job stands."""

    NEW = "new"  # It never finished a run.
    UP = "up"
    LATE = "late"  # Expected, and within its grace.
    DOWN = "down"
    PAUSED = "paused"


class PingKind(StrEnum):
    """What a job told, or what was done to it."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"
    PAUSED = "paused"
    RESUMED = "resumed"


class Because(StrEnum):
    """Why a job is down."""

    MISSED = "missed"
    FAILED = "failed"
    OVERRUN = "overrun"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a job told, or that was done to it; `at` in epoch seconds."""

    at: float
    kind: PingKind
    run_id: str = ""
    exit_status: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is left of everything that was told until now."""

    finished_at: float | None = None  # From here the next report is counted: the end of a run, or when it was resumed.
    failed: bool = False
    exit_status: int | None = None
    started_at: float | None = None  # Of the run that is under way.
    run_id: str = ""
    paused_at: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a job stands at a time, since when, and when it is expected."""

    state: JobState
    since: float | None = None
    because: Because | None = None
    expected_at: float | None = None
    down_at: float | None = None  # When it is down unless it reports.
    running_since: float | None = None


def told(facts: Facts, event: Event) -> tuple[Facts, float | None]:
    """Return the facts after an event, and how many seconds the run took that ended with it, where that is known."""
    if event.kind is PingKind.START:
        return replace(facts, started_at=event.at, run_id=event.run_id), None
    if event.kind in (PingKind.SUCCESS, PingKind.FAIL):
        return _finished(facts, event)
    if event.kind is PingKind.PAUSED:
        return replace(facts, paused_at=event.at), None
    if event.kind is PingKind.RESUMED:
        # Time starts anew: what was missed while nobody cared is not held against it.
        return Facts(finished_at=event.at if facts.finished_at is not None else None), None
    return facts, None


def _finished(facts: Facts, event: Event) -> tuple[Facts, float | None]:
    failed = event.kind is PingKind.FAIL
    after = replace(facts, finished_at=event.at, failed=failed, exit_status=event.exit_status)
    if facts.started_at is None:
        return after, None
    same_run = facts.run_id == event.run_id
    # Another run's success says nothing about the one under way; a failure, or a report of no run, ends the wait.
    if same_run or failed or not event.run_id:
        after = replace(after, started_at=None, run_id="")
    return after, event.at - facts.started_at if same_run else None


def verdict(facts: Facts, schedule: Schedule, now: float) -> Verdict:
    """Return how a job stands at a time; raises BadSchedule."""
    running = facts.started_at
    if facts.paused_at is not None:
        return Verdict(JobState.PAUSED, facts.paused_at, running_since=running)
    if facts.failed:
        expected_at = schedule.next_after(facts.finished_at) if facts.finished_at is not None else None
        return Verdict(JobState.DOWN, facts.finished_at, Because.FAILED, expected_at, facts.finished_at, running)
    ends_at = _longest_end(facts, schedule)
    if facts.finished_at is None:
        return _never_finished(ends_at, running, now)
    expected_at = schedule.next_after(facts.finished_at)
    down_at, because = expected_at + schedule.grace_seconds, Because.MISSED
    # A run that began in time is under way until its longest time is over.
    if ends_at is not None and running is not None and running < down_at:
        down_at, because = ends_at, Because.OVERRUN
    if now >= down_at:
        return Verdict(JobState.DOWN, down_at, because, expected_at, down_at, running)
    if because is Because.MISSED and now >= expected_at:
        return Verdict(JobState.LATE, expected_at, None, expected_at, down_at, running)
    return Verdict(JobState.UP, facts.finished_at, None, expected_at, down_at, running)


def _never_finished(ends_at: float | None, running: float | None, now: float) -> Verdict:
    if ends_at is not None and now >= ends_at:
        return Verdict(JobState.DOWN, ends_at, Because.OVERRUN, None, ends_at, running)
    return Verdict(JobState.NEW, None, None, None, ends_at, running)


def _longest_end(facts: Facts, schedule: Schedule) -> float | None:
    if facts.started_at is None or schedule.longest_run_seconds is None:
        return None
    return facts.started_at + schedule.longest_run_seconds


def kind_of(action: str) -> tuple[PingKind, int | None] | None:
    """Return what the end of a ping's address means; None for what means nothing."""
    if action == "":
        return PingKind.SUCCESS, None
    if action in (PingKind.START, PingKind.FAIL, PingKind.LOG):
        return PingKind(action), None
    if action.isascii() and action.isdigit() and len(action) <= 3 and int(action) <= 255:
        return (PingKind.FAIL if int(action) else PingKind.SUCCESS), int(action)
    return None
