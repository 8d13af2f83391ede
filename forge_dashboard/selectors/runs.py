"""The list of runs, the tiles above it, and one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, DurationField, ExpressionWrapper, F, Prefetch, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Greatest

from aivillage_console.lib import clock
from forge_dashboard import timing
from forge_dashboard.models import Artifact, Checkpoint, GateResult, PhaseRun, Run
from forge_dashboard.selectors.usual import Usual, usual_phases, usual_runs
from forge_dashboard.timing import Band, Estimate

PAGE = 50
LONGEST_PAGE = 200
ACTIVE = ("queued", "running", "paused")
STATES = ("active", "running", "stalled", "queued", "paused", "succeeded", "failed", "cancelled", "all")
MODELS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class PhaseBar:
    """One phase in the bar of a run."""

    phase: str
    display: str
    state: str
    progress: float | None
    stub: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of the list of runs."""

    run: Run
    state: str
    phases: list[PhaseBar]
    elapsed_seconds: float | None
    usual: Band | None
    estimate: Estimate | None
    last_checkpoint_at: datetime | None = None

    @property
    def current(self) -> PhaseBar | None:
        """Return the phase it is at."""
        return next((bar for bar in self.phases if bar.phase == self.run.current_phase), None)


@dataclass(frozen=True, slots=True)
class RunsPage:
    """One page of runs and where the next begins."""

    rows: list[RunRow]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Tiles:
    """How many runs there are."""

    active: int
    stalled: int
    completed: int
    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class RunDetail:
    """One run with everything its page shows at once; curves, log and failure have calls of their own."""

    row: RunRow
    run: Run
    state: str
    phases: list[PhaseRun]
    gates: list[GateResult]
    artifacts: list[Artifact]
    checkpoints: list[Checkpoint]
    parent: Run | None
    usual: Usual


def shown_state(run: Run, now: datetime) -> str:
    """Return the word people see: a run that should be at work and says nothing is stalled."""
    silent = timing.is_stalled(run.state, run.last_event_at, run.reporting_interval_seconds, now)
    return "stalled" if silent else run.state


def _silent(now: datetime) -> Q:
    seconds = Greatest(
        Value(float(timing.LEAST_SILENCE_SECONDS)),
        Coalesce(F("reporting_interval_seconds"), Value(0.0)) * timing.INTERVALS_OF_SILENCE,
    )
    silence = ExpressionWrapper(seconds * Value(timedelta(seconds=1)), output_field=DurationField())
    # The first condition is the index's; the second is the run's own.
    return (
        Q(state="running", last_event_at__lte=now - timedelta(seconds=timing.LEAST_SILENCE_SECONDS))
        & Q(last_event_at__lte=ExpressionWrapper(Value(now) - silence, output_field=Run._meta.get_field("created_at")))
    )  # fmt: skip


def _in_state(rows: QuerySet[Run], state: str, now: datetime) -> QuerySet[Run]:
    if state in ("", "all"):
        return rows
    if state == "active":
        return rows.filter(state__in=ACTIVE)
    return rows.filter(_silent(now)) if state == "stalled" else rows.filter(state=state)


def _after(rows: QuerySet[Run], cursor: str) -> QuerySet[Run]:
    micros, _, pk = cursor.partition(".")
    try:
        at = clock.at_seconds(0) + timedelta(microseconds=int(micros))
        return rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=Run._meta.pk.to_python(pk)))
    except (ValueError, OverflowError, ValidationError):
        return rows


def _cursor(run: Run) -> str:
    return f"{(run.created_at - clock.at_seconds(0)) // timedelta(microseconds=1)}.{run.pk}"


def _bars(phases: Sequence[PhaseRun]) -> list[PhaseBar]:
    return [
        PhaseBar(one.phase, one.display, one.state, one.progress, "stub" in one.warnings)
        for one in sorted(phases, key=lambda one: (one.position, one.phase))
    ]


def elapsed_seconds(run: Run, now: datetime) -> float | None:
    """Return how long a run took, or takes until now."""
    if run.started_at is None:
        return None
    return max(0.0, ((run.ended_at or now) - run.started_at).total_seconds())


def _row(run: Run, phases: Sequence[PhaseRun], usual: Band | None, now: datetime) -> RunRow:
    elapsed, state = elapsed_seconds(run, now), shown_state(run, now)
    estimate = None
    if state == "running" and elapsed is not None:
        estimate = timing.remaining(elapsed, run.progress, usual)
    return RunRow(run, state, _bars(phases), elapsed, usual, estimate)


