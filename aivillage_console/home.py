"""The roof's own pages: Overview, Setup, the style guide and error pages; joins the apps and decides nothing."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_GET, require_POST

from aivillage_console import demonstration
from aivillage_console.accounts import selectors as account_selectors
from aivillage_console.accounts.models import Role, Scope, TokenKind
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.services import Actor, Refused, source_named, token_issue
from aivillage_console.lib import clock, live, outage
from aivillage_console.lib.durations import format_seconds
from alerts import selectors as alert_selectors
from alerts.models import Alert
from alerts.services.channels import channel_test
from forge_dashboard import selectors as forge_selectors
from forge_dashboard.views.runs import shown as shown_run
from health import selectors as health_selectors
from metrics import selectors as metrics
from metrics.maths.charting import Chart, Threshold, merged
from metrics.promql.types import QueryError
from metrics.views import fitting_range, time_range

GOLDEN: list[tuple[str, str, str, dict[str, str], float | None]] = [
    ("cpu", "CPU", "percent", {"busy": "avg(cpu_usage_percent)"}, 100),
    ("memory", "Memory", "percent", {"used": "avg(memory_usage_percent)"}, 100),
    ("disk", "Disk space used", "percent", {"used": "max by (mount) (disk_usage_percent)"}, 100),
    ("network", "Network (rate over 2 min)", "bytes/s",
     {"received": "sum(rate(network_bytes_received_total[2m]))", "sent": "sum(rate(network_bytes_sent_total[2m]))"},
     None),
]  # fmt: skip
NAV = [("Overview", "home", "home"), ("Alerts", "alerts:inbox", "bell"),
       ("Incidents", "incidents:list", "stack"), ("Silences", "silences:list", "bell-off"),
       ("Metrics", "metrics:explore", "chart"),
       ("Security", "security:overview", "shield"), ("Health", "health:overview", "pulse"),
       ("Forge", "forge:runs", "forge"), ("Setup", "setup", "plug")]  # fmt: skip
TOPICS = ("alerts", "incidents", "overview", "setup", "deliveries", "forge", "security", "health")
KEPT_SECONDS, MOST_KEPT = 10.0, 32
SHORTENED = "Data begins at {0:%H:%M} UTC, so the last {1} are shown."
TOO_OLD = ("Compare the sender's clock and unit (milliseconds) with ours; the door takes {0} back and {1} ahead. "
           "Older samples need a token with the scope backfill.")  # fmt: skip
ADVICE = {
    200: "The rest is stored. Correct these rows and send them in a batch with an id of its own.",
    400: "Compare the body with the snippet of step 2.", 401: "Create a token in step 1 and send it as a bearer token.",
    403: "The token lacks the scope of this door; create one in step 1.", 404: "Compare the address with step 2.",
    409: "Give each batch a batch_id of its own.", 413: "Send smaller batches.",
    415: "Set Content-Type and Content-Encoding as in step 2.", 422: "Correct the row and send it again.",
    429: "Send less often; the Retry-After header says when.", 503: "Send it again; nothing was stored.",
}  # fmt: skip
ERRORS = {
    400: ("Bad request", "The request could not be understood. Check the address and try again."),
    403: ("Not allowed", "Your role does not include this. An admin can change roles under Admin, Users."),
    404: ("Not found", "Nothing lives at this address. It may have been removed, or the link is incomplete."),
    409: ("Changed meanwhile", "Somebody changed this while you looked at it. Load it again and decide anew."),
    503: ("The database is away", "The console cannot reach its database just now. Try again in a few seconds."),
    500: ("Something broke here", "The error is recorded. Try again; if it stays, give the request id to an admin."),
}


def shell(request: HttpRequest) -> dict[str, Any]:
    """Give every page what its frame shows."""
    theme = request.COOKIES.get("theme", "")
    path = request.path
    nav = [{"name": name, "href": reverse(url), "icon": icon, "counts": url == "alerts:inbox",
            "current": path == reverse(url) or (url != "home" and path.startswith(reverse(url)))}
           for name, url, icon in NAV]  # fmt: skip
    return {"shell": {
        "theme": theme if theme in ("light", "dark") else "", "nav": nav,
        "socket": f"{settings.CONFIG.sockets_origin}/ws/shell",
        "firing": SimpleLazyObject(alert_selectors.open_count),
        # What the page was rendered with, so that a change before its socket opens is not missed.
        "versions": SimpleLazyObject(lambda: json.dumps(live.versions(TOPICS))),
    }}  # fmt: skip


_kept: dict[tuple[Any, ...], tuple[float, Chart]] = {}


def _golden(window: dict[str, Any]) -> list[Chart]:
    spec = alert_selectors.rule_spec("disk_space_low")
    limit = Threshold(float(spec["threshold"])) if "threshold" in spec else None
    return [_kept_chart(name, window, limit if name == "disk" else None) for name, *_ in GOLDEN]


def _kept_chart(name: str, window: dict[str, Any], limit: Threshold | None) -> Chart:
    # Many open pages ask for the same pictures; some seconds of sharing spare the store nearly all of it.
    key = (name, window["start_ms"], window["end_ms"], window["step_s"], limit)
    at, chart = _kept.get(key, (0.0, None))
    if chart is not None and time.monotonic() - at < KEPT_SECONDS:
        return chart
    chart = _drawn(name, window, limit)
    if not chart.problem and not chart.empty:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = (time.monotonic(), chart)
    return chart


def _drawn(name: str, window: dict[str, Any], limit: Threshold | None) -> Chart:
    title, unit, queries, top = next(row[1:] for row in GOLDEN if row[0] == name)
    answers, problem = [], ""
    grid = {"start_ms": window["start_ms"], "end_ms": window["end_ms"], "step_ms": window["step_s"] * 1000}
    for label, query in queries.items():
        try:
            answers.append((label, metrics.range_query(query, **grid)))
        except QueryError as error:
            # One broken panel must not take the page with it; it says itself what is wrong.
            problem = f"{label}: {error}"
    times, lines = merged(answers)
    return Chart(f"golden-{name}", title, unit, times, lines, window["start_ms"] / 1000, window["end_ms"] / 1000, limit,
                 y_max=top, problem=problem)  # fmt: skip


def _pictures(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the charts over the range asked for, or where none is, over one that fits what is stored."""
    window = time_range(request, now=now)
    charts = _golden(window)
    first = min((at for chart in charts if (at := chart.first_at()) is not None), default=None)
    shorter = fitting_range(request, window, first)
    if shorter and first is not None:
        window = time_range(request, shorter, now=now)
        window["note"] = SHORTENED.format(datetime.fromtimestamp(first, UTC), shorter)
        charts = _golden(window)
    return {"charts": charts, "window": window}


