"""One run: the phases in order, each told from its start to its end; the first that fails ends the run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aivillage_observability.pipeline import PipelineRun
from aivillage_observability.pipeline_sender import PipelineSender
from demo.pipeline.network import fresh
from demo.pipeline.phases import (
    adas,
    bitnet,
    evomerge,
    final_compression,
    forge_training,
    quietstar,
    tool_persona_baking,
)
from demo.pipeline.reporting import Figure, PhaseReport
from demo.pipeline.stage import HELD_OUT, SHAPE, PhaseFailed, Stage, dice
from demo.pipeline.training import Diverged

Figures = Mapping[str, Figure]
Heard = Callable[[str, bool, float, Figures], None]
PHASES: Mapping[str, Callable[[Stage], Figures]] = {
    "evomerge": evomerge.run,
    "quietstar": quietstar.run,
    "bitnet": bitnet.run,
    "forge_training": forge_training.run,
    "tool_persona_baking": tool_persona_baking.run,
    "adas": adas.run,
    "final_compression": final_compression.run,
}
MODEL_NAME = "demo-tiny-lm"
REPORTING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: `only` shortens the run, `fail_phase` gets settings with which it cannot succeed."""

    run_id: str
    folder: Path
    name: str = "demo pipeline"
    seed: int = 7
    effort: float = 1.0
    fail_phase: str = ""
    only: tuple[str, ...] = tuple(PHASES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended and what each phase measured."""

    succeeded: bool
    figures: Mapping[str, Figures]
    failed_phase: str = ""
    error: str = ""


def run(plan: Plan, sender: PipelineSender, heard: Heard) -> Outcome:
    """Run the plan; `heard` is told of every finished phase (name, success, seconds, figures)."""
    figures: dict[str, Figures] = {}
    told = PipelineRun(
        plan.run_id, name=plan.name, model=MODEL_NAME, model_size=model_size(), config=_config(plan), phases=plan.only,
        owner="demo", tags=["demo", "numpy"], reporting_interval_seconds=REPORTING_SECONDS, sender=sender,
    )  # fmt: skip
    try:
        with told:
            stage = Stage(plan.seed, plan.effort, plan.fail_phase)
            for phase in plan.only:
                figures[phase] = _phase(told, stage, phase, plan.folder, heard)
    except (Diverged, PhaseFailed) as error:
        return Outcome(False, figures, next(phase for phase in plan.only if phase not in figures), str(error))
    return Outcome(True, figures)


def _phase(told: PipelineRun, stage: Stage, phase: str, folder: Path, heard: Heard) -> Figures:
    began = time.perf_counter()
    with told.phase(phase) as telling:
        stage.report = PhaseReport(telling, phase, folder, time.monotonic)
        try:
            found = PHASES[phase](stage)
        except (Diverged, PhaseFailed) as error:
            heard(phase, False, time.perf_counter() - began, {})
            stage.report.log(f"{type(error).__name__}: {error}", level="error")
            raise
        stage.report.metrics(found)
    heard(phase, True, time.perf_counter() - began, found)
    return found


def model_size() -> str:
    """Return the size of the model as text: 68K."""
    return f"{fresh(SHAPE, dice(0, 'size')).parameters() / 1000:.0f}K"


def _config(plan: Plan) -> dict[str, object]:
    return {
        "seed": plan.seed, "effort": plan.effort, "hidden": SHAPE.hidden, "layers": SHAPE.layers,
        "embedding": SHAPE.embedding, "held_out_samples": HELD_OUT, "quantisation_group": 128,
    }  # fmt: skip
