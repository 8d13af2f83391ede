"""Cells of a grid that hold histograms beside those that hold numbers."""

from collections.abc import Callable, Iterator

import numpy as np

from metrics.native_histograms.model import Histogram
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Histograms


def no_histograms(shape: tuple[int, ...]) -> Histograms:
    """Return cells without a histogram."""
    return np.full(shape, None, dtype=np.object_)


def filled(histograms: Histograms) -> Bools:
    """Tell which cells hold a histogram."""
    held: Bools = np.not_equal(histograms, None)
    return held


def histogram_cells(vector: VectorValue) -> Bools:
    """Tell at which steps a series is a histogram."""
    if vector.histograms is None:
        return np.zeros(vector.present.shape, dtype=np.bool_)
    return vector.present & filled(vector.histograms)


def histograms_of(vector: VectorValue) -> Histograms:
    """Return the histograms of a vector, none where all is numbers."""
    return no_histograms(vector.present.shape) if vector.histograms is None else vector.histograms


def numbers_of(vector: VectorValue) -> VectorValue:
    """Return only what is a number."""
    if vector.histograms is None:
        return vector
    present = vector.present & ~filled(vector.histograms)
    return VectorValue(vector.labels, vector.values, present, vector.drops_name)


def places(mask: Bools) -> Iterator[tuple[int, int]]:
    """Yield (row, step) of each marked cell, series after series."""
    rows, steps = np.nonzero(mask)
    return zip(rows.tolist(), steps.tolist(), strict=True)


def read_from_histograms(vector: VectorValue, reading: Callable[[Histogram], float]) -> VectorValue:
    """Return a number for each histogram; numbers have no place in the answer."""
    held = histogram_cells(vector)
    values = np.zeros(vector.present.shape)
    histograms = histograms_of(vector)
    for row, step in places(held):
        values[row, step] = reading(histograms[row, step])
    drops = np.ones(len(vector.labels), dtype=np.bool_)
    return VectorValue(vector.labels, values, held, drops)


def mapped_histograms(vector: VectorValue, change: Callable[[Histogram], Histogram]) -> Histograms | None:
    """Return the histograms of a vector, each changed."""
    if vector.histograms is None:
        return None
    out = no_histograms(vector.present.shape)
    for row, step in places(histogram_cells(vector)):
        out[row, step] = change(vector.histograms[row, step])
    return out
