"""The parts of a run's page that change while it is open: rendered once a version, shared by all who look."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from alerts import selectors as alerts
from forge_dashboard import selectors, timing
from forge_dashboard.catalogue import TERMINAL
from forge_dashboard.panels.lanes import PhaseTimes, lanes
from forge_dashboard.panels.words import counted, marked, spoken, spread
from forge_dashboard.selectors.following import Seen
from forge_dashboard.timing import Band, Estimate

WARNINGS = {"stub": "it was a stub: it did nothing, so it counts as skipped and not as succeeded"}
METRICS_SHOWN = 6
ARTIFACTS_SHOWN = 6
ALERTS_SEARCHED = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it is sent; pages tell by the tag which one they hold."""

    tag: str
    html: SafeString


def zone_named(name: str) -> ZoneInfo:
    """Return a reader's time zone."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def over(seen: Seen) -> bool:
    """Tell whether the run has ended."""
    return seen.detail.state in TERMINAL


def _range(band: Band | None) -> str:
    return spread(band.p50_seconds, band.p90_seconds) if band else ""


def _left(estimate: Estimate | None) -> str:
    return spread(estimate.low_seconds, estimate.high_seconds) if estimate else ""


def _ends(estimate: Estimate | None, now: datetime, zone: ZoneInfo) -> str:
    if estimate is None:
        return ""
    low, high = (at.astimezone(zone) for at in estimate.ends(now))
    form = "%H:%M" if high - now < timedelta(days=1) else "%Y-%m-%d %H:%M"
    early, late = f"{low:{form}}", f"{high:{form}}"
    return f"{early} {low.tzname()}" if early == late else f"{early}–{late} {high.tzname()}"


def _bars(seen: Seen) -> list[selectors.GanttBar]:
    if "bars" not in seen.shared:
        detail = seen.detail
        seen.shared["bars"] = selectors.gantt(detail.run, detail.phases, detail.usual, now=seen.read_at)
    bars: list[selectors.GanttBar] = seen.shared["bars"]
    return bars


def _current(seen: Seen) -> selectors.GanttBar | None:
    """Return the phase at work, or the one that was last."""
    bars = _bars(seen)
    named = next((bar for bar in bars if bar.phase == seen.detail.run.current_phase), None)
    begun = [bar for bar in bars if bar.started_at is not None]
    return named or (begun[-1] if begun else None)


def _warnings(seen: Seen) -> list[dict[str, str]]:
    told = [("Run", str(text)) for text in seen.detail.run.warnings]
    told += [(phase.display, str(text)) for phase in seen.detail.phases for text in phase.warnings]
    return [{"where": where, "text": WARNINGS.get(text, text)[:300]} for where, text in told[:20]]


def _bar(seen: Seen) -> dict[str, Any]:
    return {"left": _left(seen.detail.row.estimate), "current": None if over(seen) else _current(seen)}


def _head(seen: Seen) -> dict[str, Any]:
    row = seen.detail.row
    silence = timing.silence_seconds(row.run.reporting_interval_seconds)
    return {"usual": _range(row.usual), "silence": spoken(silence), "warnings": _warnings(seen)}


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)[:60]
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _now(seen: Seen) -> dict[str, Any]:
    bar = None if over(seen) else _current(seen)
    phase = next((one for one in seen.detail.phases if bar and one.phase == bar.phase), None)
    if bar is None or phase is None:
        return {"current": None}
    speed = None
    if phase.step and phase.started_at and phase.last_event_at and phase.last_event_at > phase.started_at:
        speed = phase.step / (phase.last_event_at - phase.started_at).total_seconds()
    return {
        "current": bar, "phase_state": bar.state, "phase_over": bar.ended_at is not None, "step": phase.step,
        "step_words": counted(phase.step), "total_words": counted(phase.total_steps), "speed": speed,
        "phase_left": _left(bar.estimate), "phase_usual": _range(bar.usual), "message": phase.message,
        "place": f"{phase.position + 1} of {len(seen.detail.phases)}",
        "metrics": [(name, _number(value)) for name, value in list(phase.metrics.items())[:METRICS_SHOWN]],
    }  # fmt: skip


def _times(bar: selectors.GanttBar, now: datetime) -> PhaseTimes:
    """Return a phase in plain seconds, as the drawing wants it."""
    expected = None
    if bar.started_at is None and bar.begins_at and bar.ends_low_at:
        expected = (bar.begins_at.timestamp(), bar.ends_low_at.timestamp())
    elif bar.state == "running" and bar.ends_low_at:
        expected = (now.timestamp(), bar.ends_low_at.timestamp())
    earlier = tuple(
        (one.started_at.timestamp(), (one.ended_at or one.started_at).timestamp(), one.state) for one in bar.earlier
    )
    return PhaseTimes(
        bar.phase, bar.started_at.timestamp() if bar.started_at else None,
        bar.ended_at.timestamp() if bar.ended_at else None,
        (bar.usual.p50_seconds, bar.usual.p90_seconds) if bar.usual else None, expected,
        bar.ends_high_at.timestamp() if bar.ends_high_at else None, earlier,
    )  # fmt: skip


def _anchor(x: float) -> str:
    """Return which end of a tick's words stands at its mark, so that none leaves the chart."""
    return "start" if x < 5 else "end" if x > 92 else "middle"


