"""Gradient descent: Adam, with Grokfast's filter where it is asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from demo.pipeline.language import Array, Samples, draw
from demo.pipeline.network import Model, Weights, gradients

BATCH = 96
MOST_LOSS = 10.0
EQUALLY = (1.0, 1.0, 1.0, 1.0)


class Diverged(ArithmeticError):
    """The loss left every sensible bound."""


@dataclass(slots=True)
class Optimizer:
    """Adam; `grokfast_lambda` adds that much of the slow part of the gradient, which speeds up what comes late."""

    learning_rate: float = 3e-3
    grokfast_lambda: float = 0.0
    grokfast_alpha: float = 0.98
    steps: int = 0
    _slow: Weights = field(default_factory=dict)
    _mean: Weights = field(default_factory=dict)
    _square: Weights = field(default_factory=dict)

    def apply(self, model: Model, found: Weights) -> None:
        """Move the weights one step."""
        self.steps += 1
        rate = np.float32(self.learning_rate * (1 - 0.999**self.steps) ** 0.5 / (1 - 0.9**self.steps))
        for name, gradient in found.items():
            change = self._filtered(name, gradient)
            mean, square = self._moments(name, change)
            step = rate * mean / (np.sqrt(square) + np.float32(1e-8))
            model.weights[name] = (model.weights[name] - step).astype(np.float32)

    def _filtered(self, name: str, gradient: Array) -> Array:
        if not self.grokfast_lambda:
            return gradient
        alpha, rest = np.float32(self.grokfast_alpha), np.float32(1 - self.grokfast_alpha)
        slow = self._slow[name] = alpha * self._slow.get(name, gradient) + rest * gradient
        slow_part: Array = np.float32(self.grokfast_lambda) * slow
        return gradient + slow_part

    def _moments(self, name: str, change: Array) -> tuple[Array, Array]:
        nothing = np.zeros_like(change)
        mean = self._mean[name] = np.float32(0.9) * self._mean.get(name, nothing) + np.float32(0.1) * change
        square = self._square.get(name, nothing)
        square = self._square[name] = np.float32(0.999) * square + np.float32(0.001) * change * change
        return mean, square


@dataclass(frozen=True, slots=True)
class Step:
    """What one training step saw."""

    number: int
    loss: float
    accuracy: float


def one_step(model: Model, optimizer: Optimizer, samples: Samples) -> Step:
    """Train on one batch; raises Diverged when nothing can come of it any more."""
    loss, accuracy, found = gradients(model, samples)
    if not np.isfinite(loss) or loss > MOST_LOSS:
        rate = optimizer.learning_rate
        raise Diverged(f"loss {loss:.3g} at step {optimizer.steps} with learning rate {rate:g}: training diverged")
    optimizer.apply(model, found)
    return Step(optimizer.steps, loss, accuracy)


def train(
    model: Model,
    optimizer: Optimizer,
    rng: np.random.Generator,
    steps: int,
    *,
    mixture: tuple[float, ...] = EQUALLY,
) -> Iterator[Step]:
    """Train for some steps on fresh samples and tell of each."""
    for _ in range(steps):
        yield one_step(model, optimizer, draw(rng, BATCH, mixture=mixture))
