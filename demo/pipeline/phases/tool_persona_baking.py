"""Tool and persona baking: heads on the model's last state learn which tool a request needs and how to behave."""

from dataclasses import dataclass

import numpy as np

from demo.pipeline.language import Array, Samples, Tokens, draw
from demo.pipeline.network import Model, forward, probabilities
from demo.pipeline.stage import Stage
from demo.pipeline.training import Diverged

TOOLS = ("rag_query", "code_execution", "web_search")
TRAITS = ("careful", "concise", "curious")
ITERATIONS, STEPS, ROWS = 5, 400, 512
ENOUGH = 0.005


@dataclass(slots=True)
class Head:
    """One linear layer over the state."""

    weights: Array
    bias: Array

    def scores(self, states: Array) -> Array:
        """Return one number an answer."""
        return states @ self.weights + self.bias


def wanted_tool(samples: Samples) -> Tokens:
    """Return the tool each request needs: code runs, sums are run above 12, facts are looked up, words searched for."""
    small = (samples.skills == 1) & (samples.answers <= 12)
    tools = np.select([samples.skills == 0, samples.skills == 1, samples.skills == 2], [1, 1, 0], 2)
    return np.where(small, 0, tools)


def wanted_traits(samples: Samples) -> Tokens:
    """Return which traits each request calls for, by what its answer is."""
    even = samples.answers % 2 == 0
    return np.stack([even, samples.answers < 5, (samples.skills >= 2) & even], axis=1).astype(np.int64)


def run(stage: Stage) -> dict[str, float | str | bool]:
    """Train both heads for some rounds and stop when a round brings next to nothing."""
    rng, width = stage.dice("heads"), stage.model.shape.hidden
    tools = Head((rng.standard_normal((width, 3)) * 0.01).astype(np.float32), np.zeros(3, dtype=np.float32))
    traits = Head((rng.standard_normal((width, 3)) * 0.01).astype(np.float32), np.zeros(3, dtype=np.float32))
    first = _measured(stage, tools, traits)
    history = [first]
    rounds = 0
    for rounds in range(1, ITERATIONS + 1):
        _bake(stage, tools, traits, rng, rounds)
        history.append(_measured(stage, tools, traits))
        tool_share, trait_share, _ = history[-1]
        stage.report.metrics({"tool_accuracy": tool_share, "persona_accuracy": trait_share}, step=rounds)
        stage.report.log(f"Round {rounds}: right tool {tool_share:.1%}, right traits {trait_share:.1%}.")
        if sum(history[-1][:2]) - sum(history[-2][:2]) < ENOUGH:
            break
    last = history[-1]
    _keep(stage, tools, traits, last)
    gain = last[0] - first[0], last[1] - first[1]
    return {
        "overall_improvement": sum(gain) / 2, "tool_improvement": gain[0], "persona_improvement": gain[1],
        "baking_iterations_completed": rounds, "final_convergence_score": (last[0] + last[1]) / 2,
        "convergence_achieved": sum(history[-1][:2]) - sum(history[-2][:2]) < 4 * ENOUGH,
    }  # fmt: skip


def _states(model: Model, samples: Samples) -> Array:
    _, tape = forward(model, samples.contexts)
    return tape.states[-1]


def _bake(stage: Stage, tools: Head, traits: Head, rng: np.random.Generator, number: int) -> None:
    steps = stage.steps(STEPS)
    for step in range(1, steps + 1):
        rate = np.float32(stage.rate(0.15) / number)
        samples = draw(rng, ROWS)
        states = _states(stage.model, samples)
        states /= np.maximum(np.linalg.norm(states, axis=1, keepdims=True) / 8, 1e-6)
        chances = probabilities(tools.scores(states))
        loss = float(-np.log(chances[np.arange(ROWS), wanted_tool(samples)] + 1e-9).mean())
        likely = 1 / (1 + np.exp(-np.clip(traits.scores(states), -30, 30)))
        if not np.isfinite(tools.weights).all() or np.abs(tools.weights).max() > 1e3:
            raise Diverged(f"tool head at step {step} with learning rate {rate:g}: its weights left every bound")
        for head, flow in (
            (tools, chances - np.eye(3, dtype=np.float32)[wanted_tool(samples)]),
            (traits, likely - wanted_traits(samples)),
        ):
            head.weights -= rate * (states.T @ flow).astype(np.float32) / ROWS
            head.bias -= rate * flow.mean(axis=0).astype(np.float32)
        done = (number - 1) * steps + step
        stage.report.step(done, ITERATIONS * steps, message=f"baking, round {number}", tool_loss=loss)


def _measured(stage: Stage, tools: Head, traits: Head) -> tuple[float, float, Tokens]:
    """Return how often tool and traits are right on held-out requests, and what was chosen."""
    samples = stage.held_out
    states = _states(stage.model, samples)
    states /= np.maximum(np.linalg.norm(states, axis=1, keepdims=True) / 8, 1e-6)
    chosen = tools.scores(states).argmax(axis=1)
    shown = traits.scores(states) > 0
    right = float((chosen == wanted_tool(samples)).mean())
    return right, float((shown == wanted_traits(samples)).mean()), chosen


def _keep(stage: Stage, tools: Head, traits: Head, last: tuple[float, float, Tokens]) -> None:
    wanted, chosen = wanted_tool(stage.held_out), last[2]
    usage = {}
    for number, name in enumerate(TOOLS):
        calls = int((chosen == number).sum())
        successes = int(((chosen == number) & (wanted == number)).sum())
        usage[name] = {"calls": calls, "successes": successes, "success_rate": round(successes / max(calls, 1), 4)}
    stage.report.artifact("tool_usage_stats", "tool_usage_stats.json", usage)
    stage.report.artifact("persona_performance", "persona_performance.json", {"traits": TRAITS, "share": last[1]})
    stage.report.artifact("ab_test_results", "heads.npy", tools.weights.tobytes() + traits.weights.tobytes())
