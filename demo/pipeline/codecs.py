"""Three ways to write weights in fewer bytes, and back: pseudo-random bases, vector codes, entropy coding.

| stage | writes | loses |
|---|---|---|
| SeedLM | blocks of 4 weights as the number of a pseudo-random basis and 2 coefficients of 4 bits | a little |
| VPTQ | runs of 4 weights as the number of the nearest of 256 vectors | nothing where there are no more vectors |
| Hypercompression | all of it through LZMA, which counts what comes after what | nothing |
"""

import lzma
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.pipeline.language import Array

BLOCK, BASIS, SEEDS = 4, 2, 256
VECTOR, CODEBOOK, ROUNDS = 4, 256, 6
LEVELS = 7  # coefficients from -7 to 7 take four bits
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "pb": 0}]


@dataclass(frozen=True, slots=True)
class Seeded:
    """A matrix as seeds, coefficients and one scale a block."""

    seeds: NDArray[np.uint8]
    coefficients: NDArray[np.int8]
    exponents: NDArray[np.int8]
    shape: tuple[int, ...]

    def data(self) -> bytes:
        """Return its bytes: two coefficients share one."""
        nibbles = (self.coefficients.reshape(-1) + 8).astype(np.uint8)
        if nibbles.size % 2:
            nibbles = np.append(nibbles, np.uint8(8))
        return self.seeds.tobytes() + (nibbles[::2] << 4 | nibbles[1::2]).tobytes() + self.exponents.tobytes()


def bases() -> Array:
    """Return the bases every reader can make again from their numbers alone."""
    return np.random.default_rng(0x5EED).standard_normal((SEEDS, BLOCK, BASIS)).astype(np.float32)


def seed_encoded(weight: Array) -> Seeded:
    """Return the best seed and coefficients of every block."""
    flat = weight.reshape(-1)
    blocks = np.zeros((-(-flat.size // BLOCK), BLOCK), dtype=np.float32)
    blocks.reshape(-1)[: flat.size] = flat
    known = bases()
    solved = np.linalg.pinv(known)  # seeds x BASIS x BLOCK
    best_error = np.full(len(blocks), np.inf, dtype=np.float32)
    seeds = np.zeros(len(blocks), dtype=np.uint8)
    coefficients = np.zeros((len(blocks), BASIS), dtype=np.int8)
    exponents = np.zeros(len(blocks), dtype=np.int8)
    for seed in range(SEEDS):
        exact = blocks @ solved[seed].T
        largest = np.maximum(np.abs(exact).max(axis=1), 1e-8)
        exponent = np.clip(np.ceil(np.log2(largest / LEVELS) * 4), -127, 127)
        steps = np.clip(np.rint(exact / 2 ** (exponent / 4)[:, None]), -LEVELS, LEVELS)
        error = ((blocks - (steps * 2 ** (exponent / 4)[:, None]) @ known[seed].T) ** 2).sum(axis=1)
        better = error < best_error
        best_error[better], seeds[better] = error[better], seed
        coefficients[better], exponents[better] = steps[better], exponent[better]
    return Seeded(seeds, coefficients, exponents, weight.shape)


def seed_decoded(found: Seeded) -> Array:
    """Return the matrix that seeds and coefficients stand for."""
    steps = found.coefficients * 2 ** (found.exponents.astype(np.float32) / 4)[:, None]
    blocks: Array = np.einsum("nbk,nk->nb", bases()[found.seeds], steps).astype(np.float32)
    return blocks.reshape(-1)[: int(np.prod(found.shape))].reshape(found.shape)


@dataclass(frozen=True, slots=True)
class Coded:
    """A matrix as numbers of vectors in a book, and the scale of each group the vectors are multiplied with."""

    codes: NDArray[np.uint8]
    book: Array
    scales: Array
    shape: tuple[int, ...]

    def data(self) -> bytes:
        """Return its bytes."""
        return self.book.astype(np.float16).tobytes() + self.scales.astype(np.float16).tobytes() + self.codes.tobytes()


def vector_encoded(units: Array, scales: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Coded:
    """Return the numbers of the nearest vectors; `units` are the weights over their group's scale."""
    vectors = units.reshape(-1, VECTOR)
    distinct = np.unique(vectors, axis=0)
    book = distinct if len(distinct) <= CODEBOOK else _means(vectors, rng)
    return Coded(_nearest(vectors, book).astype(np.uint8), book.astype(np.float32), scales, shape)


def vector_decoded(found: Coded, group: int) -> Array:
    """Return the matrix that codes and book stand for."""
    units = found.book[found.codes].reshape(-1, group)
    flat = (units * found.scales[:, None]).reshape(-1)
    return flat[: int(np.prod(found.shape))].reshape(found.shape).astype(np.float32)


def _means(vectors: Array, rng: np.random.Generator) -> Array:
    """Return the centres of k-means."""
    book = vectors[rng.choice(len(vectors), CODEBOOK, replace=False)].copy()
    for _ in range(ROUNDS):
        codes = _nearest(vectors, book)
        for place in range(CODEBOOK):
            mine = vectors[codes == place]
            if len(mine):
                book[place] = mine.mean(axis=0)
    return book


def _nearest(vectors: Array, book: Array) -> NDArray[np.int64]:
    lengths = (book**2).sum(axis=1)
    parts = [vectors[start : start + 8192] for start in range(0, len(vectors), 8192)]
    return np.concatenate([(lengths - 2 * part @ book.T).argmin(axis=1) for part in parts])


def entropy_encoded(data: bytes) -> bytes:
    """Return the bytes through LZMA."""
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=FILTERS)


def entropy_decoded(data: bytes) -> bytes:
    """Return what `entropy_encoded` was given."""
    return lzma.decompress(data, format=lzma.FORMAT_RAW, filters=FILTERS)
