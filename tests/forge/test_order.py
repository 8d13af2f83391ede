"""Whatever the order, the repeats and the batches events come in, a run ends in the same state."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from forge_dashboard.intake import write_events
from forge_dashboard.models import Artifact, Checkpoint, Curve, GateResult, LogLine, PhaseRun, PipelineEvent, Run
from forge_dashboard.reducer import Event, Record, run_view, take_in
from forge_dashboard.selectors import curves
from metrics.registry import IngestContext
from tests.forge.conftest import numbered

PHASES = ("evomerge", "bitnet", "adas")
WORDS = ("pending", "running", "paused", "succeeded", "failed", "cancelled", "stub_detected")
BASE_MS = 1_000_000


def rows_of(now_ms: int) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of rows of run `r` in the last seconds; few times, so that many fall together."""
    at = st.integers(0, 12).map(lambda seconds: now_ms - 20_000 + seconds * 1_000)
    phase, step = st.sampled_from(PHASES), st.integers(0, 9)
    word = st.sampled_from(WORDS)

    def row(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"kind": st.just(kind), "run_id": st.just("r"), "at_ms": at, **fields})

    planned = st.lists(phase, max_size=3).map(lambda names: {"phases": names, "name": "".join(names)})
    metrics = st.dictionaries(st.sampled_from(("loss", "accuracy")), st.integers(0, 5), max_size=2)
    thing = st.sampled_from("ab").map(lambda name: {"name": name})
    return st.one_of(
        row("run", state=word.filter(lambda said: said not in ("pending", "stub_detected")), data=planned),
        row("phase", phase=phase, state=word, error=st.sampled_from(("", "ValueError: x", "KeyError: y"))),
        row("progress", phase=phase, step=step, total_steps=st.just(10), message=st.sampled_from(("", "m", "n"))),
        row(
            "progress", phase=phase, progress=st.sampled_from((0.1, 0.5)), state=st.sampled_from(("running", "failed"))
        ),
        row("metrics", phase=phase, step=step, metrics=metrics),
        row("log", phase=phase, message=st.sampled_from(("x", "y"))),
        row("gate", phase=phase, data=thing, state=st.sampled_from(("passed", "failed"))),
        row("artifact", phase=phase, data=thing),
        row("checkpoint", phase=phase, data=thing, step=step),
    )


def identified(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "event_id": f"e{number}"} for number, row in enumerate(rows)]


def shown() -> dict[str, Any]:
    """Return everything that is stored of the run, but for ids and what counts batches."""
    run = Run.objects.get()
    names = [field.name for field in Run._meta.concrete_fields if field.name not in ("id", "version")]
    phase_names = [f.name for f in PhaseRun._meta.concrete_fields if f.name not in ("id", "run", "counted")]
    lines = curves(None, run, max_points=5_000)
    return {
        "run": {name: getattr(run, name) for name in names},
        "phases": list(PhaseRun.objects.order_by("phase").values(*phase_names)),
        "events": list(PipelineEvent.objects.order_by("event_id").values_list("event_id", "kind", "data", "at")),
        "lines": sorted(LogLine.objects.values_list("at", "phase", "text")),
        "points": [(c.phase, c.name, sorted(zip(c.steps or (), c.at_seconds, c.values, strict=True))) for c in lines],
        "curves": list(Curve.objects.order_by("phase", "name").values_list("phase", "name", "points")),
        "gates": list(GateResult.objects.order_by("phase", "gate").values_list("phase", "gate", "state", "event_id")),
        "artifacts": list(Artifact.objects.order_by("phase", "name").values_list("phase", "name", "event_id")),
        "checkpoints": list(Checkpoint.objects.order_by("phase", "name").values_list("phase", "name", "step")),
    }


