"""Forge Training: Grokfast, and samples kept so hard that the model succeeds at 55 to 75 % of them."""

from dataclasses import dataclass, replace

import numpy as np

from demo.pipeline.language import Samples, draw
from demo.pipeline.network import Model, evaluate, forward
from demo.pipeline.stage import PhaseFailed, Stage
from demo.pipeline.training import BATCH, Optimizer, Step, one_step

STEPS, PROBE_STEPS = 7000, 500
ZONE = (0.55, 0.75)
LAMBDAS = (0.05, 0.25)
CHECKPOINT_STEPS, DREAM_STEPS = 1000, 50
RATE, PROBE_RATE = 1.2e-3, 3e-4
SLOWLY = 0.98


@dataclass(slots=True)
class Edge:
    """Turns the difficulty so that the success rate stays in the zone."""

    difficulty: float = 0.2
    success_rate: float = sum(ZONE) / 2
    inside: int = 0
    seen: int = 0

    def saw(self, accuracy: float) -> None:
        """Take the share of one batch that was answered right."""
        self.success_rate = SLOWLY * self.success_rate + (1 - SLOWLY) * accuracy
        self.difficulty = float(np.clip(self.difficulty + 0.004 * (accuracy - sum(ZONE) / 2), 0.0, 0.9))
        self.seen += 1
        self.inside += self.in_zone

    @property
    def in_zone(self) -> bool:
        """Tell whether the model is at the edge now."""
        return ZONE[0] <= self.success_rate <= ZONE[1]


@dataclass(slots=True)
class Course:
    """What training has come to."""

    steps: int
    edge: Edge
    losses: list[float]
    dreamed: int = 0


def run(stage: Stage) -> dict[str, float | str | bool]:
    """Probe Grokfast, train at the edge, and judge the outcome."""
    effect = _grokfast_effect(stage)
    stage.report.log(f"Probe of {stage.steps(PROBE_STEPS)} steps: Grokfast changes the loss by {-effect:+.1%}.")
    model = stage.model.copy()
    course = _train(stage, model)
    score = evaluate(model, stage.held_out)
    stage.report.artifact("training_metrics", "training_metrics.json", [round(loss, 5) for loss in course.losses])
    stage.report.artifact("model", "trained.npz", model.saved())
    stage.report.gate(
        "Training Convergence", convergence_rate=_converged(course.losses), final_accuracy=score.accuracy,
        grokfast_effectiveness=effect,
    )  # fmt: skip
    stage.model = model
    if not (score.loss < 2.0 and score.accuracy > 0.7 and course.edge.in_zone):
        raise PhaseFailed(
            f"Training ended with loss {score.loss:.3f} (below 2.0 wanted), accuracy {score.accuracy:.1%} (above 70 %) "
            f"and success rate {course.edge.success_rate:.1%} (55 to 75 %)."
        )
    return {
        "total_steps": course.steps, "final_loss": score.loss, "final_accuracy": score.accuracy,
        "final_success_rate": course.edge.success_rate, "edge_in_target_zone": course.edge.in_zone,
        "dream_examples_generated": course.dreamed, "edge_zone_share": course.edge.inside / max(course.edge.seen, 1),
    }  # fmt: skip


def _train(stage: Stage, model: Model) -> Course:
    rng, steps = stage.dice("forge"), stage.steps(STEPS)
    course, optimizer = Course(steps, Edge(), []), Optimizer(stage.rate(RATE))
    every = max(2, int(CHECKPOINT_STEPS * min(stage.effort, 1.0)))
    for number in range(1, steps + 1):
        done = number / steps
        optimizer.grokfast_lambda = LAMBDAS[0] + (LAMBDAS[1] - LAMBDAS[0]) * done
        optimizer.learning_rate = stage.rate(RATE, done) * (1 - 0.9 * done)
        step = one_step(model, optimizer, draw(rng, BATCH, difficulty=course.edge.difficulty))
        course.edge.saw(step.accuracy)
        _tell(stage, course, step, optimizer)
        if number % every == 0:
            stage.report.checkpoint(f"step-{number}.npz", model.saved(), number)
            course.dreamed += _dream(model, optimizer, rng, max(2, int(DREAM_STEPS * min(stage.effort, 1.0))))
            stage.report.log(f"Step {number}: checkpoint, then dreamed {course.dreamed} examples so far.")
    return course


def _tell(stage: Stage, course: Course, step: Step, optimizer: Optimizer) -> None:
    course.losses.append(step.loss)
    number = len(course.losses)
    stage.report.step(
        number, course.steps, message="training at the edge of chaos", loss=step.loss, accuracy=step.accuracy,
        success_rate=course.edge.success_rate, grokfast_lambda=optimizer.grokfast_lambda,
        edge_difficulty=course.edge.difficulty,
    )  # fmt: skip


def _dream(model: Model, optimizer: Optimizer, rng: np.random.Generator, steps: int) -> int:
    """Train on contexts the model answers itself; only answers it is sure of count. Returns how many there were."""
    count = 0
    for _ in range(steps):
        dreamed = draw(rng, BATCH)
        logits, _ = forward(model, dreamed.contexts)
        ordered = np.sort(logits, axis=1)
        sure = (ordered[:, -1] - ordered[:, -2]) > 2.0
        if sure.sum() < 8:
            continue
        answers = logits.argmax(axis=1)[sure]
        one_step(model, optimizer, Samples(dreamed.contexts[sure], answers, dreamed.skills[sure]))
        count += int(sure.sum())
    return count


def _grokfast_effect(stage: Stage) -> float:
    """Return by which share Grokfast lowers the loss of a short training on the same samples from the same weights."""
    losses = {}
    steps = stage.steps(PROBE_STEPS)
    for strength in (0.0, LAMBDAS[1]):
        model, optimizer = stage.model.copy(), Optimizer(PROBE_RATE, grokfast_lambda=strength)
        rng = stage.dice("probe")
        for number in range(steps):
            one_step(model, optimizer, draw(rng, BATCH, difficulty=0.2))
            stage.report.step(number, 10 * steps, message=f"probing Grokfast with lambda {strength}")
        losses[strength] = evaluate(replace(model), stage.held_out).loss
    return (losses[0.0] - losses[LAMBDAS[1]]) / losses[0.0]


def _converged(losses: list[float]) -> float:
    """Return one minus the spread of the mean loss over the last five tenths of training."""
    parts = [float(np.mean(part)) for part in np.array_split(np.asarray(losses), 10)[-5:]]
    return 1 - (max(parts) - min(parts)) / max(parts)
