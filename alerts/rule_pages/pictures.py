"""Small drawings of rule pages, as outlines for SVG."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BAR_PX, GAP_PX, HEIGHT_PX = 3, 1, 16
STRIP_WIDTH = 1000.0


def bars(counts: Sequence[int]) -> Mapping[str, Any]:
    """Return firings over time as two outlines: the bars, and the ground line where there was none."""
    most = max(counts, default=0)
    fired, quiet = "", ""
    for place, count in enumerate(counts):
        x = place * (BAR_PX + GAP_PX)
        if count:
            height = max(3, round(count / most * HEIGHT_PX))
            fired += f"M{x} {HEIGHT_PX - height}h{BAR_PX}v{height}h-{BAR_PX}z"
        else:
            quiet += f"M{x} {HEIGHT_PX - 1}h{BAR_PX}v1h-{BAR_PX}z"
    width = len(counts) * (BAR_PX + GAP_PX) - GAP_PX
    return {"fired": fired, "quiet": quiet, "width": width, "height": HEIGHT_PX, "count": sum(counts)}


def strip(spans: Iterable[tuple[float, float, str]], start: float, end: float) -> list[dict[str, Any]]:
    """Return spans of time (from, to, name) as places on a strip a thousand units wide; each at least one unit."""
    whole = end - start
    if whole <= 0:
        return []
    found = []
    for since, until, name in spans:
        left, right = max(since, start), min(until, end)
        if right >= left:
            x = (left - start) / whole * STRIP_WIDTH
            width = max(1.5, (right - left) / whole * STRIP_WIDTH)
            found.append({"name": name, "x": round(min(x, STRIP_WIDTH - 1.5), 1), "width": round(width, 1)})
    return found


def merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return spans with those that touch joined, so that a thousand alerts are a few boxes."""
    found: list[tuple[float, float]] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found
