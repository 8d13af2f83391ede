"""What an open page of a run asks many times a second: only what it does not have yet."""

import math
from typing import Any
from uuid import UUID

import orjson
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from forge_dashboard.selectors.following import Record, Seen, follow
from forge_dashboard.views import curves, tail
from forge_dashboard.views.parts import MAKERS, part, zone_named
from forge_dashboard.views.run import zone_of

PREFIX = "run-"
MOST_PARTS, MOST_CURVES, LINES_AT_ONCE = 8, 50, 300
CUT = '<li class="line-cut">Some lines between are not shown. <a href="?tab=logs">Load the log again</a></li>'


def _pairs(text: str, most: int) -> list[tuple[str, str]]:
    """Read `name.value,name.value`."""
    return [(name, value) for name, _, value in (word.partition(".") for word in text.split(",")[:most] if word)]


def _parts(request: HttpRequest, seen: Seen) -> dict[str, dict[str, str]]:
    changed = {}
    for name, tag in _pairs(request.GET.get("have", "")[:1_000], MOST_PARTS):
        known = name.removeprefix(PREFIX)
        if known not in MAKERS:
            continue
        made = part(seen, known, zone_of(request))
        if made.tag != tag:
            changed[PREFIX + known] = {"tag": made.tag, "html": made.html}
    return changed


def _lines(request: HttpRequest, seen: Seen) -> dict[str, Any]:
    asked = request.GET.get("log", "")
    if not asked.isdigit() or len(asked) > 18:
        return {}
    level, phase = tail.level_asked(request), tail.phase_asked(request)
    after = int(asked)
    known = seen.lines_after(after)
    lines = [line for line in (known if known is not None else seen.lines) if tail.fits(line, level, phase)]
    more, lines = len(lines) > LINES_AT_ONCE, lines[:LINES_AT_ONCE]
    last = lines[-1].pk if more else max(after, seen.last_line)
    if not lines:
        return {"log": last}
    text = ("" if known is not None else CUT) + tail.markup(lines, zone_named(zone_of(request)))
    return {"log": last, "lines": text, "line_count": len(lines), "more": more}


def _points(records: list[Record], axis: str) -> list[tuple[float, float]]:
    if axis == "step":
        return [(step, value) for step, _, value in records if not math.isnan(step)]
    return [(at, value) for _, at, value in records]


def _curves(request: HttpRequest, seen: Seen) -> dict[str, Any]:
    asked = request.GET.get("curves")
    if asked is None:
        return {}
    axis, new, reload = curves.axis_asked(request), {}, False
    for name, count in _pairs(asked[:4_000], MOST_CURVES):
        end = seen.curves.get(int(name)) if name.isdigit() and len(name) < 19 else None
        records = end.after(int(count)) if end and count.isdigit() and len(count) < 19 else None
        if end is None or records is None:
            reload = True
        elif records:
            new[name] = {"count": end.count, "points": _points(records, axis)}
    overview = request.GET.get("tab") == "overview"
    reload = reload or request.GET.get("key", "") != curves.fingerprint(seen, overview=overview)
    return {"curves": new, "reload_curves": reload}


@require_GET
@role_required(Role.VIEWER)
def pulse(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Answer with what changed since the page last asked; 304 where nothing did."""
    found = follow(request.user, run_id)
    if found is None:
        raise Http404("There is no such run.")
    seen, behind = found
    tag = f'"{seen.version}.{seen.serial}"'
    if not behind and request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers={"ETag": tag})
    said = {"version": seen.version, "parts": _parts(request, seen), **_lines(request, seen), **_curves(request, seen)}
    said["more"] = bool(said.get("more") or behind)
    # While there is more to fetch the page must not be told that it has everything.
    headers = {} if said["more"] else {"ETag": tag}
    return HttpResponse(orjson.dumps(said), content_type="application/json", headers=headers)