def _phases(seen: Seen) -> dict[str, Any]:
    run, bars = seen.detail.run, _bars(seen)
    if not bars:
        return {"lanes": None}
    starts = [at for bar in bars for at in (bar.started_at, *(one.started_at for one in bar.earlier)) if at]
    start = min([run.started_at or seen.read_at, *starts])
    ended = (run.ended_at or seen.read_at).timestamp() if over(seen) else None
    drawn = lanes([_times(bar, seen.read_at) for bar in bars], start=start.timestamp(), end=ended,
                  now=seen.read_at.timestamp())  # fmt: skip
    return {"lanes": drawn, "ticks": [(x, marked(at), _anchor(x)) for x, at in drawn.ticks],
            "rows": [(bar, lane, _range(bar.usual)) for bar, lane in zip(bars, drawn.lanes, strict=True)]}  # fmt: skip


def _side(seen: Seen) -> dict[str, Any]:
    detail = seen.detail
    last = detail.checkpoints[0] if detail.checkpoints else None
    return {"gates": detail.gates, "artifacts": detail.artifacts[:ARTIFACTS_SHOWN], "checkpoint": last,
            "artifact_count": len(detail.artifacts), "checkpoint_step": counted(last.step) if last else ""}  # fmt: skip


def _artifacts(seen: Seen) -> dict[str, Any]:
    return {"artifacts": seen.detail.artifacts}


def _failure(seen: Seen) -> dict[str, Any]:
    card = selectors.failure(None, seen.detail.run, seen.detail.phases)
    return {"failure": card, "alert": _alert(seen) if card else None}


def _alert(seen: Seen) -> Any:
    """Return the newest alert that names this run, if there is one."""
    found = alerts.alerts_page(None, state="all", query=f"run={seen.detail.run.external_id}", limit=ALERTS_SEARCHED)
    return max(found.alerts, key=lambda alert: alert.started_at, default=None)


MAKERS: dict[str, Callable[[Seen], dict[str, Any]]] = {
    "bar": _bar, "head": _head, "now": _now, "phases": _phases, "side": _side, "artifacts": _artifacts,
    "failure": _failure,
}  # fmt: skip


def _holder(seen: Seen, name: str) -> dict[Any, Any]:
    """Return where a part is kept: most change only with a state or with what is read once a second."""
    return seen.shared if name in ("bar", "now") else seen.lasting


def part(seen: Seen, name: str, zone_name: str) -> Part:
    """Return one part of the page as it stands at this version, in a reader's time zone."""
    key, kept = (name, zone_name), _holder(seen, name)
    made = kept.get(key)
    if made is None:
        detail = seen.detail
        reader = SimpleNamespace(user=SimpleNamespace(time_zone=zone_name))
        ends = _ends(detail.row.estimate, seen.read_at, zone_named(zone_name))
        context = {"request": reader, "run": detail.run, "row": detail.row, "detail": detail, "state": detail.state,
                   "over": over(seen), "ends": ends} | MAKERS[name](seen)  # fmt: skip
        html = render_to_string(f"forge/_{name}.html", context)
        made = kept[key] = Part(f"{zlib.crc32(html.encode()):x}", html)
    answer: Part = made
    return answer
