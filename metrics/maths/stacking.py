"""Draws amounts side by side as paths of an SVG, so that no style attribute is needed. No Django, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COLUMN = 10


@dataclass(frozen=True, slots=True)
class Stack:
    """Stacked bars in a box of `width` by `height`: one path a band, and what the highest bar stands for."""

    width: int
    height: int
    paths: list[tuple[str, str]]
    most: float


def stack(columns: Sequence[Mapping[str, float]], bands: Sequence[str], *, height: int = 100) -> Stack:
    """Return one path a band, the first at the bottom; what is above zero is at least one unit high."""
    most = max((sum(column.values()) for column in columns), default=0.0)
    found: dict[str, list[str]] = {band: [] for band in bands}
    for place, column in enumerate(columns):
        top = float(height)
        for band in bands:
            amount = column.get(band, 0.0)
            if amount > 0:
                tall = min(top, max(1.0, amount / most * height))
                top -= tall
                found[band].append(f"M{place * COLUMN + 1} {top:.2f}h{COLUMN - 2}v{tall:.2f}h-{COLUMN - 2}z")
    paths = [(band, "".join(boxes)) for band, boxes in found.items() if boxes]
    return Stack(max(1, len(columns)) * COLUMN, height, paths, most)
