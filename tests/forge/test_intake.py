"""What senders say about pipelines: stored once, in whatever order it comes, in few queries."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from aivillage_console.lib import live
from forge_dashboard import catalogue, selectors
from forge_dashboard.intake import inside, writing
from forge_dashboard.models import (
    Artifact,
    Checkpoint,
    Curve,
    CurveChunk,
    GateResult,
    LogLine,
    PhaseRun,
    PipelineEvent,
    Run,
)
from tests.forge.conftest import Send, told

pytestmark = pytest.mark.django_db


def ms(at: datetime, seconds: float = 0) -> int:
    return int((at.timestamp() + seconds) * 1000)


def test_a_run_is_what_its_events_say(send: Send, now: datetime) -> None:
    described = {
        "name": "merge",
        "model": "cognate",
        "model_size": "25M",
        "phases": ["evolution", "BitNet"],
        "tags": ["a"],
    }
    refused = send(
        told("run", "1", state="starting", at_ms=ms(now, -60), data=described),
        told("phase", "2", phase="EvoMergePhase", state="running", at_ms=ms(now, -50)),
        told("phase", "3", phase="evomerge", state="completed", at_ms=ms(now, -20), metrics={"final_fitness": 0.9}),
        told("phase", "4", phase="bitnet", state="running", at_ms=ms(now, -20)),
        told("progress", "5", phase="bitnet", step=30, total_steps=120, message="layer 30", at_ms=ms(now, -10)),
    )
    assert refused == []
    run = Run.objects.get()
    assert (run.name, run.model_size, run.state, run.current_phase) == ("merge", "25M", "running", "bitnet")
    assert (run.planned_phases, run.tags, run.progress) == (["evomerge", "bitnet"], ["a"], (1 + 0.25) / 2)
    first, second = run.phases.all()
    assert (first.phase, first.state, first.progress, first.duration_seconds) == ("evomerge", "succeeded", 1.0, 30.0)
    assert first.metrics == {"final_fitness": 0.9}
    assert (second.state, second.progress, second.message, second.step) == ("running", 0.25, "layer 30", 30)
    assert run.started_at is not None
    assert ms(run.started_at) == ms(now, -60)


def test_the_same_event_again_changes_nothing(send: Send, now: datetime) -> None:
    rows = [
        told("run", "1", state="running"), told("metrics", "2", metrics={"loss": 1.5}, step=1),
        told("log", "3", message="hello"), told("phase", "4", phase="adas", state="running"),
    ]  # fmt: skip
    send(*rows)
    version = Run.objects.get().version
    assert send(*rows, *rows, at=now + timedelta(seconds=30)) == []
    assert Run.objects.get().version == version
    assert [model.objects.count() for model in (PipelineEvent, LogLine, Curve)] == [4, 1, 1]
    assert Curve.objects.get().points == 1


def test_an_older_event_overwrites_nothing_and_a_newer_running_restarts(send: Send, now: datetime) -> None:
    send(told("phase", "1", phase="adas", state="failed", error="ValueError: x", at_ms=ms(now, -10)))
    send(told("progress", "2", phase="adas", progress=0.4, message="old", at_ms=ms(now, -20)))
    send(told("phase", "3", phase="adas", state="paused", at_ms=ms(now, -5)))
    phase = PhaseRun.objects.get()
    assert (phase.state, phase.error, phase.progress, phase.attempt) == ("failed", "ValueError: x", 0.4, 1)
    send(told("phase", "4", phase="adas", state="running", at_ms=ms(now, -1)))
    phase = PhaseRun.objects.get()
    assert (phase.state, phase.error, phase.progress, phase.attempt) == ("running", "", None, 2)
    assert [one["state"] for one in phase.attempts] == ["failed", "running"]


def test_a_stub_is_skipped_and_says_so(send: Send) -> None:
    send(told("phase", "1", phase="cognate", state="stub_detected"))
    phase = PhaseRun.objects.get()
    assert (phase.state, phase.warnings) == ("skipped", ["stub"])


def test_a_run_that_ends_ends_the_phase_at_work_in_it(send: Send, now: datetime) -> None:
    send(
        told("phase", "1", phase="adas", state="running", at_ms=ms(now, -9)),
        told("run", "2", state="cancelled", at_ms=ms(now, -3)),
    )
    assert (Run.objects.get().state, PhaseRun.objects.get().state) == ("cancelled", "cancelled")


def test_planned_phases_wait_and_leave_with_the_plan(send: Send, now: datetime) -> None:
    send(told("run", "1", data={"phases": ["evomerge", "adas"]}, at_ms=ms(now, -9)))
    assert [phase.state for phase in PhaseRun.objects.all()] == ["pending", "pending"]
    send(told("run", "2", data={"phases": ["adas", "bitnet"]}, at_ms=ms(now, -3)))
    assert list(PhaseRun.objects.order_by("position").values_list("phase", flat=True)) == ["adas", "bitnet"]


def test_gates_are_judged_by_the_table(send: Send, now: datetime) -> None:
    good = {bound.metric: bound.limit for bound in catalogue.gate_named("nasa_pot10").bounds}  # type: ignore[union-attr]
    send(
        told("gate", "1", data={"name": "NASA POT10"}, metrics=good, at_ms=ms(now, -5)),
        told("gate", "2", phase="bitnet", data={"name": "compression_efficiency"}, metrics={"ratio": 4}),
        told("gate", "3", data={"name": "house_rule"}, state="passed"),
    )
    send(told("gate", "4", data={"name": "nasa_pot10"}, metrics={}, at_ms=ms(now, -9)))
    found = {gate.gate: (gate.state, len(gate.reasons)) for gate in GateResult.objects.all()}
    assert found == {"nasa_pot10": ("passed", 0), "compression_efficiency": ("failed", 3), "house_rule": ("passed", 0)}


def test_things_are_kept_once_by_name_the_newest(send: Send, now: datetime) -> None:
    size = {"name": "m.npz", "type": "model", "size_bytes": 5, "metadata": {"rank": 3}, "extra": 1}
    send(told("artifact", "1", phase="bitnet", data=size, at_ms=ms(now, -5)))
    send(told("artifact", "2", phase="bitnet", data={**size, "size_bytes": 9}, at_ms=ms(now, -3)))
    send(told("artifact", "3", phase="bitnet", data={**size, "size_bytes": 7}, at_ms=ms(now, -4)))
    send(told("checkpoint", "4", phase="bitnet", step=3, data={"name": "c", "url": "file:///c"}))
    made = Artifact.objects.get()
    assert (made.size_bytes, made.metadata) == (9, {"extra": 1, "rank": 3})
    assert (Checkpoint.objects.get().step, Checkpoint.objects.get().url) == (3, "file:///c")


BAD = [
    ({"event_id": ""}, "event_id must have 1 to 64 characters"),
    ({"run_id": "x" * 129}, "run_id must have 1 to 128 characters"),
    ({"event_id": "a\0"}, "NUL"),
    ({"at_ms": 1}, "window"),
    ({"kind": "phase", "state": "running"}, "needs its phase"),
    ({"kind": "phase", "phase": "adas", "state": "exploded"}, "there is no state 'exploded'"),
    ({"kind": "run", "state": "skipped"}, "there is no state 'skipped'"),
    ({"kind": "progress", "phase": "adas", "progress": 55.0}, "share between 0 and 1"),
    ({"kind": "progress", "phase": "adas", "step": -1}, "step must be"),
    ({"kind": "log", "level": "loud"}, "there is no level"),
    ({"kind": "metrics", "metrics": {f"m{n}": 1 for n in range(201)}}, "at most 200"),
    ({"kind": "metrics", "metrics": {"": 1}}, "the name of a metric"),
    ({"kind": "artifact"}, "needs data.name"),
    ({"kind": "artifact", "data": {"name": "a", "size_bytes": -1}}, "size_bytes"),
    ({"kind": "artifact", "data": {"name": "a", "url": 5}}, "data.url"),
    ({"kind": "gate", "data": {"name": "house_rule"}}, "needs its state"),
    ({"kind": "gate", "data": {"name": "house_rule"}, "state": "maybe"}, "no gate state"),
    ({"kind": "run", "data": {"phases": "bitnet"}}, "data.phases"),
    ({"kind": "run", "data": {"phases": [f"p{n}" for n in range(65)]}}, "at most 64"),
    ({"kind": "run", "data": {"config": [1]}}, "data.config"),
    ({"kind": "run", "data": {"wandb_url": "javascript:alert(1)"}}, "wandb_url"),
    ({"kind": "run", "data": {"reporting_interval_seconds": 0}}, "reporting_interval"),
    ({"kind": "log", "data": {"blob": "x" * 20_000}}, "data has"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_a_bad_row_is_refused_alone_with_its_reason(row: dict[str, Any], reason: str, send: Send) -> None:
    (refused,) = send(told("log", "good", message="kept"), {**told("log", "bad"), **row})
    assert refused.row == 1
    assert reason in refused.reason
    assert PipelineEvent.objects.get().event_id == "good"


def test_nul_and_numbers_beyond_64_bits_do_no_harm(send: Send) -> None:
    (refused,) = send(
        told("log", "1", message="a\0b"), told("metrics", "2", metrics={"big": 10**30, "huge": 10**400, "no": "\0"}),
        told("run", "3", data={"config": {"a\0": "\0", "big": [2**63, 10**400]}, "name": "\0"}),
        told("phase", "4", phase="adas", state="failed", error="\0" + "x" * 40_000),
        told("metrics", "5", metrics={"a\0": 1}),
    )  # fmt: skip
    assert refused.row == 4
    assert LogLine.objects.get().text == "a\ufffdb"
    assert Run.objects.get().name == "\ufffd"
    assert "characters left out" in PhaseRun.objects.get().error


def test_a_log_keeps_its_newest_lines_and_counts_the_others(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "MAX_LINES", 20)
    monkeypatch.setattr(inside, "SPARE_LINES", 5)
    for lot in range(5):
        send(*(told("log", f"{lot}-{n:02d}", message=f"{lot}-{n}") for n in range(8)))
    run = Run.objects.get()
    tail = selectors.log_tail(None, run)
    assert len(tail.lines) == run.log_count
    assert 20 <= run.log_count <= 25
    assert run.log_count + run.log_dropped == 40
    assert tail.lines[-1].text == "4-7"
    send(*(told("log", f"x-{n:03d}", message=f"x-{n}") for n in range(100)))
    assert LogLine.objects.count() == 20
    assert Run.objects.get().log_dropped == 120


def test_a_full_run_still_tells_where_it_stands(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_EVENTS", 3)
    refused = send(*(told("log", str(n), message="x") for n in range(5)), told("run", "end", state="failed"))
    assert [one.row for one in refused] == [3, 4]
    assert Run.objects.get().state == "failed"


@pytest.mark.parametrize(
    ("bound", "rows"),
    [
        ("MAX_PHASES", [told("phase", str(n), phase=f"p{n}", state="running") for n in range(4)]),
        ("MAX_METRIC_NAMES", [told("metrics", str(n), metrics={f"m{n}": 1}) for n in range(4)]),
        ("MAX_THINGS", [told("artifact", str(n), data={"name": f"a{n}"}) for n in range(4)]),
        ("MAX_RUNS_IN_BATCH", [told("log", "1") | {"run_id": f"r{n}"} for n in range(4)]),
    ],
)
def test_what_a_run_or_a_batch_may_hold_is_bounded(
    bound: str, rows: list[dict[str, Any]], send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, bound, 3)
    (refused,) = send(*rows)
    assert refused.row == 3
    assert " 3 " in refused.reason


def test_a_source_may_begin_so_many_runs_a_day(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_RUNS_A_DAY", 2)
    send(*(told("log", "1") | {"run_id": f"r{n}"} for n in range(2)))
    (refused,) = send(told("log", "1") | {"run_id": "r9"}, told("log", "2") | {"run_id": "r1"})
    assert refused.reason.startswith("limit")


def steps(first: int, count: int) -> list[dict[str, Any]]:
    return [
        told("metrics", f"m{step}", phase="bitnet", step=step, metrics={"loss": 1 / (step + 1), "accuracy": 0.5})
        for step in range(first, first + count)
    ]  # fmt: skip


def test_lists_are_rung_by_what_they_show_and_not_by_lines_and_points(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(live, "ring", rung.append)
    for row in (
        told("run", "r", state="running"), told("log", "l", message="x"),
        told("metrics", "m", phase="adas", metrics={"loss": 1}), told("phase", "p", phase="adas", state="failed"),
    ):  # fmt: skip
        rung.append(str(row["kind"]))
        send(row)
    kinds = [word for word in rung if not word.startswith("run:")]
    assert (kinds[:4], kinds[-3:]) == (["run", "forge", "overview", "log"], ["phase", "forge", "overview"])
    assert len([word for word in rung if word.startswith("run:")]) == 4


def test_points_lie_in_chunks_whatever_batch_they_came_in(send: Send) -> None:
    for first in range(0, 3_000, 300):
        send(*steps(first, 300))
    run = Run.objects.get()
    assert CurveChunk.objects.filter(curve__name="loss").count() == 3
    (line,) = selectors.curves(None, run, ["bitnet/loss"], max_points=5_000)
    assert line.steps == [float(step) for step in range(3_000)]
    assert line.values[9] == pytest.approx(0.1)


def count_queries(send: Send, *rows: dict[str, Any]) -> int:
    with_log = connection.force_debug_cursor
    connection.force_debug_cursor = True
    before = len(connection.queries_log)
    try:
        send(*rows)
        return len(connection.queries_log) - before
    finally:
        connection.force_debug_cursor = with_log


def everything(lot: int, rows: int) -> list[dict[str, Any]]:
    found = [
        told("run", f"{lot}", state="running"), told("artifact", f"{lot}a", data={"name": f"a{lot}"}),
        told("gate", f"{lot}g", data={"name": "nasa_pot10"}), told("checkpoint", f"{lot}c", data={"name": "c"}),
    ]  # fmt: skip
    for n in range(rows):
        found += [
            told("log", f"{lot}l{n}", message="x"),
            told("progress", f"{lot}p{n}", phase="adas", step=n, total_steps=rows),
            told("metrics", f"{lot}m{n}", phase="adas", step=n, metrics={"loss": n, "acc": n}),
        ]
    return found


def test_a_batch_takes_the_same_queries_however_many_rows(send: Send) -> None:
    send(*everything(0, 1))
    few, many = count_queries(send, *everything(1, 2)), count_queries(send, *everything(2, 1_000))
    assert few == many
    assert many <= 18


def test_a_batch_of_many_runs_takes_no_more_queries(send: Send) -> None:
    def rows(lot: str, runs: int) -> list[dict[str, Any]]:
        return [
            told("phase", f"{lot}{n}", phase="adas", state="running") | {"run_id": f"r{n}"} for n in range(runs)
        ]  # fmt: skip

    send(*rows("a", 100))
    assert count_queries(send, *rows("b", 2)) == count_queries(send, *rows("c", 100))
