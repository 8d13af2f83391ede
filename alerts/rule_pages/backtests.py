"""Backtests of the editor: the rule as it stands in the form over stored history, with progress, beside the saved one.

The answer comes with the request that asked. Another request asks meanwhile how far it is, or stops it; the two meet
in the cache, so any process may serve either.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from alerts.engine.backtest import Backtest, Firing
from alerts.engine.backtest_totals import is_page, totals
from alerts.models import Rule
from alerts.rule_pages.editing import draft_sent, kept_of, shown
from alerts.rule_pages.listing import zone_of
from alerts.rule_pages.pictures import merged, strip
from alerts.rule_pages.queries import chart_of
from alerts.rule_pages.saving import label_of
from alerts.services.backtest import Cancelled, NoBacktest, backtest
from metrics.maths.charting import Chart

RANGES = {"24h": 86_400, "7d": 604_800, "30d": 2_592_000}
KEPT_SECONDS = 60
MOST_SECONDS = 20.0
FIRINGS_SHOWN = 50
# More than one alert an hour is noise to most people.
NOISY_AN_HOUR = 1.0
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))


@dataclass(frozen=True, slots=True)
class Row:
    """One firing as its row shows it."""

    firing: Firing
    seconds: float
    pages: int
    withheld: Sequence[str]


def _rows(found: Backtest) -> list[Row]:
    return [
        Row(
            one, (one.resolved_at or found.end_at) - one.started_at, sum(map(is_page, one.told)),
            sorted({each.withheld for each in one.told if each.withheld}),
        )
        for one in found.firings[:FIRINGS_SHOWN]
    ]  # fmt: skip


def _an_hour(found: Backtest) -> float:
    """Return how often an hour it fired, where that is more than people bear; else nothing."""
    often = len(found.firings) / max(1.0, (found.end_at - found.start_at) / 3600)
    return often if often > NOISY_AN_HOUR else 0.0


def _key(job: str) -> str:
    return f"backtest:{job}"


def _job_of(request: HttpRequest) -> str:
    try:
        return str(UUID(request.POST.get("job", "")))
    except ValueError:
        return ""


def progress_of(job: str, *, first: float = 0, share: float = 1) -> Callable[[float], bool]:
    """Return what a backtest tells how far it is; it stops where somebody said so, or after too long."""
    ends_at = monotonic() + MOST_SECONDS

    def progress(done: float) -> bool:
        if not job:
            return monotonic() < ends_at
        if cache.get(f"{_key(job)}:stop"):
            return False
        cache.set(_key(job), first + done * share, KEPT_SECONDS)
        return monotonic() < ends_at

    return progress


@require_POST
@role_required(Role.EDITOR)
def run(request: HttpRequest) -> HttpResponse:
    """Backtest what stands in the editor."""
    draft, stored = draft_sent(request)
    name = request.POST.get("range", "")
    name = name if name in RANGES else "7d"
    context: dict[str, Any] = {"range": name, "problems": [(n, label_of(n), t) for n, t in draft.problems.items()]}
    if not draft.problems:
        context |= _tried(request, draft.rule, stored, RANGES[name])
    if request.headers.get("HX-Request") == "true":
        return render(request, "alerts/rules/_backtest.html", context)
    del context["problems"]  # The editor says them itself.
    return shown(request, draft, **context, **kept_of(draft, stored))


def _tried(request: HttpRequest, rule: Rule, stored: Rule | None, span_seconds: int) -> dict[str, Any]:
    now, job = clock.now(), _job_of(request)
    start = now - timedelta(seconds=span_seconds)
    zone = _zone(request)
    compare = stored is not None and stored.kind != "recording" and _differs(rule, stored)
    progress = progress_of(job, share=0.5 if compare else 1)
    try:
        if not progress(0.0):
            raise Cancelled
        found = backtest(rule, start_at=start, end_at=now, progress=progress, zone=zone)
        saved = _saved(stored, found, job, zone) if compare and stored is not None else None
    except NoBacktest as error:
        return {"tried_problem": str(error)}
    except Cancelled:
        return {"tried_problem": "It was stopped before its end. A shorter range takes less time."}
    finally:
        if job:
            cache.delete_many([_key(job), f"{_key(job)}:stop"])
    return _drawn(rule, found) | {"saved": totals(saved) if saved else None}


def _saved(stored: Rule, found: Backtest, job: str, zone: ZoneInfo) -> Backtest:
    """Return what the rule as it is saved would have done in the same time."""
    return backtest(
        stored, start_at=clock.at_seconds(found.start_at), end_at=clock.at_seconds(found.end_at),
        progress=progress_of(job, first=0.5, share=0.5), zone=zone,
    )  # fmt: skip


def _differs(rule: Rule, stored: Rule) -> bool:
    names = ("kind", "spec", "severity", "labels", "for_seconds", "keep_firing_for_seconds", "window_seconds",
             "cooldown_seconds", "alert_name", "group_id")  # fmt: skip
    return any(getattr(rule, name) != getattr(stored, name) for name in names)


def _zone(request: HttpRequest) -> ZoneInfo:
    try:
        return ZoneInfo(zone_of(request))
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _drawn(rule: Rule, found: Backtest) -> dict[str, Any]:
    spans = merged((one.started_at, one.resolved_at or found.end_at) for one in found.firings)
    chart, missing = chart_of(rule, start=found.start_at, end=found.end_at, title="The query over the backtest")
    pages = [one.at for firing in found.firings for one in firing.told if is_page(one)]
    nights = [one.at for firing in found.firings for one in firing.told if is_page(one) and one.at_night]
    if chart is not None:
        chart.id = "backtest-chart"
    return {
        "tried": found, "sums": totals(found), "an_hour": _an_hour(found), "rows": _rows(found),
        "more_rows": max(0, len(found.firings) - FIRINGS_SHOWN), "chart": chart, "missing": missing,
        "bands": strip([(since, until, "firing") for since, until in spans], found.start_at, found.end_at),
        "page_marks": strip([(at, at, "page") for at in pages[:500]], found.start_at, found.end_at),
        "night_marks": strip([(at, at, "night") for at in nights[:500]], found.start_at, found.end_at),
        "suggested": suggested(chart),
    }  # fmt: skip


def suggested(chart: Chart | None) -> list[tuple[str, str]]:
    """Return thresholds worth a look: quantiles of what the query answered in this time."""
    if chart is None or chart.threshold is None:
        return []
    values = sorted(
        value for line in chart.series for value in line["values"] if value is not None and math.isfinite(value)
    )
    if not values:
        return []
    found = [(name, values[min(len(values) - 1, int(share * len(values)))]) for name, share in QUANTILES]
    found.append(("1.2 × p95", next(value for name, value in found if name == "p95") * 1.2))
    return [(name, f"{value:.4g}") for name, value in found]


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def job(request: HttpRequest, job_id: UUID) -> JsonResponse:
    """Say how far a backtest is; a POST stops it."""
    if request.method == "POST":
        cache.set(f"{_key(str(job_id))}:stop", True, KEPT_SECONDS)
    return JsonResponse({"done": cache.get(_key(str(job_id)))})
