"""Curves of a run as pages draw them: where nothing was told for long, nothing is drawn."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

GAP_FACTOR = 8.0
LEAST_FOR_GAPS = 5

Point = tuple[float, float | None]


def widest_step(places: Sequence[float]) -> float | None:
    """Return the distance beyond which two neighbours are not joined; None where too little is known."""
    steps = [later - earlier for earlier, later in pairwise(places) if later > earlier]
    return GAP_FACTOR * median(steps) if len(steps) >= LEAST_FOR_GAPS else None


def with_gaps(points: Sequence[Point], widest: float | None) -> list[Point]:
    """Return the points with an empty one wherever the way to the next is wider than that."""
    made: list[Point] = []
    for place, value in points:
        if widest is not None and made and place - made[-1][0] > widest:
            made.append(((place + made[-1][0]) / 2, None))
        made.append((place, value))
    return made


def one_a_place(points: Sequence[Point]) -> list[Point]:
    """Return the points by their place on the axis, one for each: of several the one told last."""
    return sorted(dict(points).items())