def runs_page(
    viewer: Any, *, state: str = "", model: str = "", text: str = "", cursor: str = "", limit: int = PAGE,
    now: datetime,
) -> RunsPage:  # fmt: skip
    """Return a page of runs, the newest first; three queries."""
    del viewer  # Per-component roles come later; the signature is what they need.
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = _in_state(Run.objects.select_related("source"), state, now)
    if model:
        rows = rows.filter(model=model)
    for word in text.replace("\0", "").split()[:8]:
        fields = ("name", "external_id", "model", "owner", "tags")
        rows = rows.filter(reduce(or_, (Q(**{f"{field}__icontains": word}) for field in fields)))
    rows = _after(rows, cursor) if cursor else rows
    found = list(rows.defer("facts", "history", "config").order_by("-created_at", "-id")[: limit + 1])
    shown = found[:limit]
    more = _cursor(shown[-1]) if len(found) > limit else ""
    return RunsPage(_rows(shown, now), more)


def _rows(runs: list[Run], now: datetime) -> list[RunRow]:
    if not runs:
        return []
    phases: dict[Any, list[PhaseRun]] = {run.pk: [] for run in runs}
    for phase in PhaseRun.objects.filter(run__in=runs).defer("facts", "history", "metrics", "attempts"):
        phases[phase.run_id].append(phase)
    bands = usual_runs(run.model_size for run in runs)
    return [_row(run, phases[run.pk], bands.get(run.model_size), now) for run in runs]


def active_rows(viewer: Any, *, now: datetime, limit: int = 5) -> list[RunRow]:
    """Return the runs at work, the newest first, for the Overview."""
    return runs_page(viewer, state="active", limit=limit, now=now).rows


def tiles(viewer: Any, *, now: datetime) -> Tiles:
    """Return how many runs are active, done and failed; one query."""
    del viewer
    counts = Run.objects.aggregate(
        active=Count("pk", filter=Q(state__in=ACTIVE)), stalled=Count("pk", filter=_silent(now)),
        completed=Count("pk", filter=Q(state="succeeded")), failed=Count("pk", filter=Q(state="failed")),
        total=Count("pk"),
    )  # fmt: skip
    return Tiles(**counts)


def models_seen(viewer: Any) -> list[str]:
    """Return the names of models that runs were about, for the filter; one query."""
    del viewer
    names = Run.objects.exclude(model="").order_by("model").values_list("model", flat=True).distinct()
    return list(names[:MODELS_SHOWN])


def run_detail(viewer: Any, run_id: Any, *, now: datetime) -> RunDetail | None:
    """Return a run with its phases, gates, artifacts, checkpoints and bands, or None; eight queries."""
    del viewer
    # Newest first and bounded: a sender may name thousands.
    inner = [
        Prefetch("phases", PhaseRun.objects.order_by("position", "phase")),
        Prefetch("gates", GateResult.objects.order_by("at", "id")),
    ]
    run = Run.objects.select_related("source").prefetch_related(*inner).filter(pk=run_id).first()
    if run is None:
        return None
    phases = list(run.phases.all())
    usual = Usual(usual_runs([run.model_size]), usual_phases(run.model_size, without=run))
    row = _row(run, phases, usual.of_run(run), now)
    parent = None
    if run.parent_external_id:
        parent = Run.objects.filter(source=run.source_id, external_id=run.parent_external_id).first()
    return RunDetail(
        row=row, run=run, state=row.state, phases=phases, gates=list(run.gates.all()), parent=parent, usual=usual,
        artifacts=list(Artifact.objects.filter(run=run).order_by("-at", "-id")[:200]),
        checkpoints=list(Checkpoint.objects.filter(run=run).order_by("-at", "-id")[:50]),
    )  # fmt: skip


def versions(viewer: Any, topics: Sequence[str]) -> dict[str, int]:
    """Return the version of each run topic (`run:<uuid>`), for a page that missed a ring; one query."""
    del viewer
    ids = [topic.removeprefix("run:") for topic in topics if topic.startswith("run:")]
    return {f"run:{pk}": version for pk, version in Run.objects.filter(pk__in=ids).values_list("pk", "version")}
