"""Draws counts over time as paths of an SVG, so that no style attribute is needed. No Django, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

LEVELS = 4


@dataclass(frozen=True, slots=True)
class Bars:
    """Stacked bars in a box of `width` by `height`: one path a band, and the marks of the axis."""

    width: int
    height: int
    paths: list[tuple[str, str]]
    most: int


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:g} {y:.2f}h{width:g}v{height:.2f}h-{width:g}z"


def stacked(columns: Sequence[dict[str, int]], bands: Sequence[str], *, column: int = 10, height: int = 100) -> Bars:
    """Return one path a band, the first band at the bottom; a count that is not zero is at least two units high."""
    most = max((sum(counts.values()) for counts in columns), default=0)
    found: dict[str, list[str]] = {band: [] for band in bands}
    for place, counts in enumerate(columns):
        top = float(height)
        for band in bands:
            if counts[band]:
                tall = max(2.0, counts[band] / most * height)
                top = max(0.0, top - tall)
                found[band].append(_box(place * column + 1, top, column - 2, tall))
    paths = [(band, "".join(boxes)) for band, boxes in found.items() if boxes]
    return Bars(len(columns) * column, height, paths, most)


def heat(cells: Sequence[int], most: int, *, column: int = 10, height: int = 16) -> list[tuple[int, str]]:
    """Return one path a level of heat, 1 to LEVELS; every count above zero is drawn."""
    found: dict[int, list[str]] = {}
    for place, count in enumerate(cells):
        if count:
            level = min(LEVELS, 1 + (count * LEVELS - 1) // max(1, most))
            found.setdefault(level, []).append(_box(place * column + 0.5, 0, column - 1, height))
    return [(level, "".join(boxes)) for level, boxes in sorted(found.items())]
