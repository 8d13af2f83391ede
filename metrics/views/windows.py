"""Which stretch of time an address asks for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.http import HttpRequest

from aivillage_console.lib.durations import parse_seconds
from metrics.promql.types import QueryResult

RANGES = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800}
POINTS = 240
MOST_POINTS = 2000


def parse_time(text: str) -> datetime | None:
    """Return an ISO time or epoch seconds as a datetime, or None."""
    try:
        at = datetime.fromtimestamp(float(text), UTC) if text[:1].isdigit() and "-" not in text else (
            datetime.fromisoformat(text))  # fmt: skip
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _step_seconds(request: HttpRequest, span_seconds: float, points: int) -> tuple[int, bool]:
    """Return the step, and whether the address chose it; too fine a step is widened to what a chart can show."""
    fitting = max(5, int(span_seconds / points) // 5 * 5)
    try:
        asked = int(parse_seconds(request.GET.get("step", "")))
    except ValueError:
        return fitting, False
    return max(1, asked, int(span_seconds / MOST_POINTS) + 1), True


def time_range(request: HttpRequest, default: str = "1h", *, now: datetime, points: int = POINTS) -> dict[str, Any]:
    """Return the range the address asks for: `from` and `to`, or `range` ending now; and `step`, or a fitting one."""
    name = request.GET.get("range", default)
    name = name if name in RANGES else default
    end = parse_time(request.GET.get("to", "")) or now
    start = parse_time(request.GET.get("from", "")) or end - timedelta(seconds=RANGES[name])
    if start >= end:
        start = end - timedelta(seconds=RANGES[name])
    fixed = bool(request.GET.get("from") or request.GET.get("to"))
    step_s, chosen = _step_seconds(request, (end - start).total_seconds(), points)
    start_ms, end_ms = (int(at.timestamp()) // step_s * step_s * 1000 for at in (start, end))
    return {"name": "" if fixed else name, "fixed": fixed, "names": list(RANGES), "start": start, "end": end,
            "step_s": step_s, "step": f"{step_s}s" if chosen else "", "start_ms": start_ms,
            "end_ms": end_ms}  # fmt: skip


def fitting_range(request: HttpRequest, window: dict[str, Any], first: float | None) -> str:
    """Return a shorter range that holds all there is, where the address asks for none; empty where none is better."""
    if first is None or any(request.GET.get(name) for name in ("range", "from", "to")):
        return ""
    held = window["end"].timestamp() - first
    asked = (window["end"] - window["start"]).total_seconds()
    return next((name for name, seconds in RANGES.items() if held <= seconds < asked), "")


def first_present(result: QueryResult) -> float | None:
    """Return when the first point of an answer lies."""
    if not result.present.any():
        return None
    return float(result.timestamps_ms[int(np.argmax(result.present.any(axis=0)))]) / 1000


def last_present(result: QueryResult) -> float | None:
    """Return when the last point of an answer lies."""
    if not result.present.any():
        return None
    return float(result.timestamps_ms[int(np.flatnonzero(result.present.any(axis=0))[-1])]) / 1000
