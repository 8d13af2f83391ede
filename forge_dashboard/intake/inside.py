"""Stores what lies inside a run: its events, points, lines, gates, artifacts and checkpoints."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from django.db import connection, models

from forge_dashboard.catalogue import GateState, gate_judge, gate_named
from forge_dashboard.curves import CHUNK_POINTS, pack
from forge_dashboard.intake.rows import points
from forge_dashboard.intake.standing import at
from forge_dashboard.models import Artifact, Checkpoint, GateResult, LogLine, PipelineEvent, Run
from forge_dashboard.reducer import Event

MAX_LINES = 10_000
# Old lines go in lots: a delete a batch would cost more than the lines.
SPARE_LINES = 1_000
EXCERPT_CHARS = 2_000
BATCH = 5_000
Told = Sequence[tuple[Run, Sequence[Event]]]
Row = TypeVar("Row", bound=models.Model)
CURVES = """
INSERT INTO forge_dashboard_curve (run_id, phase, name, points)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::integer[])
ON CONFLICT (run_id, phase, name) DO UPDATE SET points = forge_dashboard_curve.points + EXCLUDED.points
RETURNING id, run_id, phase, name, points
"""
CHUNKS = """
INSERT INTO forge_dashboard_curvechunk (curve_id, number, data)
SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::bytea[])
ON CONFLICT (curve_id, number) DO UPDATE SET data = forge_dashboard_curvechunk.data || EXCLUDED.data
"""
OLDEST_LINES = """
DELETE FROM forge_dashboard_logline WHERE run_id = %s AND id <=
(SELECT id FROM forge_dashboard_logline WHERE run_id = %s ORDER BY id DESC OFFSET %s LIMIT 1)
"""


def store(told: Told) -> None:
    """Write everything but where the runs stand."""
    rows = [_event_row(run, event) for run, events in told for event in events]
    PipelineEvent.objects.bulk_create(rows, batch_size=BATCH)
    _store_points(told)
    _store_lines(told)
    for run, events in told:
        run.thing_count += sum(event.kind in ("artifact", "gate", "checkpoint") for event in events)
    _newest(told, "gate", GateResult, _gate, ("run_id", "phase", "gate"), ("display", "state", "reasons", "metrics"))
    facts = ("url", "size_bytes", "sha256", "metadata")
    _newest(told, "artifact", Artifact, _artifact, ("run_id", "phase", "type", "name"), facts)
    _newest(told, "checkpoint", Checkpoint, _checkpoint, ("run_id", "phase", "name"), ("url", "step", "metadata"))


def _event_row(run: Run, event: Event) -> PipelineEvent:
    said: dict[str, Any] = {
        "state": event.state, "flag": event.flag, "progress": event.progress, "step": event.step,
        "total_steps": event.total_steps, "error": event.error[:EXCERPT_CHARS],
    }  # fmt: skip
    if event.kind != "log":
        said["message"] = event.message[:EXCERPT_CHARS]
    if event.kind not in ("metrics", "progress"):
        said |= {"metrics": dict(event.metrics), "data": dict(event.data)}
    kept = {name: value for name, value in said.items() if value not in (None, "", {})}
    return PipelineEvent(
        run=run, event_id=event.event_id, at=at(event.at_ms), received_at=at(event.received_ms),
        kind=event.kind, phase=event.phase, data=kept,
    )  # fmt: skip


def _store_points(told: Told) -> None:
    found: defaultdict[tuple[Any, str, str], list[tuple[float | None, float, float]]] = defaultdict(list)
    for run, events in told:
        for event in events:
            for name, value in points(event).items():
                found[run.pk, event.phase, name].append((event.step, event.at_ms / 1000, value))
    if not found:
        return
    keys = sorted(found, key=str)
    counts = [len(found[key]) for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(CURVES, [*(list(column) for column in zip(*keys, strict=True)), counts])
        chunks = []
        for pk, run_id, phase, name, total in cursor.fetchall():
            new = found[run_id, phase, name]
            chunks.append((pk, (total - len(new)) // CHUNK_POINTS, pack(new)))
        cursor.execute(CHUNKS, [list(column) for column in zip(*sorted(chunks), strict=True)])


def _store_lines(told: Told) -> None:
    lines: list[LogLine] = []
    for run, events in told:
        said = sorted((event for event in events if event.kind == "log"), key=lambda event: event.at_ms)
        kept = said[-MAX_LINES:]
        run.log_dropped += len(said) - len(kept)
        run.log_count += len(kept)
        lines += [
            LogLine(run=run, at=at(event.at_ms), phase=event.phase, level=event.level, text=event.message)
            for event in kept
        ]
    if not lines:
        return
    LogLine.objects.bulk_create(lines, batch_size=BATCH)
    for run, _ in told:
        if run.log_count > MAX_LINES + SPARE_LINES:
            with connection.cursor() as cursor:
                cursor.execute(OLDEST_LINES, [run.pk, run.pk, MAX_LINES])
                run.log_dropped += cursor.rowcount
                run.log_count -= cursor.rowcount


def _gate(run: Run, event: Event) -> GateResult:
    name = str(event.data["name"])
    known = gate_named(name)
    state, reasons = event.state, [event.message] if event.message else []
    if known is not None and (event.metrics or event.state in ("", "passed")):
        state, reasons = gate_judge(known, event.metrics)
    return GateResult(
        run=run, phase=event.phase or (known.phase if known else ""), gate=known.id if known else name,
        display=known.display if known else name, state=GateState(state).value, reasons=reasons,
        metrics=dict(event.metrics), at=at(event.at_ms), event_id=event.event_id,
    )  # fmt: skip


def _artifact(run: Run, event: Event) -> Artifact:
    data = event.data
    rest = {name: value for name, value in data.items() if name not in ("name", "type", "url", "size_bytes", "sha256")}
    more = rest.pop("metadata", {})
    return Artifact(
        run=run, phase=event.phase, type=data["type"], name=data["name"], url=data["url"], sha256=data["sha256"],
        size_bytes=data.get("size_bytes"), metadata={**rest, **more} if isinstance(more, dict) else rest,
        at=at(event.at_ms), event_id=event.event_id,
    )  # fmt: skip


def _checkpoint(run: Run, event: Event) -> Checkpoint:
    data = event.data
    rest = {name: value for name, value in data.items() if name not in ("name", "url", "type", "sha256") and value}
    return Checkpoint(
        run=run, phase=event.phase, name=data["name"], url=data["url"], step=event.step, metadata=rest,
        at=at(event.at_ms), event_id=event.event_id,
    )  # fmt: skip


def _newest(
    told: Told, kind: str, model: type[Row], make: Callable[[Run, Event], Row], unique: Sequence[str],
    columns: Sequence[str],
) -> None:  # fmt: skip
    """Keep of each thing what was said last, by the sender's time; two queries, none where nothing was said."""
    said: list[Row] = [make(run, event) for run, events in told for event in events if event.kind == kind]
    if not said:
        return
    newest: dict[tuple[Any, ...], Row] = {}
    stored = model._default_manager.filter(run__in={row.run_id for row in said})  # type: ignore[attr-defined]
    for row in [*_relevant(stored, said, unique), *said]:
        key = _values(row, unique)
        if key not in newest or _when(row) > _when(newest[key]):
            newest[key] = row
    rows = [newest[key] for key in sorted(newest, key=str) if newest[key].pk is None]
    fields = [name.removesuffix("_id") for name in unique]
    model._default_manager.bulk_create(
        rows, update_conflicts=True, unique_fields=fields, update_fields=[*columns, "at", "event_id"]
    )


def _relevant(stored: models.QuerySet[Row], said: Iterable[Row], unique: Sequence[str]) -> list[Row]:
    name = unique[-1]
    return list(stored.filter(**{f"{name}__in": {getattr(row, name) for row in said}}))


def _values(row: models.Model, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def _when(row: models.Model) -> tuple[Any, ...]:
    return _values(row, ("at", "event_id"))
