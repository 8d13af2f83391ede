"""Tells the console about a pipeline while it runs: runs, phases, progress, metrics, logs, artifacts and gates.

    with PipelineRun("merge-42", model="cognate", model_size="25M", phases=["evomerge", "bitnet"]) as run:
        with run.phase("evomerge", total_steps=50) as phase:
            for step in range(1, 51):
                phase.progress(step, fitness=best)

The same with `async with`. No method blocks on the network or raises for what it is told; an exception of the pipeline
itself is reported with its stack and goes on its way.
"""

import asyncio
import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from aivillage_observability import pipeline_rows as rows
from aivillage_observability.observability import IN_MEMORY
from aivillage_observability.pipeline_sender import PipelineSender

STOP_SECONDS = 5.0
LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error"}


class _Told:
    """What both a run and a phase can tell."""

    def __init__(self, sender: PipelineSender, run_id: str, phase: str) -> None:
        self._sender, self.run_id, self._phase = sender, run_id, phase

    def tell(self, kind: str, **row: object) -> None:
        """Hand over one row; every other method comes here."""
        self._sender.emit({"run_id": self.run_id, "kind": kind, "phase": self._phase, **row})

    def metrics(self, values: Mapping[str, object], step: int | None = None) -> None:
        """Tell measured values; numbers become points of curves, at the step where one is given."""
        self.tell("metrics", metrics=rows.metrics(values), step=_step(step))

    def log(self, message: object, level: str | int = "info") -> None:
        """Tell a line."""
        self.tell("log", message=rows.text(message), level=_level(level))

    def artifact(
        self, name: str, *, kind: str = "", url: str = "", size_bytes: int | None = None, sha256: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        """Tell of something that was made; the thing itself stays where it is."""
        told = {"name": name, "type": kind, "url": url, "size_bytes": size_bytes, "sha256": sha256}
        self.tell("artifact", data=rows.data({**told, "metadata": dict(metadata or {})}))

    def gate(
        self, name: str, metrics: Mapping[str, object] | None = None, *, state: str = "", message: str = ""
    ) -> None:
        """Hand the values of a quality gate to the console, which judges; a gate it does not know brings its state."""
        judged = rows.metrics(metrics or {})
        self.tell("gate", data={"name": rows.text(name, 100)}, metrics=judged, state=state, message=rows.text(message))

    def checkpoint(self, name: str, url: str = "", step: int | None = None, **metadata: object) -> None:
        """Tell of a place the run can be taken up from."""
        self.tell("checkpoint", data=rows.data({"name": name, "url": url, **metadata}), step=_step(step))


class PipelineRun(_Told):
    """One run of a pipeline. Give a `sender` to share one among runs; else the run has one of its own and stops it.

    `run_id` is the run's name for its sender: the same id again goes on with the same run.
    """

    def __init__(
        self,
        run_id: str = "",
        *,
        name: str = "",
        model: str = "",
        model_size: str = "",
        config: Mapping[str, object] | None = None,
        phases: Sequence[str] = (),
        owner: str = "",
        tags: Sequence[str] = (),
        parent: str = "",
        wandb_url: str = "",
        reporting_interval_seconds: float | None = None,
        sender: PipelineSender | None = None,
        console_url: str | None = None,
        token: str | None = None,
        storage_backend: str | os.PathLike[str] = IN_MEMORY,
    ) -> None:
        self._own = sender is None
        made = sender or PipelineSender(console_url=console_url, token=token, storage_backend=storage_backend)
        super().__init__(made, rows.text(run_id, 128) or uuid.uuid4().hex, "")
        described = {
            "name": name, "model": model, "model_size": model_size, "phases": list(phases), "owner": owner,
            "tags": list(tags), "parent": parent, "wandb_url": wandb_url, "config": dict(config or {}),
            "reporting_interval_seconds": reporting_interval_seconds,
        }  # fmt: skip
        self._described = {key: value for key, value in described.items() if value}

    @property
    def sender(self) -> PipelineSender:
        """What carries the rows; `sender.dropped` and `sender.delivery` say how it fares."""
        return self._sender

    def queued(self) -> Self:
        """Announce the run before it begins."""
        self._sender.start()
        self.tell("run", state="queued", data=rows.data(self._described))
        return self

    def start(self) -> Self:
        """Begin; `with` does it."""
        self._sender.start()
        self.tell("run", state="running", data=rows.data(self._described))
        return self

    def phase(self, name: str, total_steps: int | None = None) -> "PipelinePhase":
        """Return a phase to be entered with `with`."""
        return PipelinePhase(self._sender, self.run_id, rows.text(name, 64), total_steps)

    def pause(self, message: str = "") -> None:
        """Tell that the run waits; `resume` ends it."""
        self.tell("run", state="paused", message=rows.text(message))

    def resume(self) -> None:
        """Tell that the run goes on."""
        self.tell("run", state="running")

    def finish(self, state: str = "succeeded", *, message: str = "", error: str = "") -> None:
        """End the run and, for at most five seconds, deliver what waits; `with` does it."""
        self.tell("run", state=state, message=rows.text(message), error=error)
        if self._own:
            self._sender.stop(STOP_SECONDS)
        else:
            self._sender.flush()

    def logging_handler(self, level: int = logging.INFO) -> logging.Handler:
        """Return a handler that sends the lines of a logger as lines of the run."""
        return _Handler(self, level)

    def __enter__(self) -> Self:
        """Begin."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End as the block ended."""
        state, text = _outcome(error)
        self.finish(state, error=text, message=_said(error))

    async def __aenter__(self) -> Self:
        """Begin."""
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End as the block ended; the wait for the last rows leaves the event loop free."""
        state, text = _outcome(error)
        await asyncio.to_thread(self.finish, state, error=text, message=_said(error))


class PipelinePhase(_Told):
    """One phase of a run, entered with `with` or `async with`."""

    def __init__(self, sender: PipelineSender, run_id: str, phase: str, total_steps: int | None) -> None:
        super().__init__(sender, run_id, phase)
        self._total_steps = _step(total_steps)
        self._over = False

    def progress(
        self, step: int | None = None, *, total_steps: int | None = None, progress: float | None = None,
        message: str = "", **metrics: object,
    ) -> None:  # fmt: skip
        """Tell how far the phase is: by steps or as a share of 1; metrics given by name become points at this step."""
        self._total_steps = _step(total_steps) or self._total_steps
        at, total = _step(step), self._total_steps
        share = rows.number(progress) if progress is not None else at / total if at is not None and total else None
        share = None if share is None else min(max(float(share), 0.0), 1.0)
        self.tell("progress", progress=share, step=at, total_steps=total, message=rows.text(message))
        if metrics:
            self.metrics(metrics, step=at)

    def skip(self, message: str = "", *, stub: bool = False) -> None:
        """Tell that the phase was left out; `stub` when it is there but does nothing, which is no success."""
        self._end("stub_detected" if stub else "skipped", message=message)

    def fail(self, error: str, message: str = "") -> None:
        """Tell that the phase failed without an exception."""
        self._end("failed", error=rows.text(error, rows.MAX_ERROR_CHARS), message=message)

    def _end(self, state: str, *, error: str = "", message: str = "") -> None:
        if not self._over:
            self._over = True
            self.tell("phase", state=state, error=error, message=rows.text(message))

    def __enter__(self) -> Self:
        """Begin."""
        self._over = False
        self.tell("phase", state="running", total_steps=self._total_steps)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End as the block ended, unless `skip` or `fail` said so before."""
        state, text = _outcome(error)
        self._end(state, error=text, message=_said(error))

    async def __aenter__(self) -> Self:
        """Begin."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End as the block ended."""
        self.__exit__(kind, error, trace)


class _Handler(logging.Handler):
    def __init__(self, run: PipelineRun, level: int) -> None:
        super().__init__(level)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; the SDK's own lines are left out, for they would make more of themselves."""
        if record.name.startswith("aivillage_observability"):
            return
        try:
            said = self.format(record)
        except (TypeError, ValueError):
            said = str(record.msg)
        self._run.log(said, record.levelno)


def _outcome(error: BaseException | None) -> tuple[str, str]:
    if error is None:
        return "succeeded", ""
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError | GeneratorExit):
        return "cancelled", ""
    return "failed", rows.error_text(error)


def _said(error: BaseException | None) -> str:
    return "" if error is None else rows.error_text(error).rstrip().rpartition("\n")[2][:300]


def _step(value: object) -> int | None:
    found = None if value is None else rows.number(value)
    return None if found is None or found < 0 else int(found)


def _level(level: object) -> str:
    if isinstance(level, int):
        return LEVELS[max((known for known in LEVELS if known <= level), default=logging.DEBUG)]
    said = str(level).lower()
    return {"warn": "warning", "critical": "error", "fatal": "error"}.get(
        said, said if said in LEVELS.values() else "info"
    )
