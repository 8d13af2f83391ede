"""Ways to make one model of several that began as the same one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo.pipeline.language import Array
from demo.pipeline.network import Weights

TECHNIQUES = ("linear", "slerp", "ties", "dare", "frankenmerge")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to merge: `shares` weighs the parents, `density` is what ties and dare keep, `scale` how far they go."""

    technique: str
    shares: tuple[float, ...]
    density: float = 0.5
    scale: float = 1.0
    dice: int = 0

    def described(self) -> dict[str, object]:
        """Return it as JSON takes it."""
        return {
            "technique": self.technique,
            "shares": [round(share, 4) for share in self.shares],
            "density": round(self.density, 4),
            "scale": round(self.scale, 4),
        }


def merged(recipe: Recipe, base: Weights, parents: Sequence[Weights]) -> Weights:
    """Return the weights the recipe makes of the parents; `base` is what they were before they specialised."""
    rng = np.random.default_rng(recipe.dice)
    found: Weights = {}
    for place, (name, start) in enumerate(base.items()):
        found[name] = _merged_one(recipe, start, [parent[name] for parent in parents], rng, place)
    return found


def _merged_one(recipe: Recipe, start: Array, parents: list[Array], rng: np.random.Generator, place: int) -> Array:
    if recipe.technique == "slerp":
        return slerp(recipe.shares, parents)
    if recipe.technique == "ties":
        return start + np.float32(recipe.scale) * ties(recipe.shares, recipe.density, _changes(start, parents))
    if recipe.technique == "dare":
        return start + np.float32(recipe.scale) * dare(recipe.shares, recipe.density, _changes(start, parents), rng)
    if recipe.technique == "frankenmerge":
        # Whole layers come from one parent each, the heavier ones more often.
        ladder = np.cumsum(recipe.shares) / sum(recipe.shares)
        return parents[int(np.searchsorted(ladder, (recipe.dice * 0.37 + place * 0.29) % 1.0))].copy()
    return linear(recipe.shares, parents)


def _changes(start: Array, parents: list[Array]) -> list[Array]:
    return [parent - start for parent in parents]


def linear(shares: Sequence[float], parents: Sequence[Array]) -> Array:
    """Return the weighted mean."""
    total = sum(shares)
    return np.asarray(
        sum(np.float32(share / total) * parent for share, parent in zip(shares, parents, strict=True)),
        dtype=np.float32,
    )


def slerp(shares: Sequence[float], parents: Sequence[Array]) -> Array:
    """Walk along the sphere from the heaviest parent to the next one, as far as its share says."""
    first, second = sorted(range(len(parents)), key=lambda place: -shares[place])[:2]
    start, end = parents[first], parents[second]
    far = shares[second] / (shares[first] + shares[second])
    lengths = float(np.linalg.norm(start) * np.linalg.norm(end))
    cosine = float((start * end).sum()) / lengths if lengths else 1.0
    angle = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
    if angle < 1e-4:
        return linear((1 - far, far), (start, end))
    ours, theirs = np.sin((1 - far) * angle) / np.sin(angle), np.sin(far * angle) / np.sin(angle)
    return (np.float32(ours) * start + np.float32(theirs) * end).astype(np.float32)


def ties(shares: Sequence[float], density: float, changes: Sequence[Array]) -> Array:
    """Keep each parent's largest changes, let the signs vote, and add up those that agree with the vote."""
    kept = []
    for share, change in zip(shares, changes, strict=True):
        limit = np.quantile(np.abs(change), 1 - density)
        kept.append(np.float32(share) * np.where(np.abs(change) >= limit, change, 0))
    stacked = np.stack(kept)
    agreeing = np.where(np.sign(stacked) == np.sign(stacked.sum(axis=0)), stacked, 0)
    weight = (np.asarray(shares, dtype=np.float32).reshape(-1, *[1] * changes[0].ndim) * (agreeing != 0)).sum(axis=0)
    return np.asarray(agreeing.sum(axis=0) / np.maximum(weight, 1e-6), dtype=np.float32)


def dare(shares: Sequence[float], density: float, changes: Sequence[Array], rng: np.random.Generator) -> Array:
    """Drop changes at random and enlarge the rest to make up for it."""
    total = np.zeros_like(changes[0])
    for share, change in zip(shares, changes, strict=True):
        mask = rng.random(change.shape) < density
        total += np.float32(share / sum(shares) / density) * np.where(mask, change, 0).astype(np.float32)
    return total
