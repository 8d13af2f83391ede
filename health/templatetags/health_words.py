"""The words Health's pages are written in: a band by shape, word and colour, and the strip of a day."""

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()
# Shape and word tell bands apart without colour.
LOOKS = {
    "healthy": ("ok", "s-check"), "partial": ("medium", "s-diamond"), "degraded": ("medium", "s-diamond"),
    "unhealthy": ("critical", "s-octagon"), "unknown": ("unknown", "s-unknown"),
}  # fmt: skip
# Worse is taller, so that the strip can be read without colour.
HEIGHTS = {"healthy": 5, "degraded": 10, "unhealthy": 14, "unknown": 2, "none": 1}
WIDTH, GAP, FULL = 4, 1, 14


@register.simple_tag
def band(name: str, quiet: bool = False) -> SafeString:
    """Return shape and word of a status or band."""
    look, mark = LOOKS.get(name, LOOKS["unknown"])
    return format_html(
        '<span class="health {}{}"><svg class="shape" aria-hidden="true"><use href="#{}"></use></svg>{}</span>',
        look, " quiet" if quiet else "", mark, name,
    )  # fmt: skip


@register.filter
def look(name: str) -> str:
    """Return the class of a status or band."""
    return LOOKS.get(name, LOOKS["unknown"])[0]


@register.filter
def strip(hours: Sequence[str]) -> dict[str, Any]:
    """Return a day as one outline a status, and in words."""
    paths = dict.fromkeys(HEIGHTS, "")
    for place, status in enumerate(hours):
        height = HEIGHTS[status]
        paths[status] += f"M{place * (WIDTH + GAP)} {FULL - height}h{WIDTH}v{height}h-{WIDTH}z"
    counts = {status: hours.count(status) for status in HEIGHTS}
    bad = [f"{counts[status]} h {status}" for status in ("unhealthy", "degraded") if counts[status]]
    silent = counts["none"] + counts["unknown"]
    words = ", ".join(bad) or ("nothing known" if silent == len(hours) else "no failure")
    return {"paths": paths, "words": f"{words} in the last {len(hours)} hours"}


@register.filter
def share(value: float | None) -> str:
    """Return a share as per cent that is never rounded up to 100."""
    if value is None:
        return "–"
    return "100 %" if value == 1 else f"{min(value * 100, 99.99):.2f} %"


@register.filter
def milliseconds(value: float | None) -> str:
    """Return a duration that was measured."""
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms" if value < 10_000 else f"{value / 1000:.1f} s"
