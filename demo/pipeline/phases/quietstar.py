"""Quiet-STaR: does thinking for four steps before each answer help? Tried against the same training without."""

import math
from dataclasses import dataclass, replace

import numpy as np

from demo.pipeline.language import draw
from demo.pipeline.network import Model, Score, evaluate, forward, thought_block
from demo.pipeline.stage import Stage
from demo.pipeline.training import Optimizer, train

THOUGHTS, ITERATIONS, STEPS = 4, 3, 800
SIGNIFICANT = 0.05
RATES = (8e-4, 5e-4, 2e-4)
FRESH = 2000


@dataclass(frozen=True, slots=True)
class Trial:
    """Two models on the same samples."""

    plain: Score
    thinking: Score

    @property
    def p_value(self) -> float:
        """Return how likely so uneven a split of the answers only one got right is by chance (McNemar)."""
        only_thinking = int((self.thinking.right & ~self.plain.right & 1).sum())
        only_plain = int((self.plain.right & ~self.thinking.right & 1).sum())
        if only_thinking + only_plain == 0:
            return 1.0
        distance = max(abs(only_thinking - only_plain) - 1, 0) ** 2 / (only_thinking + only_plain)
        return math.erfc(math.sqrt(distance / 2))

    @property
    def improvement_percent(self) -> float:
        """Return how much more often the thinking model is right."""
        return 100.0 * (self.thinking.accuracy - self.plain.accuracy) / max(self.plain.accuracy, 1e-9)

    @property
    def winner(self) -> str:
        """Return who won, if anybody."""
        if self.p_value >= SIGNIFICANT:
            return "none"
        return "thoughts" if self.improvement_percent > 0 else "plain"


def run(stage: Stage) -> dict[str, float | str | bool]:
    """Train both, compare them after every iteration, and keep the better one."""
    before = stage.model
    plain, thinking = before.copy(), before.copy()
    thinking.shape = replace(before.shape, thoughts=THOUGHTS)
    thinking.weights |= thought_block(before.shape, stage.dice("thoughts"))
    trials = _iterate(stage, plain, thinking)
    last = trials[-1]
    stage.model = thinking if last.thinking.accuracy >= last.plain.accuracy else plain
    stage.report.artifact("ab_test_results", "ab_test_results.json", [_described(trial) for trial in trials])
    stage.report.artifact("model", "quietstar.npz", stage.model.saved())
    stuck = _stuck(stage, thinking)
    _judge(stage, before, thinking, trials)
    return {
        "final_convergence_rate": _converged([trial.thinking.loss for trial in trials]), "ab_test_winner": last.winner,
        "accuracy_improvement": last.improvement_percent, "p_value": last.p_value, "iterations_completed": len(trials),
        "thoughts_stuck": stuck, "final_accuracy": max(last.thinking.accuracy, last.plain.accuracy),
    }  # fmt: skip


def _iterate(stage: Stage, plain: Model, thinking: Model) -> list[Trial]:
    steps, report, trials = stage.steps(STEPS), stage.report, []
    total, done = 2 * ITERATIONS * steps, 0
    optimizers = {"plain": Optimizer(), "thinking": Optimizer()}
    for iteration in range(1, ITERATIONS + 1):
        for optimizer in optimizers.values():
            optimizer.learning_rate = stage.rate(RATES[iteration - 1])
        for name, model in (("plain", plain), ("thinking", thinking)):
            # Both see the same samples in the same order: only the thoughts differ.
            for step in train(model, optimizers[name], stage.dice(f"iteration {iteration}"), steps):
                done += 1
                report.step(done, total, message=f"iteration {iteration}, {name}", **{f"{name}_loss": step.loss})
        trials.append(Trial(evaluate(plain, stage.held_out), evaluate(thinking, stage.held_out)))
        trial = trials[-1]
        report.metrics(
            {"accuracy_plain": trial.plain.accuracy, "accuracy_thinking": trial.thinking.accuracy,
             "p_value": trial.p_value}, step=iteration,
        )  # fmt: skip
        report.log(
            f"Iteration {iteration}: without thoughts {trial.plain.accuracy:.1%}, with {THOUGHTS} thoughts "
            f"{trial.thinking.accuracy:.1%}, p = {trial.p_value:.2g}: winner {trial.winner}."
        )
    return trials


def _described(trial: Trial) -> dict[str, object]:
    return {
        "plain_accuracy": trial.plain.accuracy, "thinking_accuracy": trial.thinking.accuracy,
        "p_value": trial.p_value, "winner": trial.winner, "samples": len(trial.plain.right),
    }  # fmt: skip


def _converged(losses: list[float]) -> float:
    """Return which share of the way down was done before the last iteration."""
    whole = losses[0] - losses[-1]
    return float(np.clip((losses[0] - losses[-2]) / whole, 0, 1)) if whole > 1e-9 else 1.0


def _silent(model: Model) -> Model:
    return replace(model, shape=replace(model.shape, thoughts=0))


def _stuck(stage: Stage, thinking: Model) -> bool:
    """Tell whether the thoughts are baked in: on fresh samples the same model is worse when it may not think."""
    samples = draw(stage.dice("fresh"), FRESH)
    return evaluate(_silent(thinking), samples).accuracy < evaluate(thinking, samples).accuracy


def _judge(stage: Stage, before: Model, thinking: Model, trials: list[Trial]) -> None:
    """Measure what the two gates of this phase ask for."""
    fresh = evaluate(thinking, draw(stage.dice("audit"), FRESH))
    last = trials[-1]
    moved = [float((np.abs(thinking.weights[name] - weight) > 1e-6).mean()) for name, weight in before.weights.items()]
    stage.report.gate(
        "Theater Elimination",
        theater_score=_theater(last, moved, len(trials)),
        implementation_depth=float(np.mean(moved)),
        reality_validation=1 - abs(fresh.accuracy - last.thinking.accuracy) / last.thinking.accuracy,
    )
    kept = int((last.thinking.right & last.plain.right).sum()) / max(int(last.plain.right.sum()), 1)
    coherence, depth = _thinking_measured(stage, thinking)
    stage.report.gate("Reasoning Quality", reasoning_coherence=coherence, thought_depth=depth, integration_quality=kept)


def _theater(trial: Trial, moved: list[float], benchmarks: int) -> float:
    """Return the mean of three groups, each the share of its flags that are set (domain reference, section 2)."""
    metrics = [trial.improvement_percent > 80, trial.thinking.accuracy == 1.0]
    shallow = [float(np.mean(moved)) < 0.1, float(np.mean([share == 0 for share in moved])) > 0.5, 0.0 in moved]
    performance = [benchmarks == 1 and trial.thinking.accuracy > 0.95]
    return float(np.mean([np.mean(group) for group in (metrics, shallow, performance)]))


def _thinking_measured(stage: Stage, thinking: Model) -> tuple[float, float]:
    """Return how often the last two thoughts agree on the answer, and how many thoughts move the state at all."""
    used = thinking.used()
    _, tape = forward(thinking, stage.held_out.contexts, used)
    answers = [(state @ used["w_out"] + used["b_out"]).argmax(axis=1) for state in tape.states[-2:]]
    moves = [
        np.linalg.norm(after - state, axis=1) / np.maximum(np.linalg.norm(state, axis=1), 1e-9)
        for state, after in zip(tape.states, tape.states[1:], strict=False)
    ]
    return float((answers[0] == answers[1]).mean()), float((np.stack(moves) > 0.01).mean())
