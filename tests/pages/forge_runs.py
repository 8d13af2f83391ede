"""Runs to look at, written straight into the tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aivillage_console.accounts.services import source_named
from forge_dashboard.curves import pack
from forge_dashboard.models import Artifact, Checkpoint, Curve, CurveChunk, GateResult, LogLine, PhaseRun, Run

HOSTILE = '<img src=x onerror=alert(1)>" onmouseover="alert(2)'
PHASES = ("evomerge", "quietstar", "bitnet", "forge_training", "tool_persona_baking", "adas", "final_compression")


def make_run(external_id: str = "night-1", state: str = "running", minutes: float = 30, **columns: Any) -> Run:
    """Return a run that began some minutes ago."""
    now = datetime.now(UTC)
    started = now - timedelta(minutes=minutes)
    ended = now if state in ("succeeded", "failed", "cancelled") else None
    given: dict[str, Any] = {
        "source": source_named("forge-test"), "external_id": external_id, "name": external_id,
        "model": "tiny", "model_size": "25M",
        "state": state, "started_at": started, "created_at": started, "last_event_at": now, "ended_at": ended,
        "duration_seconds": minutes * 60 if ended else None, "progress": 0.4, "planned_phases": list(PHASES),
    } | columns  # fmt: skip
    return Run.objects.create(**given)


def add_phases(run: Run, states: tuple[str, ...] = ("succeeded", "running"), minutes: float = 10) -> list[PhaseRun]:
    """Give a run its phases: the first ones in these states, the rest still to come."""
    made, at = [], run.started_at
    assert at is not None
    for place, phase in enumerate(PHASES):
        state = states[place] if place < len(states) else "pending"
        over = state in ("succeeded", "failed", "skipped", "cancelled")
        end = at + timedelta(minutes=minutes)
        made.append(PhaseRun.objects.create(
            run=run, phase=phase, position=place, state=state, progress=0.43 if state == "running" else None,
            step=430 if state == "running" else None, total_steps=1000 if state == "running" else None,
            started_at=None if state == "pending" else at, ended_at=end if over else None,
            duration_seconds=minutes * 60 if over else None, attempt=0 if state == "pending" else 1,
            last_event_at=run.last_event_at if state == "running" else None,
            error="RuntimeError: out of memory" if state == "failed" else "",
            metrics={"loss": 0.4213} if state == "running" else {},
            warnings=["stub"] if state == "skipped" else [],
        ))  # fmt: skip
        if state == "running":
            run.current_phase = phase
        at = end if over else at
    run.save()
    return made


def add_curve(run: Run, name: str, values: list[float], phase: str = "quietstar") -> Curve:
    """Give a run a curve of a point every ten seconds."""
    assert run.started_at is not None
    begun = run.started_at.timestamp()
    curve = Curve.objects.create(run=run, phase=phase, name=name, points=len(values))
    data = pack([(float(place), begun + 10 * place, value) for place, value in enumerate(values)])
    CurveChunk.objects.create(curve=curve, number=0, data=data)
    return curve


def add_lines(run: Run, count: int, level: str = "info", text: str = "line", phase: str = "quietstar") -> list[LogLine]:
    """Give a run lines of a log."""
    at = datetime.now(UTC)
    rows = [LogLine(run=run, at=at, phase=phase, level=level, text=f"{text} {place}") for place in range(count)]
    return LogLine.objects.bulk_create(rows)


def add_outcome(run: Run) -> None:
    """Give a run a gate that failed, an artifact and a checkpoint."""
    now = datetime.now(UTC)
    GateResult.objects.create(run=run, phase="bitnet", gate="compression_efficiency", display="Compression Efficiency",
                              state="failed", reasons=["compression_ratio is 4; compression_ratio >= 6.3 is asked"],
                              at=now, event_id="g1")  # fmt: skip
    Artifact.objects.create(run=run, phase="evomerge", type="model", name="merged.safetensors", size_bytes=25_083_528,
                            sha256="ab" * 32, url="https://models.example.org/m", at=now, event_id="a1")  # fmt: skip
    Checkpoint.objects.create(run=run, phase="quietstar", name="step-400", step=400, at=now, event_id="c1")


def touch(run: Run) -> None:
    """Raise the version of a run, as every change does."""
    run.refresh_from_db()
    Run.objects.filter(pk=run.pk).update(version=run.version + 1)