def _verdict(counts: dict[str, Any], firing: list[Alert], rules: int) -> dict[str, Any]:
    for severity in ("critical", "high", "medium", "low"):
        number = counts.get(severity, 0)
        if number:
            oldest = next((alert for alert in firing if alert.severity == severity), None)
            return {"level": severity, "number": number, "oldest": oldest, "rest": counts["open"] - number}
    return {"level": "ok" if rules else "unknown"}


def _verdict_context(request: HttpRequest) -> dict[str, Any]:
    now = clock.now()
    counts, firing = alert_selectors.alert_counts(request.user), alert_selectors.worst_open()
    evaluation = alert_selectors.rules_status()
    return {
        "now": now, "counts": counts, "firing": firing, "evaluation": evaluation,
        "verdict": _verdict(counts, firing, evaluation.rules),
        "quiet_since": None if firing else alert_selectors.last_resolved_at(),
        "delivery": alert_selectors.delivery_status(now=now), "health": health_selectors.totals(now=now),
    }  # fmt: skip


def _side_context(now: datetime) -> dict[str, Any]:
    changes = account_selectors.audit_trail().filter(at__gte=now - timedelta(hours=1)).order_by("-id")[:8]
    return {"ingest": metrics.ingest_status(now=now), "changes": list(changes)}


