"""ADAS: a search among architectures for the best trade of accuracy against size, by non-dominated sorting."""

from dataclasses import dataclass, replace

import numpy as np

from demo.pipeline.network import Shape, evaluate, fresh
from demo.pipeline.stage import Stage
from demo.pipeline.training import Optimizer, train

FIRST, GENERATIONS, CHILDREN, STEPS = 10, 5, 6, 350
WIDTHS, DEPTHS, EMBEDDINGS = (32, 48, 64, 96, 128, 160), (1, 2, 3), (8, 12, 16)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An architecture and what a short training made of it."""

    shape: Shape
    accuracy: float
    parameters: int

    def dominates(self, other: "Candidate") -> bool:
        """Tell whether it is at least as good in both and better in one."""
        no_worse = self.accuracy >= other.accuracy and self.parameters <= other.parameters
        return no_worse and (self.accuracy > other.accuracy or self.parameters < other.parameters)

    def described(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        shape = self.shape
        return {
            "hidden": shape.hidden, "layers": shape.layers, "embedding": shape.embedding, "thoughts": shape.thoughts,
            "activation": shape.activation, "accuracy": round(self.accuracy, 4), "parameters": self.parameters,
        }  # fmt: skip


def pareto_front(pool: list[Candidate]) -> list[Candidate]:
    """Return those nobody dominates, smallest first."""
    front = [one for one in pool if not any(other.dominates(one) for other in pool)]
    return sorted(front, key=lambda one: one.parameters)


def by_rank(pool: list[Candidate]) -> list[Candidate]:
    """Return the pool, front after front; within a front those with the most room around them first (NSGA-II)."""
    left, ordered = list(pool), []
    while left:
        front = pareto_front(left)
        ordered += _by_room(front)
        left = [one for one in left if one not in front]
    return ordered


def _by_room(front: list[Candidate]) -> list[Candidate]:
    rooms = {}
    for place, one in enumerate(front):
        if place in (0, len(front) - 1):
            rooms[one] = float("inf")
        else:
            rooms[one] = abs(front[place + 1].accuracy - front[place - 1].accuracy)
    return sorted(front, key=lambda one: -rooms[one])


def run(stage: Stage) -> dict[str, float | str]:
    """Train a pool of random architectures a little, then children of the best ones."""
    rng, generations = stage.dice("search"), max(2, int(GENERATIONS * min(stage.effort * 2, 1.0)))
    total = FIRST + generations * CHILDREN
    pool: list[Candidate] = []
    for _ in range(FIRST):
        pool.append(_tried(stage, _random(rng), len(pool), total))
    for generation in range(1, generations + 1):
        best = by_rank(pool)[: FIRST // 2]
        for _ in range(CHILDREN):
            parent = best[int(rng.integers(len(best)))]
            pool.append(_tried(stage, _changed(parent.shape, rng), len(pool), total))
        front = pareto_front(pool)
        stage.report.metrics({"pareto_front_size": len(front), "best_accuracy": front[-1].accuracy}, step=generation)
        stage.report.log(
            f"Generation {generation}: {len(front)} of {len(pool)} architectures on the front, the best reaches "
            f"{front[-1].accuracy:.1%} with {front[-1].parameters:,} parameters."
        )
    front = pareto_front(pool)
    stage.report.artifact("best_architecture", "best_architecture.json", front[-1].described())
    stage.report.artifact("pareto_front", "pareto_front.json", [one.described() for one in front])
    return {
        "initial_population_size": FIRST, "composed_population_size": len(pool), "pareto_front_size": len(front),
        "best_architecture_score": front[-1].accuracy, "nsga_ii_generations": generations,
        "vector_composition_scale": front[-1].parameters / front[0].parameters,
    }  # fmt: skip


def _tried(stage: Stage, shape: Shape, number: int, total: int) -> Candidate:
    model = fresh(shape, stage.dice(f"candidate {number}"))
    for _ in train(model, Optimizer(stage.rate(3e-3)), stage.dice("lessons"), stage.steps(STEPS)):
        pass
    found = Candidate(shape, evaluate(model, stage.held_out).accuracy, model.parameters())
    stage.report.step(
        number + 1, total, message=f"{shape.layers} x {shape.hidden} {shape.activation}",
        candidate_accuracy=found.accuracy, candidate_parameters=found.parameters,
    )  # fmt: skip
    return found


def _random(rng: np.random.Generator) -> Shape:
    return Shape(
        embedding=int(rng.choice(EMBEDDINGS)), hidden=int(rng.choice(WIDTHS)), layers=int(rng.choice(DEPTHS)),
        activation=str(rng.choice(["relu", "tanh"])), thoughts=int(rng.integers(0, 3)),
    )  # fmt: skip


def _changed(shape: Shape, rng: np.random.Generator) -> Shape:
    """Return the shape with one trait drawn anew."""
    other = _random(rng)
    trait = str(rng.choice(["embedding", "hidden", "layers", "activation", "thoughts"]))
    if trait == "embedding":
        return replace(shape, embedding=other.embedding)
    if trait == "hidden":
        return replace(shape, hidden=other.hidden)
    if trait == "layers":
        return replace(shape, layers=other.layers)
    return replace(shape, activation=other.activation, thoughts=other.thoughts)
