"""1.58 bits a weight: groups of 128 weights become -1, 0 or 1 times a scale of their own."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
GROUP = 128
TRITS_A_BYTE = 5  # 3 ** 5 = 243 fit into a byte: 1.6 bits a weight
_POWERS = 3 ** np.arange(TRITS_A_BYTE)


def quantise(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Return the trits of a matrix, group by group, and the scale of each group (the mean of the absolute values)."""
    flat = weight.reshape(-1)
    groups = np.zeros((-(-flat.size // GROUP), GROUP), dtype=np.float32)
    groups.reshape(-1)[: flat.size] = flat
    scales = np.abs(groups).mean(axis=1) + 1e-8
    trits = np.clip(np.rint(groups / scales[:, None]), -1, 1).astype(np.int8)
    return trits, scales.astype(np.float16).astype(np.float32)


def restore(trits: NDArray[np.int8], scales: Array, shape: tuple[int, ...]) -> Array:
    """Return the matrix that trits and scales stand for."""
    size = int(np.prod(shape))
    return (trits * scales[:, None]).reshape(-1)[:size].reshape(shape).astype(np.float32)


def ternary(weight: Array) -> Array:
    """Return a matrix as its ternary form sees it."""
    trits, scales = quantise(weight)
    return restore(trits, scales, weight.shape)


def packed(weight: Array) -> bytes:
    """Return the bytes a ternary matrix takes: five trits a byte, then the scales as half floats."""
    trits, scales = quantise(weight)
    flat = (trits.reshape(-1)[: weight.size] + 1).astype(np.int64)
    rows = np.zeros((-(-flat.size // TRITS_A_BYTE), TRITS_A_BYTE), dtype=np.int64)
    rows.reshape(-1)[: flat.size] = flat
    return (rows @ _POWERS).astype(np.uint8).tobytes() + scales.astype(np.float16).tobytes()


def unpacked(data: bytes, shape: tuple[int, ...]) -> Array:
    """Return the matrix that `packed` wrote."""
    size = int(np.prod(shape))
    count = -(-size // TRITS_A_BYTE)
    codes = np.frombuffer(data[:count], dtype=np.uint8).astype(np.int64)
    trits = (codes[:, None] // _POWERS % 3 - 1).reshape(-1)[:size]
    scales = np.frombuffer(data[count:], dtype=np.float16).astype(np.float32)
    return (trits * np.repeat(scales, GROUP)[:size]).reshape(shape).astype(np.float32)
