"""Where each phase of a run lies in time: bars, gaps, usual ends and plans, in percent of the chart's width."""

from collections.abc import Sequence
from dataclasses import dataclass, field

STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
MOST_TICKS = 6
SHORTEST_AXIS_SECONDS = 10.0
GAP_PERCENT = 1.0  # Phases begin some moments after the one before: only what can be seen is a gap.
EDGE_SHARE, GROWTH_SHARE = 0.05, 0.05  # Room for the mark of a failure; room to grow.

Times = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """One phase as the chart needs it, in Unix seconds; `expected` is when it may begin and end, `latest` the worst."""

    key: str
    started: float | None = None
    ended: float | None = None
    usual: Times | None = None
    expected: Times | None = None
    latest: float | None = None
    earlier: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a lane: where it begins and how long it is, in percent."""

    x: float
    width: float

    @property
    def end(self) -> float:
        """Return where it ends."""
        return round(self.x + self.width, 2)


@dataclass(slots=True)
class Lane:
    """What is drawn for one phase."""

    key: str
    bar: Stretch | None = None
    growing_since: float | None = None
    usual: Stretch | None = None
    expected: Stretch | None = None
    latest_at: float | None = None
    gap: Stretch | None = None
    gap_seconds: float = 0.0
    late: bool = False
    earlier: list[tuple[Stretch, str]] = field(default_factory=list)


@dataclass(slots=True)
class Lanes:
    """The chart: its axis, its ticks and a lane for each phase in order."""

    start: float
    end: float
    ticks: list[tuple[float, float]]
    lanes: list[Lane] = field(default_factory=list)
    now_at: float | None = None

    def stretch(self, since: float, until: float) -> Stretch:
        """Return the piece of the axis between two times."""
        scale = 100 / (self.end - self.start)
        low, high = max(since, self.start), min(until, self.end)
        return Stretch(round((low - self.start) * scale, 2), round(max(0.0, high - low) * scale, 2))


def ticks_of(span_seconds: float) -> list[tuple[float, float]]:
    """Return where the axis is marked, in percent, and how many seconds after the start that is."""
    step = next((s for s in STEPS_SECONDS if span_seconds / s <= MOST_TICKS), None)
    if step is None:
        step = 86_400 * (int(span_seconds / 86_400 / MOST_TICKS) + 1)
    return [(round(100 * at / span_seconds, 2), float(at)) for at in range(0, int(span_seconds) + 1, step)]


def _axis_end(phases: Sequence[PhaseTimes], end: float | None, now: float) -> float:
    ends = [phase.ended for phase in phases if phase.ended is not None]
    if end is not None:
        return max([end, *ends])
    planned = [phase.expected[1] for phase in phases if phase.expected]
    return max([now, *ends, *planned, *(phase.latest for phase in phases if phase.latest and phase.started)])


def lanes(phases: Sequence[PhaseTimes], *, start: float, end: float | None, now: float) -> Lanes:
    """Return the chart of a run that began at `start`; while `end` is None its axis runs past now."""
    until = max(_axis_end(phases, end, now), start + SHORTEST_AXIS_SECONDS)
    # Room to grow: while nothing new is told the page lengthens the bars by itself.
    until += (until - start) * (EDGE_SHARE if end is not None else EDGE_SHARE + GROWTH_SHARE)
    made = Lanes(start, until, ticks_of(until - start))
    before = start
    for phase in phases:
        lane = Lane(phase.key, earlier=[(made.stretch(one[0], one[1]), one[2]) for one in phase.earlier])
        begun = min([phase.started, *(one[0] for one in phase.earlier)]) if phase.started is not None else None
        if phase.started is not None and begun is not None:
            _begun(made, lane, phase, end if end is not None else now, over=end is not None)
            gap = made.stretch(before, begun)
            if gap.width > GAP_PERCENT:
                lane.gap, lane.gap_seconds = gap, begun - before
            before = max(before, phase.ended if phase.ended is not None else now)
        if phase.expected and end is None:
            lane.expected = made.stretch(*phase.expected)
        made.lanes.append(lane)
    made.now_at = None if end is not None else made.stretch(start, now).end
    return made


def _begun(made: Lanes, lane: Lane, phase: PhaseTimes, until: float, *, over: bool) -> None:
    started = phase.started or 0.0
    ended = phase.ended if phase.ended is not None else max(until, started)
    lane.bar = made.stretch(started, ended)
    lane.growing_since = started if phase.ended is None and not over else None
    if phase.usual:
        usual = made.stretch(started + phase.usual[0], started + phase.usual[1])
        lane.usual = usual if started + phase.usual[0] < made.end else None
        lane.late = ended - started > phase.usual[1]
    if phase.latest is not None and not over:
        lane.latest_at = made.stretch(made.start, phase.latest).end
