"""Explore: one query, four views of its answer; all of it is in the address."""

import csv
import io
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from metrics import selectors
from metrics.maths.charting import full_name
from metrics.native_histograms.text import described
from metrics.promql.paths import BadPath
from metrics.promql.types import QueryError, QueryResult
from metrics.views.asking import CHOICES, Meaning, form_of, meaning_of, meaning_of_form, path_in
from metrics.views.completing import MAX_QUERY
from metrics.views.hints import error_view, hint_on
from metrics.views.tabs import (
    HEAT_COLUMNS,
    STALE_SECONDS,
    answer_of,
    explain_context,
    heat_context,
    series_context,
)
from metrics.views.windows import POINTS, first_present, fitting_range, last_present, time_range

TABS = {"graph": "Graph", "table": "Table", "heatmap": "Heat map", "explain": "Explain"}
# What goes on into the address of the question's answer.
KEPT = ("range", "from", "to", "step", "tab", "what", "by", "over")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


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


def _stale(result: QueryResult, window: dict[str, Any]) -> float | None:
    """Return when the answer ends where it should reach to now and does not."""
    last = last_present(result)
    if last is None or window["fixed"]:
        return None
    return last if window["end_ms"] / 1000 - last > 2 * window["step_s"] + STALE_SECONDS else None


def _fitted(request: HttpRequest, query: str, context: dict[str, Any]) -> QueryResult:
    """Answer over the asked range, or over a shorter one where the address asks for none and all there is fits."""
    window = context["window"]
    result = answer_of(query, window)
    shorter = fitting_range(request, window, first_present(result))
    if shorter:
        context["window"] = window = time_range(request, shorter, now=context["now"])
        window["note"] = f"All there is lies within the last {shorter}."
        result = answer_of(query, window)
    return result


def _answered(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the chosen tab shows; raises QueryError."""
    query, tab = context["query"], context["tab"]
    if tab == "heatmap":
        found = heat_context(query, context["window"])
    elif tab == "explain":
        found = explain_context(query, context["window"])
    else:
        result = _fitted(request, query, context)
        found = {"result": result, **series_context(query, result, context["window"], tab)}
    result = found["result"]
    empty = not result.labels and result.type != "string"
    return found | {"warnings": result.warnings, "infos": result.infos, "stale": _stale(result, context["window"]),
                    "series_count": len(result.labels), "text_value": result.string_value,
                    "hint": hint_on(query) if empty and tab != "explain" else None}  # fmt: skip


def _meaning(form: dict[str, str], query: str) -> Meaning | None:
    """Return what a form or a path with a suffix means, None for PromQL; raises BadPath."""
    if form["metric"]:
        return meaning_of_form(form)
    path = path_in(query)
    return None if path is None else meaning_of(path)


def _explore_context(request: HttpRequest) -> dict[str, Any]:
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    now = clock.now()
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "graph"
    form = form_of(request)
    context: dict[str, Any] = {
        "query": query, "now": now, "tab": tab,
        "tabs": [("" if key == "graph" else key, words, key) for key, words in TABS.items()],
        "window": time_range(request, now=now, points=HEAT_COLUMNS if tab == "heatmap" else POINTS),
        "address": request.build_absolute_uri("/api/v1/query_range"), "form": form, "choices": CHOICES,
        "asks": bool(form["metric"]),
    }  # fmt: skip
    try:
        meaning = _meaning(form if not query else form | {"metric": ""}, query)
    except BadPath as error:
        wrong = {"text": str(error), "kind": "path", "caret": None}
        return context | {"error": wrong, "asks": not query, "status": 400}
    if meaning is not None:
        context |= {"query": meaning.query, "meaning": meaning}
    if not context["query"]:
        return context | {"starters": _starters()}
    if meaning is not None and not query:
        return context | {"only_shown": True}
    try:
        return context | _answered(request, context)
    except QueryError as error:
        return context | {"error": error_view(context["query"], error), "status": 400}


@require_GET
@role_required(Role.VIEWER)
def explore(request: HttpRequest) -> HttpResponse:
    """Ask a PromQL query, a metric path or the form, and see graph, table, heat map or explanation."""
    context = _explore_context(request)
    if context.get("only_shown") and request.GET.get("ask") == "run":
        kept = {name: request.GET[name] for name in KEPT if request.GET.get(name)}
        return redirect(
            f"{request.path}?{urlencode({'q': context['query'], 'metric': context['form']['metric'], **kept})}"
        )
    template = "metrics/_result.html" if request.GET.get("fragment") == "result" else "metrics/explore.html"
    return render(request, template, context, status=context.get("status", 200))


def csv_cell(value: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(FORMULA) else value


def _cells(result: QueryResult, place: int) -> list[str]:
    texts = [f"{v:.17g}" if ok else "" for v, ok in zip(result.values[:, place], result.present[:, place], strict=True)]
    if result.histograms is None:
        return texts
    column = result.histograms[:, place]
    return [text if cell is None else described(cell) for text, cell in zip(texts, column, strict=True)]


@require_GET
@role_required(Role.VIEWER)
def explore_csv(request: HttpRequest) -> HttpResponse:
    """Return the same answer as comma-separated values."""
    query = request.GET.get("q", "").strip()[:MAX_QUERY]
    try:
        result = answer_of(query, time_range(request, now=clock.now()))
    except QueryError as error:
        return HttpResponse(f"{error}\n", status=400, content_type="text/plain; charset=utf-8")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["time", *(csv_cell(full_name(labels)) for labels in result.labels)])
    for place, at in enumerate(result.timestamps_ms.tolist()):
        writer.writerow([datetime.fromtimestamp(at / 1000, UTC).isoformat(), *_cells(result, place)])
    answer = HttpResponse(out.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="query.csv"'
    return answer
