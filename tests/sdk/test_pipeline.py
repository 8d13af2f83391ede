"""A pipeline tells the console how it fares, and is never held up or broken by it."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from aivillage_observability import PipelineRun, PipelineSender, pipeline_rows
from tests.sdk.console import Console, serve


def run_at(console: Console, **options: Any) -> PipelineRun:
    return PipelineRun("run-1", console_url=console.url, token="obs_test", **options)


def shown(console: Console) -> list[tuple[str, str, str]]:
    return [(row["kind"], row.get("phase", ""), row.get("state", "")) for row in console.rows]


def test_a_run_tells_its_story_from_beginning_to_end(console: Console) -> None:
    described = {"name": "merge", "model_size": "25M", "phases": ["evomerge"], "config": {"seed": 7}}
    with run_at(console, **described) as run, run.phase("evomerge", total_steps=4) as phase:
        phase.progress(2, message="half", loss=0.5)
        phase.log("merged", "WARN")
        phase.artifact("model.npz", kind="model", size_bytes=10)
        phase.gate("nasa_pot10", {"security_score": 1})
        phase.checkpoint("step-2", step=2)
    assert shown(console) == [
        ("run", "", "running"), ("phase", "evomerge", "running"), ("progress", "evomerge", ""),
        ("metrics", "evomerge", ""), ("log", "evomerge", ""), ("artifact", "evomerge", ""), ("gate", "evomerge", ""),
        ("checkpoint", "evomerge", ""), ("phase", "evomerge", "succeeded"), ("run", "", "succeeded"),
    ]  # fmt: skip
    first, _, progress, metrics, line = console.rows[:5]
    assert first["data"] == described
    assert (progress["progress"], progress["step"], progress["total_steps"]) == (0.5, 2, 4)
    assert (metrics["metrics"], metrics["step"], line["level"]) == ({"loss": 0.5}, 2, "warning")


def test_ids_sort_as_the_rows_were_made_and_times_never_go_back(console: Console) -> None:
    with run_at(console) as run:
        for number in range(200):
            run.log(number)
    ids = [row["event_id"] for row in console.rows]
    times = [row["at_ms"] for row in console.rows]
    assert ids == sorted(set(ids))
    assert times == sorted(times)


def test_an_exception_is_told_with_its_stack_and_goes_on_its_way(console: Console) -> None:
    with pytest.raises(KeyError), run_at(console) as run, run.phase("bitnet"):
        raise KeyError("weights")
    phase, end = console.rows[-2:]
    assert (phase["state"], phase["message"], end["state"]) == ("failed", "KeyError: 'weights'", "failed")
    assert "test_pipeline.py" in phase["error"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_a_run_somebody_stops_is_cancelled(console: Console, error: type[BaseException]) -> None:
    with pytest.raises(error), run_at(console) as run, run.phase("bitnet"):
        raise error
    assert shown(console)[-2:] == [("phase", "bitnet", "cancelled"), ("run", "", "cancelled")]


def test_a_phase_can_be_skipped_or_fail_without_an_exception(console: Console) -> None:
    with run_at(console) as run:
        with run.phase("adas") as phase:
            phase.skip("no pool")
        with run.phase("cognate") as phase:
            phase.skip(stub=True)
        with run.phase("bitnet") as phase:
            phase.fail("ratio is 1.2", "too big")
    ends = [
        (row["phase"], row["state"]) for row in console.rows if row["kind"] == "phase" and row["state"] != "running"
    ]
    assert ends == [("adas", "skipped"), ("cognate", "stub_detected"), ("bitnet", "failed")]


def test_it_works_in_an_event_loop_and_does_not_hold_it_up(console: Console) -> None:
    async def work() -> None:
        async with run_at(console) as run, run.phase("evomerge") as phase:
            phase.progress(progress=1.5)

    asyncio.run(work())
    assert shown(console)[-1] == ("run", "", "succeeded")
    assert console.rows[2]["progress"] == 1.0


class Hostile:
    """Refuses to be anything."""

    def __float__(self) -> float:
        raise ValueError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_json_cannot_say_does_not_break_the_pipeline(console: Console) -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with run_at(console, config={"odd": Hostile(), "loop": loop, "path": Path("a"), "set": {1}}) as run:
        run.metrics({"loss": float("nan"), "odd": Hostile(), "big": 10**400, "text": "a\0b", "half": "\ud800"})
        run.log(Hostile())
        run.tell("log", message="raw", data={"odd": Hostile()})
        with run.phase("bitnet", total_steps=-3) as phase:
            phase.progress(float("inf"), total_steps=None)  # type: ignore[arg-type]
    metrics = next(row["metrics"] for row in console.rows if row["kind"] == "metrics")
    assert (metrics["loss"], metrics["text"], metrics["odd"], metrics["half"]) == ("nan", "a\ufffdb", "Hostile", "?")
    assert shown(console)[-1] == ("run", "", "succeeded")


def test_too_much_data_is_left_out_by_name(console: Console) -> None:
    with run_at(console, config={"seed": 7}) as run:
        run.artifact("a", metadata={"blob": "x" * 50_000, "rank": 3})
    told = console.rows[1]["data"]
    assert len(str(told)) < pipeline_rows.MAX_DATA_BYTES
    assert told["name"] == "a"


def test_a_console_that_is_away_costs_nothing_and_gets_everything_later(tmp_path: Path) -> None:
    console = Console()
    with serve(console):
        port = int(console.url.rsplit(":", 1)[1])
    sender = PipelineSender(console_url=console.url, token="t", storage_backend=tmp_path)
    with PipelineRun("r", sender=sender) as run:
        run.log("one")
    assert len(list(tmp_path.rglob("*.json.gz"))) >= 1
    with serve(console, port):
        assert console.wait(1)
        sender.stop()
    assert [row["kind"] for row in console.rows] == ["run", "log", "run"]


def test_a_full_buffer_drops_points_but_never_where_the_run_stands() -> None:
    sender = PipelineSender(console_url="http://127.0.0.1:9", buffer_rows=10)
    for _ in range(30):
        sender.emit({"run_id": "r", "kind": "log", "message": "x"})
    sender.emit({"run_id": "r", "kind": "run", "state": "failed"})
    assert sender.dropped == {"buffer_full": 20}
    assert sender._held[-1]["kind"] == "run"


def test_a_child_after_a_fork_numbers_its_rows_anew(console: Console) -> None:
    sender = PipelineSender(console_url=console.url, token="t").start()
    sender.emit({"run_id": "r", "kind": "log", "message": "parent"})
    child = os.fork()
    if not child:
        sender.emit({"run_id": "r", "kind": "log", "message": "child"})
        sender.stop()
        os._exit(0)
    os.waitpid(child, 0)
    sender.stop()
    assert sorted(row["message"] for row in console.rows) == ["child", "parent"]
    assert len({row["event_id"] for row in console.rows}) == 2


def test_lines_of_a_logger_become_lines_of_the_run(console: Console) -> None:
    logger = logging.getLogger("pipeline.test")
    logger.propagate = False
    with run_at(console) as run:
        handler = run.logging_handler()
        logger.addHandler(handler)
        logger.warning("loss is %s", 3)
        logger.warning("broken %s %s", 1)  # noqa: PLE1206
        logger.removeHandler(handler)
    assert [(row["level"], row["message"]) for row in console.rows if row["kind"] == "log"] == [
        ("warning", "loss is 3"), ("warning", "broken %s %s"),
    ]  # fmt: skip


def test_big_rows_travel_in_batches_the_door_takes() -> None:
    rows = ["x" * 150_000 for _ in range(5)] + ["y"] * 1_200
    sizes = [(len(run), sum(map(len, run))) for run in pipeline_rows.in_batches(rows)]
    assert sum(count for count, _ in sizes) == 1_205
    assert max(count for count, _ in sizes) == pipeline_rows.BATCH_ROWS
    assert max(size for _, size in sizes) <= pipeline_rows.BATCH_BYTES
