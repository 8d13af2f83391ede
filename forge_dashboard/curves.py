"""Points of a curve as bytes, and fewer of them that still show every peak. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CHUNK_POINTS = 1_024
RECORD = np.dtype([("step", "<f8"), ("at_seconds", "<f8"), ("value", "<f8")])


@dataclass(frozen=True, slots=True)
class Points:
    """Columns of a curve; a point that was sent without a step has NaN for one."""

    steps: Floats
    at_seconds: Floats
    values: Floats

    @property
    def stepped(self) -> bool:
        """Tell whether every point has a step, so that steps can be the axis."""
        return not bool(np.isnan(self.steps).any())


def pack(points: Sequence[tuple[float | None, float, float]]) -> bytes:
    """Return (step, time, value) points as bytes."""
    rows = np.array([(np.nan if step is None else step, at, value) for step, at, value in points], RECORD)
    return rows.tobytes()


def unpack(chunks: Iterable[bytes]) -> Points:
    """Return the points of chunks in the order of their axis, whatever order they came in."""
    rows = np.frombuffer(b"".join(chunks), RECORD)
    steps, at_seconds, values = (rows[name].astype(np.float64) for name in ("step", "at_seconds", "value"))
    points = Points(steps, at_seconds, values)
    keys = (values, at_seconds, steps) if points.stepped else (values, steps, at_seconds)
    return _take(points, np.lexsort(keys))


def _take(points: Points, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Points:
    return Points(points.steps[chosen], points.at_seconds[chosen], points.values[chosen])


def after_step(points: Points, step: float) -> Points:
    """Return the points beyond a step; a point without one is beyond none."""
    return _take(points, points.steps > step)


def thin(points: Points, most: int) -> Points:
    """Return at most about `most` points: of each stretch the lowest and the highest, and both ends."""
    count = points.values.size
    most = max(most, 4)
    if count <= most:
        return points
    buckets = max((most - 2) // 2, 1)
    edges = np.linspace(0, count, buckets + 1).astype(np.intp)
    kept = {0, count - 1}
    for start, end in pairwise(edges.tolist()):
        part = points.values[start:end]
        kept.update((start + int(np.argmin(part)), start + int(np.argmax(part))))
    return _take(points, np.array(sorted(kept), np.intp))
