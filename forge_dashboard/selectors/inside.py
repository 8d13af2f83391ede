"""What lies inside a run: curves, log, the failure, gates and what came out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from forge_dashboard import curves as points_of
from forge_dashboard.failures import headline, last_frame, signature
from forge_dashboard.models import Artifact, Checkpoint, Curve, CurveChunk, GateResult, LogLine, PhaseRun, Run

LONGEST_TAIL = 2_000
MOST_POINTS = 5_000
MOST_CURVES = 50
FAILURE_LINES = 50
EARLIER_FAILURES = 200
SIMILAR_SHOWN = 5
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class CurveLine:
    """One curve, thinned so that every peak is still there. `steps` is None where points came without steps."""

    phase: str
    name: str
    steps: list[float] | None
    at_seconds: list[float]
    values: list[float]
    points: int
    thinned: bool


@dataclass(frozen=True, slots=True)
class LogTail:
    """Lines in the order they came; ask again with `last_id` for what is new."""

    lines: list[LogLine]
    last_id: int
    dropped: int


@dataclass(frozen=True, slots=True)
class SimilarFailure:
    """An earlier failure of the same phase; `same` when its error is the same but for numbers and names."""

    run: Run
    phase: str
    headline: str
    failed_at: datetime
    same: bool


@dataclass(frozen=True, slots=True)
class FailureCard:
    """What went wrong, in one place."""

    phase: str
    display: str
    error: str
    headline: str
    place: str
    message: str
    failed_at: datetime | None
    attempt: int
    lines: list[LogLine]
    similar: list[SimilarFailure]


def curve_names(viewer: Any, run: Run) -> list[Curve]:
    """Return which curves a run has; one query."""
    del viewer
    return list(Curve.objects.filter(run=run).order_by("phase", "name"))


def _named(names: Sequence[str]) -> Q:
    asked = Q()
    for name in names[:MOST_CURVES]:
        phase, sign, metric = name.rpartition("/")
        asked |= Q(curve__phase=phase, curve__name=metric) if sign else Q(curve__name=metric)
    return asked


def curves(
    viewer: Any, run: Run, names: Sequence[str] = (), *, max_points: int = 500, since_step: float | None = None
) -> list[CurveLine]:
    """Return curves by name (`loss`, or `forge_training/loss` of one phase), all without names; one query."""
    del viewer
    rows = CurveChunk.objects.filter(_named(names), curve__run=run).order_by("curve_id", "number")
    chunks: defaultdict[tuple[int, str, str, int], list[bytes]] = defaultdict(list)
    columns = ("curve_id", "curve__phase", "curve__name", "curve__points", "data")
    for pk, phase, name, count, data in rows.values_list(*columns):
        chunks[pk, phase, name, count].append(bytes(data))
    lines = [
        _line(phase, name, count, data, max(4, min(max_points, MOST_POINTS)), since_step)
        for (_, phase, name, count), data in list(chunks.items())[:MOST_CURVES]
    ]
    return sorted(lines, key=lambda line: (line.phase, line.name))


def _line(
    phase: str, name: str, count: int, chunks: list[bytes], max_points: int, since_step: float | None
) -> CurveLine:
    points = points_of.unpack(chunks)
    if since_step is not None:
        points = points_of.after_step(points, since_step)
    shown = points_of.thin(points, max_points)
    return CurveLine(
        phase=phase, name=name, points=count, thinned=shown.values.size < points.values.size,
        steps=shown.steps.tolist() if shown.stepped else None, at_seconds=shown.at_seconds.tolist(),
        values=shown.values.tolist(),
    )  # fmt: skip


def log_tail(
    viewer: Any, run: Run, *, after_id: int = 0, before_id: int = 0, limit: int = 1_000, level: str = "",
    phase: str = "",
) -> LogTail:  # fmt: skip
    """Return the last lines, those before an id, or those after one; a level means at least as bad; one query."""
    del viewer
    limit = max(1, min(limit, LONGEST_TAIL))
    rows = LogLine.objects.filter(run=run)
    if level in LEVELS:
        rows = rows.filter(level__in=LEVELS[LEVELS.index(level) :])
    if phase:
        rows = rows.filter(phase=phase)
    if after_id > 0:
        lines = list(rows.filter(pk__gt=after_id).order_by("pk")[:limit])
    else:
        rows = rows.filter(pk__lt=before_id) if before_id > 0 else rows
        lines = list(rows.order_by("-pk")[:limit])[::-1]
    return LogTail(lines, lines[-1].pk if lines else after_id, run.log_dropped)


def _similar(run: Run, failed: PhaseRun, error: str) -> list[SimilarFailure]:
    mark = signature(error)
    earlier = PhaseRun.objects.filter(phase=failed.phase, failed_at__isnull=False).exclude(run=run)
    rows = earlier.select_related("run").defer(
        "facts", "history", "metrics", "run__facts", "run__history", "run__config"
    )
    found = []
    for row in rows.order_by("-failed_at")[:EARLIER_FAILURES]:
        told = row.error or next((one["error"] for one in reversed(row.attempts) if one.get("error")), "")
        if row.failed_at is not None:
            found.append(
                SimilarFailure(
                    row.run, row.phase, headline(told), row.failed_at, bool(mark) and signature(told) == mark
                )
            )
    return sorted(found, key=lambda one: not one.same)[:SIMILAR_SHOWN]


def failure(viewer: Any, run: Run, phases: Sequence[PhaseRun]) -> FailureCard | None:
    """Return the card of the failed phase, or of a run that failed outside any; None where none did; two queries."""
    del viewer
    failed = max(
        (phase for phase in phases if phase.state == "failed"),
        key=lambda phase: (phase.ended_at is not None, phase.ended_at, phase.position),
        default=None,
    )
    if failed is None and run.state != "failed":
        return None
    lines = LogLine.objects.filter(run=run)
    if failed is not None:
        lines = lines.filter(Q(phase=failed.phase) | Q(phase=""))
    error = (failed.error if failed else "") or run.error
    return FailureCard(
        phase=failed.phase if failed else "", display=failed.display if failed else "", error=error,
        headline=headline(error) or (failed.message if failed else run.message), place=last_frame(error),
        message=(failed.message if failed else "") or run.message, attempt=failed.attempt if failed else 0,
        failed_at=failed.ended_at if failed else run.ended_at,
        lines=list(lines.order_by("-at", "-pk")[:FAILURE_LINES])[::-1],
        similar=_similar(run, failed, error) if failed else [],
    )  # fmt: skip


def gates(viewer: Any, run: Run) -> list[GateResult]:
    """Return the newest judgement of each gate; one query."""
    del viewer
    return list(GateResult.objects.filter(run=run).order_by("at", "id"))


def artifacts(viewer: Any, run: Run, *, limit: int = 200) -> list[Artifact]:
    """Return what came out, the newest first; one query."""
    del viewer
    return list(Artifact.objects.filter(run=run).order_by("-at", "-id")[:limit])


def checkpoints(viewer: Any, run: Run, *, limit: int = 50) -> list[Checkpoint]:
    """Return the places to go on from, the newest first; one query."""
    del viewer
    return list(Checkpoint.objects.filter(run=run).order_by("-at", "-id")[:limit])
