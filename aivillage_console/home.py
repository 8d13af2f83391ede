"""The roof's own pages: Overview, Setup, the style guide and error pages; joins the apps and decides nothing."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Max, Min
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.models import AuditEntry, Role, Scope, TokenKind
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.services import Actor, Refused, source_named, token_issue
from aivillage_console.lib import clock
from alerts import selectors as alert_selectors
from alerts.engine.states import Severity
from alerts.models import Alert, Channel, Rule, RuleGroup
from alerts.services.channels import channel_test
from metrics import selectors as metrics
from metrics.maths.charting import Chart, Threshold, merged
from metrics.promql.types import QueryError
from metrics.views import time_range

GOLDEN: list[tuple[str, str, str, dict[str, str], float | None]] = [
    ("cpu", "CPU", "percent", {"busy": "avg(cpu_usage_percent)"}, 100),
    ("memory", "Memory", "percent", {"used": "avg(memory_usage_percent)"}, 100),
    ("disk", "Disk space used", "percent", {"": "max by (mount) (disk_usage_percent)"}, 100),
    ("network", "Network (rate over 2 min)", "bytes/s",
     {"received": "sum(rate(network_bytes_received_total[2m]))", "sent": "sum(rate(network_bytes_sent_total[2m]))"},
     None),
]  # fmt: skip
NAV = [("Overview", "home", "home"), ("Alerts", "alerts:inbox", "bell"), ("Metrics", "metrics:explore", "chart"),
       ("Setup", "setup", "plug")]  # fmt: skip
ERRORS = {
    400: ("Bad request", "The request could not be understood. Check the address and try again."),
    403: ("Not allowed", "Your role does not include this. An admin can change roles under Admin, Users."),
    404: ("Not found", "Nothing lives at this address. It may have been removed, or the link is incomplete."),
    409: ("Changed meanwhile", "Somebody changed this while you looked at it. Load it again and decide anew."),
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
        "firing": SimpleLazyObject(lambda: alert_selectors.alert_counts(request.user)["firing"]),
    }}  # fmt: skip


def _golden(window: dict[str, Any]) -> list[Chart]:
    charts = []
    for name, title, unit, queries, top in GOLDEN:
        answers = []
        for label, query in queries.items():
            try:
                answers.append(
                    (
                        label,
                        metrics.range_query(
                            query, start_ms=window["start_ms"], end_ms=window["end_ms"], step_ms=window["step_s"] * 1000
                        ),
                    )
                )
            except QueryError:
                # One broken panel must not take the page with it; an empty chart says so.
                continue
        times, lines = merged(answers)
        limit = Threshold(90) if name == "disk" else None
        charts.append(Chart(f"golden-{name}", title, unit, times, lines, window["start_ms"] / 1000,
                            window["end_ms"] / 1000, limit, y_max=top))  # fmt: skip
    return charts


def _verdict(counts: dict[str, Any], firing: list[Alert], rules: int) -> dict[str, Any]:
    for severity in ("critical", "high", "medium", "low"):
        number = counts.get(severity, 0)
        if number:
            oldest = min((a for a in firing if a.severity == severity), key=lambda a: a.started_at, default=None)
            return {"level": severity, "number": number, "oldest": oldest, "rest": counts["open"] - number}
    return {"level": "ok" if rules else "unknown"}


def _evaluation() -> dict[str, Any]:
    enabled = RuleGroup.objects.filter(enabled=True)
    groups = enabled.aggregate(last=Max("last_evaluated_at"), oldest=Min("last_evaluated_at"))
    rules = Rule.objects.filter(enabled=True, group__enabled=True)
    return {**groups, "rules": rules.count(), "failing": list(rules.filter(health="unknown")[:5])}


def _status_context(request: HttpRequest) -> dict[str, Any]:
    now = clock.now()
    counts = alert_selectors.alert_counts(request.user)
    firing = list(Alert.objects.filter(state__in=("firing", "unknown")).order_by("started_at")[:200])
    rank = {severity.value: place for place, severity in enumerate(Severity)}
    evaluation = _evaluation()
    quiet = Alert.objects.filter(state="resolved").aggregate(last=Max("resolved_at"))["last"]
    changes = AuditEntry.objects.filter(at__gte=now - timedelta(hours=1)).order_by("-id")[:8]
    return {
        "now": now, "counts": counts,
        "firing": sorted(firing, key=lambda a: (rank.get(a.severity, 9), a.started_at))[:5],
        "verdict": _verdict(counts, firing, evaluation["rules"]), "evaluation": evaluation, "quiet_since": quiet,
        "delivery": alert_selectors.delivery_status(), "ingest": metrics.ingest_status(now=clock.now()),
        "changes": list(changes),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def home(request: HttpRequest) -> HttpResponse:
    """Say whether anything is wrong, since when, and who has it."""
    window = time_range(request)
    fragment = request.GET.get("fragment")
    if fragment == "status":
        return render(request, "home/_status.html", _status_context(request))
    if fragment == "side":
        return render(request, "home/_side.html", _status_context(request))
    if fragment == "charts":
        return render(request, "home/_charts.html", {"charts": _golden(window), "window": window})
    context = _status_context(request) | {"charts": _golden(window), "window": window}
    context["no_data"] = all(chart.empty for chart in context["charts"])
    return render(request, "home/overview.html", context)


def _setup_context(request: HttpRequest) -> dict[str, Any]:
    names = set(metrics.metric_names())
    return {
        "now": clock.now(), "rejections": metrics.recent_rejections(20), "metric_count": len(names),
        "ingest": metrics.ingest_status(now=clock.now()), "channels": list(Channel.objects.order_by("name")[:20]),
        "alerts_seen": Alert.objects.filter(rule=None).exists(), "base": request.build_absolute_uri("/").rstrip("/"),
        "may_token": request.user.is_authenticated and request.user.has_role(Role.ADMIN),
        "may_test": request.user.is_authenticated and request.user.has_role(Role.RESPONDER),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def setup(request: HttpRequest) -> HttpResponse:
    """Lead from nothing to the first data, and show what the doors refuse."""
    parts = {"lights": "home/_lights.html", "rejections": "home/_rejections.html"}
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
@role_required(Role.RESPONDER)
def setup_test(request: HttpRequest, channel_id: str) -> HttpResponseBase:
    """Send a test message through a channel."""
    try:
        channel_test(channel_id=channel_id, actor=_actor(request), now=clock.now())
    except Channel.DoesNotExist as error:
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
    """Answer 500 by a page that needs neither database nor session."""
    return _error(request, 500)
