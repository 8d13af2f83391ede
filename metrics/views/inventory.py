"""What the store holds: cardinality, storage and the advice on names."""

import difflib
import json
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from metrics.inventory import cardinality as counted
from metrics.inventory import linting
from metrics.inventory import storage as stored
from metrics.inventory.cardinality import DayRow, MetricDetail, MetricRow
from metrics.maths.stacking import stack
from metrics.store.cardinality import LabelShare

MOST_ROWS = 50
MOST_LABELS = 12
ROWS_A_KIND = 20
ROWS_OF_ONE_KIND = 500
MOST_TEXT = 200
KEYS: dict[str, Callable[[MetricRow], int]] = {
    "series": lambda row: row.series, "new": lambda row: row.new or 0, "bytes": lambda row: row.data_bytes or 0,
    "samples": lambda row: row.samples or 0, "labels": lambda row: row.labels,
}  # fmt: skip


def _asked(request: HttpRequest, name: str) -> str:
    return request.GET.get(name, "").replace("\0", "")[:MOST_TEXT]


def _growth(days: list[DayRow]) -> dict[str, Any]:
    drawn = stack([{"s1": float(row.new)} for row in days], ["s1"])
    return {"stack": drawn, "days": days, "any": any(row.new for row in days)}


@require_GET
@role_required(Role.VIEWER)
def cardinality(request: HttpRequest) -> HttpResponse:
    """Show which metrics make the series, or one of them with its labels."""
    name = _asked(request, "metric")
    if name:
        return _metric(request, name)
    now = clock.now()
    order = _asked(request, "by")
    order = order if order in KEYS else "series"
    search = _asked(request, "q")
    found = counted.overview(now=now, viewer=request.user)
    rows = [row for row in found.rows if search.lower() in row.name.lower()]
    rows.sort(key=lambda row: (-KEYS[order](row), row.name))
    context = {
        "found": found, "rows": rows[:MOST_ROWS], "matching": len(rows), "order": order, "orders": list(KEYS),
        "search": search, "growth": _growth(found.days), "labels": found.labels[:MOST_LABELS], "now": now,
        "near": [row for row in found.sources if row.is_near],
    }  # fmt: skip
    return render(request, "metrics/cardinality.html", context)


def selector(metric: str, label: str = "", value: str = "") -> str:
    """Return the PromQL that selects a metric, or those of its series that have a label's value."""
    matchers = [] if not label else [f"{_name(label)}={json.dumps(value, ensure_ascii=False)}"]
    if metric.isascii() and metric.replace(":", "_").isidentifier():
        return f"{metric}{{{', '.join(matchers)}}}" if matchers else metric
    return f"{{{', '.join([json.dumps(metric, ensure_ascii=False), *matchers])}}}"


def _name(label: str) -> str:
    return label if label.isascii() and label.isidentifier() else json.dumps(label, ensure_ascii=False)


def _label_rows(metric: str, detail: MetricDetail) -> list[dict[str, Any]]:
    compared = detail.labels.compared
    return [{
        "label": one, "factor": one.factor(compared), "saved_percent": 100 * (1 - one.without / max(1, compared)),
        "data_bytes": _bytes_made(one, detail), "query": f"count by ({_name(one.name)}) ({selector(metric)})",
    } for one in detail.labels.labels]  # fmt: skip


def _bytes_made(one: LabelShare, detail: MetricDetail) -> int | None:
    """Return what the series that a label makes take, as if all of a metric took the same."""
    if detail.stored is None:
        return None
    return round(detail.stored.data_bytes * (1 - one.without / max(1, detail.labels.compared)))


def _value_rows(metric: str, chosen: LabelShare, series: int) -> list[dict[str, Any]]:
    return [{
        "text": text, "series": count, "percent": 100 * count / max(1, series),
        "query": selector(metric, chosen.name, text),
    } for text, count in chosen.top]  # fmt: skip


def _metric(request: HttpRequest, name: str) -> HttpResponse:
    now = clock.now()
    detail = counted.metric_detail(name, now=now, viewer=request.user)
    if detail is None:
        known = [size.name for size in counted.sizes().value]
        near = difflib.get_close_matches(name, known, n=3)
        return render(request, "metrics/cardinality_metric.html", {"name": name, "near": near}, status=404)
    wanted = _asked(request, "label")
    labels = detail.labels.labels
    chosen = next((one for one in labels if one.name == wanted), labels[0] if labels else None)
    context = {
        "name": name, "detail": detail, "query": selector(name), "labels": _label_rows(name, detail),
        "chosen": chosen, "growth": _growth(detail.days), "now": now,
        "values": _value_rows(name, chosen, detail.labels.series) if chosen else [],
        "shortened": bool(chosen and chosen.values > len(chosen.top)),
        "partial": detail.labels.compared < detail.labels.series,
    }  # fmt: skip
    return render(request, "metrics/cardinality_metric.html", context)


@require_GET
@role_required(Role.VIEWER)
def storage(request: HttpRequest) -> HttpResponse:
    """Show what metrics take on disk, what goes when, and how long the disk lasts."""
    now = clock.now()
    found = stored.storage(now=now, viewer=request.user)
    shown = found.days[-stored.SHOWN_DAYS :]
    bands = {level: f"level-{level}" for level in stored.LEVELS}
    columns = [{bands[level]: float(part.data_bytes) for level, part in day.levels.items()} for day in shown]
    context = {
        "found": found, "days": shown, "hidden_days": len(found.days) - len(shown), "now": now,
        "stack": stack(columns, list(bands.values())),
        "bands": [(level, bands[level], name) for level, name in stored.LEVELS.items()],
        "largest": max((table.total_bytes for table in found.tables), default=0),
    }  # fmt: skip
    return render(request, "metrics/storage.html", context)


@require_GET
@role_required(Role.VIEWER)
def naming(request: HttpRequest) -> HttpResponse:
    """Show what names and labels break the conventions, by kind of advice."""
    level, code = _asked(request, "level"), _asked(request, "code")
    level = level if level in linting.LEVELS else ""
    code = code if code in linting.TITLES else ""
    search = _asked(request, "q")
    linted = linting.lint(viewer=request.user)
    kinds: dict[str, list[linting.Finding]] = {}
    for one in linted.narrowed(level=level, code=code, search=search):
        kinds.setdefault(one.advice.code, []).append(one)
    most = ROWS_OF_ONE_KIND if code else ROWS_A_KIND
    counts = {name: sum(one.advice.level == name for one in linted.findings) for name in linting.LEVELS}
    context = {
        "linted": linted, "level": level, "code": code, "search": search, "counts": counts, "now": clock.now(),
        "levels": [("", len(linted.findings)), *counts.items()], "filtered": bool(level or code or search),
        "kinds": [{"code": kind, "title": rows[0].title, "level": rows[0].advice.level, "total": len(rows),
                   "rows": [(one, selector(one.metric)) for one in rows[:most]]} for kind, rows in kinds.items()],
    }  # fmt: skip
    return render(request, "metrics/naming.html", context)
