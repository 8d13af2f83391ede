"""Pages of the metrics app: Explore and its helpers."""

import csv
import difflib
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from metrics import selectors
from metrics.maths.charting import Chart, full_name, lines_of, statistics
from metrics.promql.questions import selectors_of
from metrics.promql.types import QueryError, QueryResult

RANGES = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800}
POINTS = 240
MAX_QUERY = 4000
WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*$")  # noqa: TID251 - our own constant, linear
LABEL_VALUE = re.compile(r'([a-zA-Z_:][\w:]*)?\{[^}]*?([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"([^"]*)$')  # noqa: TID251 - our own constant, linear
LABEL_NAME = re.compile(r"([a-zA-Z_:][\w:]*)?\{[^}]*?([a-zA-Z_]\w*)?$")  # noqa: TID251 - our own constant, linear
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def parse_time(text: str) -> datetime | None:
    """Return an ISO time or epoch seconds as a datetime, or None."""
    try:
        at = datetime.fromtimestamp(float(text), UTC) if text[:1].isdigit() and "-" not in text else (
            datetime.fromisoformat(text))  # fmt: skip
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def time_range(request: HttpRequest, default: str = "1h", *, now: datetime) -> dict[str, Any]:
    """Return the range the address asks for: `from` and `to`, or `range` ending now."""
    name = request.GET.get("range", default)
    name = name if name in RANGES else default
    end = parse_time(request.GET.get("to", "")) or now
    start = parse_time(request.GET.get("from", "")) or end - timedelta(seconds=RANGES[name])
    if start >= end:
        start = end - timedelta(seconds=RANGES[name])
    fixed = bool(request.GET.get("from") or request.GET.get("to"))
    step_s = max(5, int((end - start).total_seconds() / POINTS) // 5 * 5)
    start_ms, end_ms = (int(at.timestamp()) // step_s * step_s * 1000 for at in (start, end))
    return {"name": "" if fixed else name, "fixed": fixed, "names": list(RANGES), "start": start, "end": end,
            "step_s": step_s, "start_ms": start_ms, "end_ms": end_ms}  # fmt: skip


def fitting_range(request: HttpRequest, window: dict[str, Any], first: float | None) -> str:
    """Return a shorter range that holds all there is, where the address asks for none; empty where none is better."""
    if first is None or any(request.GET.get(name) for name in ("range", "from", "to")):
        return ""
    held = window["end"].timestamp() - first
    asked = (window["end"] - window["start"]).total_seconds()
    return next((name for name, seconds in RANGES.items() if held <= seconds < asked), "")


def _error_view(query: str, error: QueryError) -> dict[str, Any]:
    at = error.position
    caret = None if at is None or at > len(query) else query.replace("\n", " ") + "\n" + " " * at + "^"
    return {"text": str(error), "kind": error.kind, "caret": caret}


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _suggestion(query: str) -> str:
    """Say which name or label value of a query that answers nothing is unknown, and what is close to it."""
    for matchers in selectors_of(query):
        for matcher in (m for m in matchers if m.op == "="):
            known = list(selectors.label_values(matcher.name))
            if matcher.value in known or not matcher.value:
                continue
            if matcher.name == "__name__":
                return f"No metric is called {matcher.value}.{_near(matcher.value, known)}"
            if not known:
                return f"No series has a label {matcher.name}.{_near(matcher.name, list(selectors.label_names()))}"
            near = _near(matcher.value, known)
            return f"The label {matcher.name} exists, its value {matcher.value} does not.{near}"
    return "Metric and labels exist, but no sample lies in this range, or the condition holds for none."


def _unit(query: str) -> str:
    rate = any(f"{name}(" in query for name in ("rate", "irate", "increase", "deriv"))
    if "bytes" in query:
        return "bytes/s" if rate else "bytes"
    if "seconds" in query and not rate:
        return "seconds"
    return "percent" if "percent" in query else ""


def _legend(chart: Chart) -> list[dict[str, Any]]:
    return [{**line, **statistics(line["values"])} for line in chart.series]


def _ask(query: str, window: dict[str, Any]) -> QueryResult:
    return selectors.range_query(query, start_ms=window["start_ms"], end_ms=window["end_ms"],
                                 step_ms=window["step_s"] * 1000)  # fmt: skip


def first_present(result: QueryResult) -> float | None:
    """Return when the first point of an answer lies."""
    if not result.present.any():
        return None
    return float(result.timestamps_ms[int(np.argmax(result.present.any(axis=0)))]) / 1000


def _chart_of(query: str, result: QueryResult, window: dict[str, Any]) -> Chart:
    lines, hidden = lines_of(result)
    times = [at / 1000 for at in result.timestamps_ms.tolist()]
    return Chart("explore", query, _unit(query), times, lines, window["start_ms"] / 1000, window["end_ms"] / 1000,
                 hidden=hidden)  # fmt: skip


def _starters() -> list[tuple[str, str]]:
    names = set(selectors.metric_names())
    wanted = [
        ("cpu_usage_percent", "avg by (host) (cpu_usage_percent)", "CPU of every host"),
        ("memory_usage_percent", "memory_usage_percent", "Memory of every host"),
        ("network_bytes_received_total", "sum by (host) (rate(network_bytes_received_total[2m]))", "Network, received"),
        ("disk_usage_percent", "max by (mount) (disk_usage_percent)", "How full each file system is"),
        ("console_work_total", "sum by (kind) (rate(console_work_total[5m]))", "Work the console does"),
    ]
    found = [(query, words) for name, query, words in wanted if name in names]
    found += [(name, "A stored metric") for name in sorted(names)]
    return found[:5]


def _explore_context(request: HttpRequest) -> dict[str, Any]:
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    now = clock.now()
    window = time_range(request, now=now)
    context: dict[str, Any] = {"query": query, "window": window, "now": now,
                               "tab": "table" if request.GET.get("tab") == "table" else "graph",
                               "address": request.build_absolute_uri("/api/v1/query_range")}  # fmt: skip
    if not query:
        return context | {"starters": _starters()}
    try:
        result = _ask(query, window)
        shorter = fitting_range(request, window, first_present(result))
        if shorter:
            context["window"] = window = time_range(request, shorter, now=now)
            window["note"] = f"All there is lies within the last {shorter}."
            result = _ask(query, window)
    except QueryError as error:
        return context | {"error": _error_view(query, error), "status": 400}
    chart = _chart_of(query, result, window)
    return context | {"chart": chart, "legend": _legend(chart), "warnings": result.warnings,
                      "suggestion": "" if chart.series else _suggestion(query)}  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def explore(request: HttpRequest) -> HttpResponse:
    """Ask a PromQL query and see it as graph or table; all of it is in the address."""
    context = _explore_context(request)
    template = "metrics/_result.html" if request.GET.get("fragment") == "result" else "metrics/explore.html"
    return render(request, template, context, status=context.get("status", 200))


def csv_cell(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(FORMULA) else value


@require_GET
@role_required(Role.VIEWER)
def explore_csv(request: HttpRequest) -> HttpResponse:
    """Return the same answer as comma-separated values."""
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    try:
        result = _ask(query, time_range(request, now=clock.now()))
    except QueryError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["time", *(csv_cell(full_name(labels)) for labels in result.labels)])
    for place, at in enumerate(result.timestamps_ms.tolist()):
        cells = [
            f"{v:.17g}" if ok else "" for v, ok in zip(result.values[:, place], result.present[:, place], strict=True)
        ]
        writer.writerow([datetime.fromtimestamp(at / 1000, UTC).isoformat(), *cells])
    answer = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="query.csv"'
    return answer


def _options(found: list[str], typed: str, before: int, kind: str, tail: str = "") -> list[dict[str, Any]]:
    near = [text for text in found if typed.lower() in text.lower()]
    near.sort(key=lambda text: (not text.lower().startswith(typed.lower()), text))
    return [{"text": text, "insert": text + tail, "start": before - len(typed), "end": before, "kind": kind}
            for text in near[:20]]  # fmt: skip


def complete_options(query: str, at: int) -> list[dict[str, Any]]:
    """Return what may stand at the cursor: a label's value, a label, or a metric."""
    left = query[:at]
    if value := LABEL_VALUE.search(left):
        return _options(list(selectors.label_values(value[2])), value[3], at, f"value of {value[2]}")
    if (name := LABEL_NAME.search(left)) and "{" in left:
        return _options(list(selectors.label_names()), name[2] or "", at, "label", '="')
    word = WORD.search(left)
    return _options(list(selectors.metric_names()), word[0], at, "metric") if word else []


@require_GET
@role_required(Role.VIEWER)
def complete(request: HttpRequest) -> JsonResponse:
    """Answer the query box's question for completions."""
    query = request.GET.get("q", "")[:MAX_QUERY]
    at = request.GET.get("at", "")
    place = min(int(at), len(query)) if at.isdigit() and len(at) < 6 else len(query)
    return JsonResponse({"options": complete_options(query, place)})
