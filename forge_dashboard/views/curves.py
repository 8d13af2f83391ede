"""The curves of a run as charts: which ones are shown, and how each is drawn."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from forge_dashboard import selectors
from forge_dashboard.catalogue import TARGET_SUCCESS_RATE, display
from forge_dashboard.panels.curves import one_a_place, widest_step, with_gaps
from forge_dashboard.selectors.following import CurveEnd, Seen
from metrics.maths.charting import Band, Chart

FAVOURITES = ("loss", "success_rate", "fitness", "best_fitness", "accuracy", "perplexity", "convergence_rate",
              "diversity", "compression_ratio", "grokfast_lambda", "learning_rate")  # fmt: skip
ON_OVERVIEW, AT_FIRST, MOST = 2, 6, 24
POINTS = 600


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve with its chart; `count` is how many points are in it, so that the page asks for later ones."""

    id: int
    name: str
    where: str
    count: int
    last: float | None
    chart: Chart


def _rank(end: CurveEnd, phase: str) -> tuple[bool, int, str, str]:
    place = FAVOURITES.index(end.name) if end.name in FAVOURITES else len(FAVOURITES)
    return end.phase != phase, place, end.phase, end.name


def key_of(end: CurveEnd) -> str:
    """Return how the address names a curve."""
    return f"{end.phase}/{end.name}"


def axis_asked(request: HttpRequest) -> str:
    """Return what the horizontal axis counts."""
    return "step" if request.GET.get("axis") == "step" else "time"


def chosen(request: HttpRequest, seen: Seen, *, overview: bool) -> list[CurveEnd]:
    """Return the curves to draw: those of the address, or the ones people look at first."""
    ends = sorted(seen.curves.values(), key=lambda end: _rank(end, seen.detail.run.current_phase))
    asked = request.GET.get("metrics", "")
    if overview:
        return ends[:ON_OVERVIEW]
    if asked == "all":
        return ends[:MOST]
    if asked:
        names = set(asked[:4_000].split(","))
        return [end for end in ends if key_of(end) in names][:MOST]
    return ends[:AT_FIRST]


def fingerprint(seen: Seen, *, overview: bool) -> str:
    """Return what a page compares to see that other curves should be drawn."""
    return f"{len(seen.curves)}.{seen.detail.run.current_phase if overview else ''}"


def drawn(request: HttpRequest, seen: Seen, *, overview: bool, grows: bool) -> list[Curve]:
    """Return the charts of a page; one query."""
    wanted = chosen(request, seen, overview=overview)
    if not wanted:
        return []
    names = [key_of(end) for end in wanted]
    lines = selectors.curves(request.user, seen.detail.run, names, max_points=POINTS)
    found = {(line.phase, line.name): line for line in lines}
    axis = axis_asked(request)
    return [
        _curve(end, found[end.phase, end.name], axis, grows=grows) for end in wanted if (end.phase, end.name) in found
    ]


def _curve(end: CurveEnd, line: selectors.CurveLine, axis: str, *, grows: bool) -> Curve:
    stepped = axis == "step" and line.steps is not None
    places = line.steps if stepped and line.steps is not None else line.at_seconds
    points = one_a_place(list(zip(places, line.values, strict=True)))
    widest = None if stepped else widest_step([place for place, _ in points])
    joined = with_gaps(points, widest)
    times, values = [place for place, _ in joined], [value for _, value in joined]
    where = display(end.phase) if end.phase else "whole run"
    series: list[dict[str, Any]] = [
        {"name": end.name, "full": key_of(end), "colour": 1, "dashed": False, "values": values}
    ]
    band = Band(*TARGET_SUCCESS_RATE, "target") if end.name == "success_rate" else None
    chart = Chart(
        f"curve-{end.id}", f"{end.name} in {where}", "", times, series, times[0] if times else 0,
        times[-1] if times else 1, axis="step" if stepped else "time", band=band, grows=grows, widest=widest,
    )  # fmt: skip
    return Curve(end.id, end.name, where, line.points, values[-1] if values else None, chart)


def chips(request: HttpRequest, seen: Seen) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return every metric of the run as a link that shows or hides it, by phase."""
    shown = [key_of(end) for end in chosen(request, seen, overview=False)]
    groups: dict[str, list[dict[str, Any]]] = {}
    order = {phase.phase: phase.position for phase in seen.detail.phases}
    for end in sorted(seen.curves.values(), key=lambda end: (order.get(end.phase, -1), end.phase, end.name)):
        key = key_of(end)
        rest = [name for name in shown if name != key] if key in shown else [*shown, key]
        query = request.GET.copy()
        query.pop("fragment", None)
        query["metrics"] = ",".join(rest) or "none"
        name = display(end.phase) if end.phase else "Whole run"
        groups.setdefault(name, []).append({"name": end.name, "on": key in shown, "href": f"?{query.urlencode()}"})
    return list(groups.items())
