"""EvoMerge: three specialists of one base, merged by recipes that evolve."""

from dataclasses import replace
from itertools import combinations

import numpy as np

from demo.pipeline.language import SKILLS
from demo.pipeline.merging import TECHNIQUES, Recipe, merged
from demo.pipeline.network import Model, Score, Weights, evaluate
from demo.pipeline.stage import Stage
from demo.pipeline.training import Optimizer, train

POPULATION, GENERATIONS = 8, 50
BASE_STEPS, SPECIALIST_STEPS = 300, 700
SPECIALISTS = {"reasoning": (1, 0.3, 9, 0.3), "computation": (4, 5, 0.3, 0.3), "memory": (1, 0.3, 0.3, 9)}
CLOSE = 0.005
Individual = tuple[float, Recipe, Weights, Score]


def run(stage: Stage) -> dict[str, float | str]:
    """Train the specialists, evolve recipes, and leave the best merged model."""
    base, parents = _parents(stage)
    fitness, diversity, best = _evolve(stage, base, parents)
    _, recipe, weights, score = best
    stage.model = Model(base.shape, weights)
    report = stage.report
    report.artifact("merge_recipe", "merge_recipe.json", recipe.described() | {"parents": list(SPECIALISTS)})
    report.artifact("fitness_history", "fitness_history.json", fitness)
    report.artifact("diversity_history", "diversity_history.json", diversity)
    path = report.artifact("model", "merged.npz", stage.model.saved(), parents=list(SPECIALISTS))
    converged = next(place for place, value in enumerate(fitness) if value >= fitness[-1] - CLOSE)
    return {
        "final_fitness": fitness[-1], "generations": len(fitness), "population_size": POPULATION,
        "diversity_final": diversity[-1], "convergence_generation": converged + 1, "technique": recipe.technique,
        "best_model_path": path.name,
        **{f"fitness_scores_{skill}": share for skill, share in zip(SKILLS, score.by_skill, strict=True)},
    }  # fmt: skip


def _parents(stage: Stage) -> tuple[Model, list[Weights]]:
    """Return the base, trained a little on everything, and what became of it as each specialist."""
    base_steps, own_steps = stage.steps(BASE_STEPS), stage.steps(SPECIALIST_STEPS)
    total = base_steps + own_steps * len(SPECIALISTS)
    base, report, done = stage.model, stage.report, 0
    for step in train(base, Optimizer(stage.rate(2e-3)), stage.dice("base"), base_steps):
        done += 1
        report.step(done, 2 * total, message="training the base", base_loss=step.loss)
    parents = []
    for name, mixture in SPECIALISTS.items():
        model = base.copy()
        for step in train(model, Optimizer(stage.rate(1.5e-3)), stage.dice(name), own_steps, mixture=mixture):
            done += 1
            report.step(done, 2 * total, message=f"training the {name} specialist", specialist_loss=step.loss)
        score = evaluate(model, stage.held_out)
        shares = ", ".join(f"{skill} {share:.0%}" for skill, share in zip(SKILLS, score.by_skill, strict=True))
        report.log(f"Specialist {name}: accuracy {score.accuracy:.1%} ({shares}).")
        parents.append(model.weights)
    return base, parents


def _evolve(stage: Stage, base: Model, parents: list[Weights]) -> tuple[list[float], list[float], Individual]:
    rng, report, generations = stage.dice("evolution"), stage.report, stage.steps(GENERATIONS)
    recipes = [_random(rng, TECHNIQUES[number % len(TECHNIQUES)]) for number in range(POPULATION)]
    fitness, diversity, living = [], [], []
    for generation in range(1, generations + 1):
        living += [_born(recipe, base, parents, stage) for recipe in recipes]
        living = sorted(living, key=lambda one: -one[0])[:POPULATION]
        fitness.append(living[0][0])
        diversity.append(_diversity([weights for _, _, weights, _ in living]))
        report.told.progress(progress=0.5 + generation / generations / 2, message=f"generation {generation}")
        mean = float(np.mean([one[0] for one in living]))
        report.metrics({"fitness": fitness[-1], "mean_fitness": mean, "diversity": diversity[-1]}, step=generation)
        if generation == 1 or fitness[-1] > fitness[-2]:
            recipe = living[0][1]
            report.log(f"Generation {generation}: best fitness {fitness[-1]:.4f} by {recipe.technique}.")
        recipes = [_child(rng, living) for _ in range(POPULATION)]
    return fitness, diversity, living[0]


def _born(recipe: Recipe, base: Model, parents: list[Weights], stage: Stage) -> Individual:
    weights = merged(recipe, base.weights, parents)
    score = evaluate(Model(base.shape, weights), stage.held_out)
    return float(np.mean(score.by_skill)), recipe, weights, score


def _random(rng: np.random.Generator, technique: str) -> Recipe:
    shares = tuple(float(share) for share in rng.dirichlet([2.0] * len(SPECIALISTS)))
    return Recipe(technique, shares, rng.uniform(0.3, 0.9), rng.uniform(0.5, 1.5), int(rng.integers(1 << 30)))


def _child(rng: np.random.Generator, living: list[Individual]) -> Recipe:
    """Return a recipe between two of the better half, a little changed."""
    mother, father = (living[int(place)][1] for place in rng.integers(0, POPULATION // 2, 2))
    part = rng.random()
    shares = [
        max(0.01, part * ours + (1 - part) * theirs + rng.normal(0, 0.08))
        for ours, theirs in zip(mother.shares, father.shares, strict=True)
    ]
    return replace(
        mother,
        technique=mother.technique if rng.random() < 0.85 else str(rng.choice(TECHNIQUES)),
        shares=tuple(share / sum(shares) for share in shares),
        density=float(np.clip(mother.density + rng.normal(0, 0.1), 0.1, 0.95)),
        scale=float(np.clip(part * mother.scale + (1 - part) * father.scale + rng.normal(0, 0.1), 0.3, 2.5)),
        dice=int(rng.integers(1 << 30)),
    )


def _diversity(population: list[Weights]) -> float:
    """Return the mean distance of two individuals, as a share of their mean length."""
    flat = [np.concatenate([weight.reshape(-1) for weight in weights.values()]) for weights in population]
    length = float(np.mean([np.linalg.norm(one) for one in flat]))
    return float(np.mean([np.linalg.norm(one - other) for one, other in combinations(flat, 2)])) / length
