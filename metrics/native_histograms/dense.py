"""Many histograms of one shape as the rows of a matrix, so that they are added up column by column."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.native_histograms.arithmetic import joint_hint
from metrics.native_histograms.layout import Side, indices_of, spans_of
from metrics.native_histograms.model import Histogram, ResetHint, Span

Matrix = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
# Columns before those of the buckets: count, sum, zero count.
COUNT, SUM, ZERO = range(3)
FIXED = 3
SAFE = 1e300


@dataclass(frozen=True, slots=True)
class Dense:
    """Row i is histogram i: count, sum, zero count, then the positive and the negative buckets."""

    shape: Histogram
    positive: tuple[int, ...]
    negative: tuple[int, ...]
    rows: Matrix
    hints: tuple[ResetHint, ...]

    def histogram(self, numbers: list[float], hint: ResetHint) -> Histogram:
        """Return a compact histogram of this shape."""
        edge = FIXED + len(self.positive)
        positive = _compact(self.positive, numbers[FIXED:edge])
        negative = _compact(self.negative, numbers[edge:])
        return Histogram(
            self.shape.schema, numbers[COUNT], numbers[SUM], self.shape.zero_threshold, numbers[ZERO],
            *positive, *negative, self.shape.custom_values, hint,
        )  # fmt: skip

    def resets(self) -> Flags:
        """Tell before which rows the counter was reset."""
        counted = np.delete(self.rows, SUM, axis=1)
        fell = np.zeros(len(self.hints), dtype=np.bool_)
        fell[1:] = (counted[1:] < counted[:-1]).any(axis=1)
        told = np.array([int(hint) for hint in self.hints])
        result: Flags = np.where(told == ResetHint.YES, True, fell & (told != ResetHint.NO))
        result[:1] = False
        return result

    def total(self) -> tuple[list[float], ResetHint]:
        """Return the exact sum of each column, and the hint of the sum."""
        hint = self.hints[0]
        for other in self.hints[1:]:
            hint, _ = joint_hint(hint, other)
        return [math.fsum(column) for column in self.rows.T.tolist()], hint


def _compact(indices: tuple[int, ...], counts: list[float]) -> Side:
    if 0 in counts:
        kept = [place for place, count in enumerate(counts) if count != 0]
        return spans_of(tuple(indices[place] for place in kept)), tuple(counts[place] for place in kept)
    return spans_of(indices), tuple(counts)


def dense(points: Sequence[Histogram]) -> Dense | None:
    """Return histograms as a matrix; None where they differ in resolution or bounds, or numbers are not finite."""
    shape = points[0]
    for point in points:
        if (point.schema, point.zero_threshold) != (shape.schema, shape.zero_threshold):
            return None
        if point.custom_values is not shape.custom_values and point.custom_values != shape.custom_values:
            return None
    fixed = np.array([(point.count, point.sum, point.zero_count) for point in points], dtype=np.float64)
    positive, up = _side([point.positive_spans for point in points], [point.positive for point in points])
    negative, down = _side([point.negative_spans for point in points], [point.negative for point in points])
    rows = np.concatenate((fixed, up, down), axis=1)
    # So far below the largest number that no sum of them overflows.
    if not bool((np.abs(rows) < SAFE / len(points)).all()):
        return None
    return Dense(shape, positive, negative, rows, tuple(point.reset_hint for point in points))


def _side(spans: list[tuple[Span, ...]], counts: list[tuple[float, ...]]) -> tuple[tuple[int, ...], Matrix]:
    if all(one is spans[0] or one == spans[0] for one in spans):
        indices = indices_of(spans[0])
        return indices, np.array(counts, dtype=np.float64).reshape(len(counts), len(indices))
    union = tuple(sorted({index for one in set(spans) for index in indices_of(one)}))
    place_of = {index: place for place, index in enumerate(union)}
    columns = {one: [place_of[index] for index in indices_of(one)] for one in set(spans)}
    matrix = np.zeros((len(counts), len(union)))
    for row, (one, held) in enumerate(zip(spans, counts, strict=True)):
        matrix[row, columns[one]] = held
    return union, matrix
