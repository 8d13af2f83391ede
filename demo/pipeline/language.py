"""The task of the tiny models: say the next token of four made-up skills.

| skill | context | next token |
|---|---|---|
| code | brackets of three kinds, some of them open | the bracket that must close next |
| math | three numbers to 8 | their sum |
| reasoning | "a is b" and another fact, in either order | c if the other fact is "b is c", else b |
| language | the last two words of a sentence | the word its grammar demands, 3 % of the time another one |

Positions a skill does not use hold distracting symbols, so a fresh sample is one the model has hardly ever seen.
`difficulty` hides that share of the evidence.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tokens = NDArray[np.int64]

SKILLS = ("code", "math", "reasoning", "language")
SYMBOLS, CONTEXT = 26, 8
BLANK = 30
VOCABULARY = 32
NUMBERS, NAMES, WORDS = 9, 7, 16
BRACKETS = 3
SLIP = 0.03
_GRAMMAR = np.random.default_rng(20).integers(0, WORDS, (WORDS, WORDS))


@dataclass(frozen=True, slots=True)
class Samples:
    """Contexts, what follows them, and the number of the skill each belongs to."""

    contexts: Tokens
    answers: Tokens
    skills: Tokens


def _code(contexts: Tokens, rng: np.random.Generator) -> Tokens:
    count = len(contexts)
    stack = np.zeros((count, CONTEXT), dtype=np.int64)
    depth = np.zeros(count, dtype=np.int64)
    rows = np.arange(count)
    for place in range(1, CONTEXT):
        left = CONTEXT - place
        closes = (rng.random(count) < 0.5) & (depth > 0) & ~((depth == 1) & (left == 1))
        kind = rng.integers(0, BRACKETS, count)
        closing = stack[rows, np.maximum(depth - 1, 0)]
        contexts[:, place] = np.where(closes, BRACKETS + closing, kind)
        stack[rows[~closes], depth[~closes]] = kind[~closes]
        depth += np.where(closes, -1, 1)
    return BRACKETS + stack[rows, np.maximum(depth - 1, 0)]


def _math(contexts: Tokens, rng: np.random.Generator) -> Tokens:
    contexts[:, 1:4] = rng.integers(0, NUMBERS, (len(contexts), 3))
    return np.asarray(contexts[:, 1:4].sum(axis=1))


def _reasoning(contexts: Tokens, rng: np.random.Generator) -> Tokens:
    count = len(contexts)
    start = rng.integers(0, NAMES, count)
    middle = (start + rng.integers(1, NAMES, count)) % NAMES
    end = rng.integers(0, NAMES, count)
    other = rng.integers(0, NAMES, count)
    hops = rng.integers(0, 2, count)  # 1: the chain must be followed, 0: the first fact already answers
    linked = np.where(hops == 1, middle, (middle + rng.integers(1, NAMES, count)) % NAMES)
    facts = np.stack([start, middle, linked, np.where(hops == 1, end, other)], axis=1)
    turned = rng.random(count) < 0.5
    contexts[:, 1:5] = np.where(turned[:, None], facts[:, [2, 3, 0, 1]], facts)
    contexts[:, 5] = start
    return np.where(hops == 1, end, middle)


def _language(contexts: Tokens, rng: np.random.Generator) -> Tokens:
    contexts[:, 6:8] = rng.integers(0, WORDS, (len(contexts), 2))
    answers = _GRAMMAR[contexts[:, 6], contexts[:, 7]]
    slips = rng.random(len(contexts)) < SLIP
    return np.where(slips, rng.integers(0, WORDS, len(contexts)), answers)


_MAKERS = (_code, _math, _reasoning, _language)


def draw(
    rng: np.random.Generator, count: int, *, mixture: tuple[float, ...] = (1, 1, 1, 1), difficulty: float = 0.0
) -> Samples:
    """Return `count` fresh samples; `mixture` weighs the skills."""
    shares = np.asarray(mixture, dtype=np.float64)
    skills = rng.choice(len(SKILLS), count, p=shares / shares.sum())
    contexts = rng.integers(0, SYMBOLS, (count, CONTEXT))
    answers = np.zeros(count, dtype=np.int64)
    for number, make in enumerate(_MAKERS):
        here = np.flatnonzero(skills == number)
        part = contexts[here]
        answers[here] = make(part, rng)
        contexts[here] = part
    if difficulty:
        contexts = np.where(rng.random(contexts.shape) < difficulty, BLANK, contexts)
    contexts[:, 0] = SYMBOLS + skills
    return Samples(contexts, answers, skills)