def stored(batches: Sequence[Sequence[dict[str, Any]]], source: Source, now: datetime) -> dict[str, Any]:
    """Return what the batches leave behind, and take it back."""
    with transaction.atomic():
        for batch in batches:
            assert write_events(numbered(batch), IngestContext(source.pk, source.name, now, False)) == []
        found = shown()
        transaction.set_rollback(True)
    return found


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_tables_hold_the_same_however_events_come(data: st.DataObject, source: Source, now: datetime) -> None:
    rows = identified(data.draw(st.lists(rows_of(int(now.timestamp() * 1000)), min_size=1, max_size=25)))
    again = data.draw(st.permutations([*rows, *data.draw(st.lists(st.sampled_from(rows), max_size=10))]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(again)), max_size=4)))
    batches = [again[start:end] for start, end in zip([0, *cuts], [*cuts, len(again)], strict=True) if start < end]
    assert stored(batches, source, now) == stored([rows], source, now)


words = st.builds(
    lambda number, at, kind, phase, state, value: Event(
        event_id=f"e{number}", at_ms=BASE_MS + at, received_ms=BASE_MS, kind=kind,
        phase="" if kind == "run" else phase, state=state if kind in ("run", "phase") else "",
        progress=value if kind == "progress" else None, metrics={"loss": value} if kind == "metrics" else {},
        message=f"m{number}", error="ValueError: x" if state == "failed" else "",
        data={"phases": ["adas", "bitnet"][: number % 3]} if kind == "run" else {},
    ),
    st.integers(0, 10_000), st.integers(0, 30), st.sampled_from(("run", "phase", "progress", "metrics")),
    st.sampled_from(PHASES), st.sampled_from(("queued", "running", "paused", "succeeded", "failed", "cancelled")),
    st.sampled_from((0.1, 0.2)),
)  # fmt: skip


def folded(batches: Sequence[Sequence[Event]]) -> Any:
    run, phases = Record(), dict[str, Record]()
    for batch in batches:
        take_in(run, phases, batch)
    return run, phases, run_view(run, phases)


@settings(max_examples=300, deadline=None)
@given(events=st.lists(words, max_size=100, unique_by=lambda event: event.event_id), data=st.data())
def test_records_are_joins(events: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.permutations(events))
    half = len(again) // 2
    assert folded([again[:half], again[half:], again[: half // 2]]) == folded([events])


@settings(max_examples=300, deadline=None)
@given(events=st.lists(words, max_size=30, unique_by=lambda event: event.event_id))
def test_what_is_shown_is_sound(events: list[Event]) -> None:
    _, _, view = folded([events])
    for phase in view.phases.values():
        assert phase.progress is None or 0 <= phase.progress <= 1
        assert [one for one in phase.attempts[:-1] if one.state not in ("succeeded", "failed", "cancelled")] == []
        assert phase.state == (phase.attempts[-1].state if phase.attempts else "pending")
        assert not phase.error or phase.state == "failed"
    assert view.progress is None or 0 <= view.progress <= 1
    assert not view.error or view.state == "failed"


@pytest.mark.django_db(transaction=True)
def test_senders_of_the_same_runs_take_turns_and_lose_nothing() -> None:
    source = Source.objects.create(name="trainer")
    now = clock.now()
    failures: list[BaseException] = []
    gate = threading.Barrier(4)

    def send(worker: int) -> None:
        try:
            gate.wait()
            for lot in range(6):
                names = [f"r{n}" for n in range(5)][:: 1 if worker % 2 else -1]
                rows = [
                    {"event_id": f"{worker}-{lot}", "run_id": name, "kind": "metrics", "phase": "adas",
                     "metrics": {"loss": lot}, "step": lot}
                    for name in names
                ]  # fmt: skip
                context = IngestContext(source.pk, source.name, now + timedelta(seconds=lot), False)
                with transaction.atomic():
                    write_events(numbered(rows), context)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert PipelineEvent.objects.count() == 4 * 6 * 5
    assert set(Run.objects.values_list("event_count", flat=True)) == {24}
    assert set(Curve.objects.values_list("points", flat=True)) == {24}
