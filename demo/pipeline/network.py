"""A small language model in numpy: embedding, hidden layers, optional thought steps, softmax; with its gradients."""

import io
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from demo.pipeline.language import CONTEXT, VOCABULARY, Array, Samples, Tokens
from demo.pipeline.ternary import ternary

Weights = dict[str, Array]
EVALUATION_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """An architecture."""

    embedding: int = 16
    hidden: int = 128
    layers: int = 2
    activation: str = "relu"
    thoughts: int = 0


@dataclass(slots=True)
class Model:
    """Weights of a shape; `quantised` makes the forward pass use their ternary form."""

    shape: Shape
    weights: Weights
    quantised: bool = False

    def copy(self) -> "Model":
        """Return an independent copy."""
        return replace(self, weights={name: weight.copy() for name, weight in self.weights.items()})

    def parameters(self) -> int:
        """Return how many numbers the model has."""
        return sum(weight.size for weight in self.weights.values())

    def saved(self) -> bytes:
        """Return the weights as a file."""
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **self.weights)
        return file.getvalue()

    def used(self) -> Weights:
        """Return the weights as the forward pass sees them."""
        if not self.quantised:
            return self.weights
        return {name: ternary(weight) if is_matrix(name) else weight for name, weight in self.weights.items()}


@dataclass(slots=True)
class Tape:
    """What a forward pass leaves for the gradients."""

    tokens: Tokens
    inputs: list[Array] = field(default_factory=list)  # of each hidden layer
    sums: list[Array] = field(default_factory=list)  # before each activation
    states: list[Array] = field(default_factory=list)  # before each thought, and the last one
    thoughts: list[Array] = field(default_factory=list)


def is_matrix(name: str) -> bool:
    """Tell whether a weight is a matrix that is quantised; embeddings and biases stay as they are."""
    return name.startswith("w")


def fresh(shape: Shape, rng: np.random.Generator) -> Model:
    """Return an untrained model."""
    widths = [CONTEXT * shape.embedding] + [shape.hidden] * shape.layers
    weights: Weights = {"embedding": _normal(rng, (VOCABULARY, shape.embedding), 0.5)}
    for number, (before, after) in enumerate(pairwise(widths)):
        weights[f"w{number}"] = _normal(rng, (before, after), (2.0 / before) ** 0.5)
        weights[f"b{number}"] = np.zeros(after, dtype=np.float32)
    if shape.thoughts:
        weights |= thought_block(shape, rng)
    weights["w_out"] = _normal(rng, (shape.hidden, VOCABULARY), (1.0 / shape.hidden) ** 0.5)
    weights["b_out"] = np.zeros(VOCABULARY, dtype=np.float32)
    return Model(shape, weights)


def thought_block(shape: Shape, rng: np.random.Generator) -> Weights:
    """Return the weights of one thought step, so small that it changes next to nothing before it is trained."""
    return {
        "w_thought": _normal(rng, (shape.hidden, shape.hidden), 0.3 / shape.hidden**0.5),
        "b_thought": np.zeros(shape.hidden, dtype=np.float32),
    }


def _normal(rng: np.random.Generator, size: tuple[int, int], scale: float) -> Array:
    return (rng.standard_normal(size) * scale).astype(np.float32)


def _activate(kind: str, sums: Array) -> Array:
    return np.tanh(sums) if kind == "tanh" else np.maximum(sums, 0)


def _slope(kind: str, sums: Array) -> Array:
    if kind == "tanh":
        return np.asarray(1 - np.tanh(sums) ** 2, dtype=np.float32)
    return (sums > 0).astype(np.float32)


def forward(model: Model, tokens: Tokens, used: Weights | None = None) -> tuple[Array, Tape]:
    """Return the logits and what the gradients need."""
    weights, shape = used or model.used(), model.shape
    tape = Tape(tokens)
    state: Array = weights["embedding"][tokens].reshape(len(tokens), -1)
    for number in range(shape.layers):
        tape.inputs.append(state)
        tape.sums.append(state @ weights[f"w{number}"] + weights[f"b{number}"])
        state = _activate(shape.activation, tape.sums[-1])
    for _ in range(shape.thoughts):
        tape.states.append(state)
        tape.thoughts.append(np.tanh(state @ weights["w_thought"] + weights["b_thought"]))
        state = state + tape.thoughts[-1]
    tape.states.append(state)
    return state @ weights["w_out"] + weights["b_out"], tape


def probabilities(logits: Array) -> Array:
    """Return the softmax of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


def gradients(model: Model, samples: Samples) -> tuple[float, float, Weights]:
    """Return loss, share of right answers, and the gradient of every weight.

    Through a ternary weight the gradient passes as if it were the weight itself (straight-through estimator).
    """
    used = model.used()
    logits, tape = forward(model, samples.contexts, used)
    rows, count = np.arange(len(samples.answers)), len(samples.answers)
    chances = probabilities(logits)
    loss = float(-np.log(chances[rows, samples.answers] + 1e-9).mean())
    right = float((logits.argmax(axis=1) == samples.answers).mean())
    flow = chances
    flow[rows, samples.answers] -= 1
    flow /= count
    found: Weights = {"w_out": tape.states[-1].T @ flow, "b_out": flow.sum(axis=0)}
    return loss, right, found | _backward(model.shape, used, tape, flow @ used["w_out"].T)


def _backward(shape: Shape, used: Weights, tape: Tape, flow: Array) -> Weights:
    found: Weights = {}
    for state, thought in zip(reversed(tape.states[:-1]), reversed(tape.thoughts), strict=True):
        inner: Array = flow * (1 - thought**2)
        found["w_thought"] = found.get("w_thought", np.float32(0)) + state.T @ inner
        found["b_thought"] = found.get("b_thought", np.float32(0)) + inner.sum(axis=0)
        flow = np.asarray(flow + inner @ used["w_thought"].T, dtype=np.float32)
    for number in reversed(range(shape.layers)):
        inner = flow * _slope(shape.activation, tape.sums[number])
        found[f"w{number}"] = tape.inputs[number].T @ inner
        found[f"b{number}"] = inner.sum(axis=0)
        flow = np.asarray(inner @ used[f"w{number}"].T, dtype=np.float32)
    # A product with the one-hot rows adds the gradients of equal tokens far faster than numpy's `add.at`.
    one_hot = np.eye(VOCABULARY, dtype=np.float32)[tape.tokens.reshape(-1)]
    found["embedding"] = one_hot.T @ flow.reshape(-1, shape.embedding)
    return found


@dataclass(frozen=True, slots=True)
class Score:
    """How a model did on samples."""

    loss: float
    accuracy: float
    right: Tokens  # 1 where the answer was right
    by_skill: tuple[float, ...]

    @property
    def perplexity(self) -> float:
        """Return e to the loss: among how many tokens the model wavers."""
        return float(np.exp(self.loss))


def evaluate(model: Model, samples: Samples) -> Score:
    """Return loss and accuracy, also for each skill."""
    used = model.used()
    losses, right = [], []
    for start in range(0, len(samples.answers), EVALUATION_ROWS):
        part = slice(start, start + EVALUATION_ROWS)
        logits, _ = forward(model, samples.contexts[part], used)
        answers = samples.answers[part]
        losses.append(-np.log(probabilities(logits)[np.arange(len(answers)), answers] + 1e-9))
        right.append((logits.argmax(axis=1) == answers).astype(np.int64))
    known = np.concatenate(right)
    by_skill = tuple(float(known[samples.skills == skill].mean()) for skill in range(4))
    return Score(float(np.concatenate(losses).mean()), float(known.mean()), known, by_skill)