def _forge_context(request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {"runs": [shown_run(row) for row in forge_selectors.active_rows(request.user, now=now)]}


@require_GET
@role_required(Role.VIEWER)
def home(request: HttpRequest) -> HttpResponse:
    """Say whether anything is wrong, since when, and who has it."""
    fragment = request.GET.get("fragment")
    if fragment == "charts":
        return render(request, "home/_charts.html", _pictures(request, clock.now()))
    if fragment == "forge":
        return render(request, "home/_forge.html", _forge_context(request, clock.now()))
    context = _verdict_context(request)
    if fragment == "status":
        return render(request, "home/_status.html", context)
    context |= _side_context(context["now"])
    if fragment == "side":
        return render(request, "home/_side.html", context)
    context |= _pictures(request, context["now"]) | _forge_context(request, context["now"])
    context["no_data"] = all(chart.empty and not chart.problem for chart in context["charts"])
    return render(request, "home/overview.html", context)


def _advice(status: int, reason: str) -> str:
    if "window" in reason:
        known = settings.CONFIG
        return TOO_OLD.format(format_seconds(known.ingest_past_seconds), format_seconds(known.ingest_future_seconds))
    return ADVICE.get(status, "")


def _setup_context(request: HttpRequest) -> dict[str, Any]:
    now = clock.now()
    refused = [(row, _advice(row.status, row.reason)) for row in metrics.recent_rejections(20)]
    return {
        "now": now, "rejections": refused, "metric_count": len(metrics.metric_names()),
        "ingest": metrics.ingest_status(now=now), "channels": alert_selectors.channels(20),
        "alerts_seen": alert_selectors.ready_made_seen(), "base": request.build_absolute_uri("/").rstrip("/"),
        "may_token": request.user.is_authenticated and request.user.has_role(Role.ADMIN),
        "may_test": request.user.is_authenticated and request.user.has_role(Role.RESPONDER),
        "demo_offered": settings.CONFIG.demo_enabled,
        "demo": demonstration.last_run(settings.CONFIG) if settings.CONFIG.demo_enabled else None,
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def setup(request: HttpRequest) -> HttpResponse:
    """Lead from nothing to the first data, and show what the doors refuse."""
    parts = {"lights": "home/_lights.html", "rejections": "home/_rejections.html", "demo": "home/_demo.html"}
    template = parts.get(request.GET.get("fragment", ""), "home/setup.html")
    return render(request, template, _setup_context(request))


def _actor(request: HttpRequest) -> Actor:
    assert request.user.is_authenticated  # noqa: S101 - the decorator has seen to it
    return Actor.of_user(request.user, request.META.get("REMOTE_ADDR"))


@require_POST
@role_required(Role.ADMIN)
def setup_token(request: HttpRequest) -> HttpResponseBase:
    """Make an ingest token and show it once."""
    name = request.POST.get("source", "").strip()[:120]
    context = _setup_context(request)
    try:
        source = source_named(name or "my-service")
        _, plain = token_issue(
            name=f"{source.name} (setup)", kind=TokenKind.INGEST, actor=_actor(request), now=clock.now(), source=source,
            scopes=[Scope.INGEST_METRICS, Scope.INGEST_ALERTS],
        )  # fmt: skip
    except Refused as refusal:
        return render(request, "home/setup.html", context | {"refusal": str(refusal)}, status=422)
    return render(request, "home/setup.html", context | {"token": plain, "source": source})


@require_POST
@role_required(Role.ADMIN)
def setup_demo(request: HttpRequest) -> HttpResponseBase:
    """Start the demo run on this machine."""
    if not settings.CONFIG.demo_enabled:
        raise Http404
    try:
        demonstration.start(settings.CONFIG, actor=_actor(request), now=clock.now())
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "The demo run begins; what it does is said here.")
    return redirect(f"{reverse('setup')}#demo")


@require_POST
@role_required(Role.RESPONDER)
def setup_test(request: HttpRequest, channel_id: str) -> HttpResponseBase:
    """Send a test message through a channel."""
    try:
        channel_test(channel_id=channel_id, actor=_actor(request), now=clock.now())
    except ObjectDoesNotExist as error:
        raise Http404 from error
    messages.success(request, "The test message is on its way; its result is in the notifications log.")
    return redirect("setup")


def _sample_chart(name: str, empty: bool = False) -> Chart:
    times = [1_700_000_000.0 + 60 * i for i in range(40)]
    first = [40 + 30 * ((i * 7) % 11) / 11 if i not in (12, 13, 14) else None for i in range(40)]
    second = [20.0 + (i % 9) for i in range(40)]
    lines = [] if empty else [{"name": "api", "full": 'api{a="b"}', "colour": 1, "dashed": False, "values": first},
                              {"name": "worker", "full": "worker", "colour": 2, "dashed": False,
                              "values": second}]  # fmt: skip
    marks = [{"letter": "D", "at": times[20], "text": "deploy 1.4"}]
    return Chart(name, "Requests", "percent", times, lines, times[0], times[-1], Threshold(60), marks)


@require_GET
@role_required(Role.VIEWER)
def styleguide(request: HttpRequest) -> HttpResponse:
    """Show every component in every state."""
    names = ["canvas", "surface", "sunken", "text", "text-2", "text-3", "accent", "critical-solid", "high-solid",
             "medium-solid", "low-solid", "ok-solid", "unknown-solid", *(f"series-{i}" for i in range(1,
             7))]  # fmt: skip
    return render(request, "styleguide.html", {
        "tokens": names, "chart": _sample_chart("sample"), "gap": _sample_chart("sample-empty", empty=True),
        "severities": ["critical", "high", "medium", "low"], "now": clock.now(), "line": [3, 5, 4, 8, 6, 7, 9, 4],
        "states": ["firing", "pending", "acknowledged", "resolved", "unknown", "silenced", "stale", "flapping"],
        "runbook": "1. Look at the **queue**.\n2. Restart with `bin/restart`.\n\n[Dashboard](https://example.org)",
    })  # fmt: skip


def _error(request: HttpRequest, status: int) -> HttpResponse:
    title, words = ERRORS[status]
    request_id = getattr(request, "request_id", "") or request.headers.get("X-Request-ID", "")
    context = {"status": status, "title": title, "words": words, "request_id": str(request_id)[:64]}
    return render(request, "error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """Answer 400 by a page."""
    return _error(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """Answer 403 by a page."""
    return _error(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """Answer 404 by a page."""
    return _error(request, 404)


def broken(request: HttpRequest) -> HttpResponse:
    """Answer 500 by a page that needs neither database nor session, 503 where the database is what is missing."""
    # Django calls this while it handles the error, wherever it came from: a view, the session, the token.
    if isinstance(sys.exception(), outage.AWAY):
        return outage.come_again(_error(request, 503))
    return _error(request, 500)
