"""Pages of the alerts app: the inbox, one alert, and what people do to alerts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Count, Prefetch, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.states import AlertState, Severity
from alerts.models import Alert, DeliveryAttempt, Notification
from alerts.services import actions
from alerts.services.channels import notification_replay
from metrics import selectors as metrics
from metrics.maths.charting import Chart, Threshold, lines_of
from metrics.promql.types import QueryError

PAGE_SIZE = 50
ORDER = Case(*(When(severity=s.value, then=Value(i)) for i, s in enumerate(Severity)), default=Value(9))
OPEN = ~Q(state=AlertState.RESOLVED.value)
TABS = {
    "open": OPEN,
    "unacknowledged": Q(state=AlertState.FIRING.value, acked_at=None),
    "acknowledged": OPEN & Q(acked_at__isnull=False),
    "unknown": Q(state=AlertState.UNKNOWN.value),
    "resolved": Q(state=AlertState.RESOLVED.value),
    "all": Q(),
}
MAX_ID = 2**63 - 1


def open_count() -> int:
    """Return how many alerts nobody has taken yet."""
    return Alert.objects.filter(TABS["unacknowledged"]).count()


def _filtered(query: QueryDict, user: Any) -> QuerySet[Alert]:
    found = Alert.objects.all()
    if query.get("sev") in {severity.value for severity in Severity}:
        found = found.filter(severity=query["sev"])
    if query.get("owner") == "me":
        found = found.filter(Q(assignee=user) | Q(acked_by=user.email))
    elif query.get("owner") == "none":
        found = found.filter(assignee=None, acked_at=None)
    text = query.get("q", "").strip().replace("\x00", "")[:200]
    if text.removeprefix("#").isdigit() and int(text.removeprefix("#")) <= MAX_ID:
        return found.filter(pk=int(text.removeprefix("#")))
    return found.filter(Q(name__icontains=text) | Q(labels__icontains=text)) if text else found


def _page(found: QuerySet[Alert], tab: str, after: str) -> tuple[list[Alert], str]:
    # Severity first, then age; finished alerts page by id, so that new rows never shift a page.
    rows = found.filter(TABS[tab]).order_by(ORDER, "started_at", "-id").select_related("assignee")
    if tab in ("resolved", "all"):
        rows = rows.order_by("-id")
        if after.isdigit() and int(after) <= MAX_ID:
            rows = rows.filter(pk__lt=int(after))
        shown = list(rows[: PAGE_SIZE + 1])
        return shown[:PAGE_SIZE], str(shown[PAGE_SIZE - 1].pk) if len(shown) > PAGE_SIZE else ""
    start = min(int(after), 100_000) if after.isdigit() and len(after) < 7 else 0
    shown = list(rows[start : start + PAGE_SIZE + 1])
    return shown[:PAGE_SIZE], str(start + PAGE_SIZE) if len(shown) > PAGE_SIZE else ""


def _inbox_context(request: HttpRequest) -> dict[str, Any]:
    tab = request.GET.get("state", "open")
    tab = tab if tab in TABS else "open"
    found = _filtered(request.GET, request.user)
    counts = found.aggregate(**{name: Count("id", filter=where) for name, where in TABS.items() if name != "all"},
                             all=Count("id"))  # fmt: skip
    alerts, following = _page(found, tab, request.GET.get("after", ""))
    # Absolute, because the answer to a bulk action lives at another address.
    base = reverse("alerts:inbox") + "?"
    kept = {key: request.GET[key] for key in ("sev", "owner", "q") if request.GET.get(key)}
    tabs = [(name, counts[name], base + urlencode({**kept, "state": name})) for name in TABS]
    query = request.GET.copy()
    query.pop("fragment", None)
    next_page = base + urlencode({**kept, "state": tab, "after": following})
    return {"next_page": next_page, "tab": tab, "tabs": tabs,
            "alerts": alerts, "following": following, "counts": counts, "now": clock.now(),
            "can_act": _may_respond(request), "fragment": base + urlencode({**query.dict(), "fragment": "table"}),
            "filtered": bool(kept), "severities": [s.value for s in Severity]}  # fmt: skip


def _may_respond(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(Role.RESPONDER))


@require_GET
@role_required(Role.VIEWER)
def inbox(request: HttpRequest) -> HttpResponse:
    """Show the alerts that match the address; every filter is in it."""
    template = "alerts/_table.html" if request.GET.get("fragment") == "table" else "alerts/inbox.html"
    return render(request, template, _inbox_context(request))


@require_GET
@role_required(Role.VIEWER)
def counter(request: HttpRequest) -> HttpResponse:
    """Show how many alerts wait, for the rail, the title and the favicon."""
    return render(request, "alerts/_counter.html", {"count": open_count()})


def _alert(alert_id: int) -> Alert:
    if alert_id > MAX_ID:
        raise Http404
    alert = Alert.objects.select_related("rule__group", "assignee").filter(pk=alert_id).first()
    if alert is None:
        raise Http404("There is no such alert.")
    return alert


def _expression(alert: Alert) -> str:
    evidence = alert.evidence or {}
    return str(evidence.get("query") or evidence.get("expr") or evidence.get("expression") or "")


def _series_query(alert: Alert) -> str:
    # A rule's expression ends in its comparison; without it the series is drawn on both sides of the line.
    query = str((alert.evidence or {}).get("series") or (alert.evidence or {}).get("value_query") or _expression(alert))
    for op in (" > ", " >= ", " < ", " <= "):
        left, found, right = query.rpartition(op)
        if found and right.strip().replace(".", "", 1).replace("e", "", 1).lstrip("-").isdigit():
            return left
    return query


def _operator(alert: Alert) -> str:
    for op in (">=", "<=", ">", "<"):
        if op in _expression(alert):
            return op
    return ">"


def _evidence(alert: Alert, now: datetime) -> tuple[Chart | None, str]:
    query = _series_query(alert)
    if not query:
        return None, "This alert was sent ready-made, so the console holds no series for it."
    window = timedelta(seconds=max(3600, 4 * (alert.rule.window_seconds if alert.rule else 0)))
    start, end = alert.started_at - window, min(now, (alert.resolved_at or now) + window / 4)
    step_ms = max(15_000, int((end - start).total_seconds() * 1000 / 240) // 1000 * 1000)
    start_ms, end_ms = (int(at.timestamp() * 1000) // step_ms * step_ms for at in (start, end))
    try:
        result = metrics.range_query(query, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
    except QueryError as error:
        return None, f"The query of this alert cannot be evaluated: {error}"
    lines, hidden = lines_of(result)
    limit = None if alert.threshold is None else Threshold(alert.threshold, _operator(alert))
    chart = Chart("evidence", f"Evidence of {alert.name}", str((alert.evidence or {}).get("unit", "")),
                  [t / 1000 for t in result.timestamps_ms.tolist()], lines, start_ms / 1000, end_ms / 1000, limit,
                  _marks(alert), hidden)  # fmt: skip
    return chart, "" if lines else "No samples are stored for this window: they may be past their retention."


def _marks(alert: Alert) -> list[dict[str, Any]]:
    moments = [("F", alert.started_at, "fired"), ("A", alert.acked_at, f"acknowledged by {alert.acked_by}"),
               ("R", alert.resolved_at, "resolved")]  # fmt: skip
    return [{"letter": letter, "at": at.timestamp(), "text": text} for letter, at, text in moments if at]


def _bands(alert: Alert, chart: Chart | None, now: datetime) -> list[dict[str, Any]]:
    if chart is None or chart.end <= chart.start:
        return []
    end = alert.resolved_at or now
    pieces = [("firing", alert.started_at, min(alert.acked_at or end, end)), ("acknowledged", alert.acked_at, end),
              ("resolved", alert.resolved_at, datetime.fromtimestamp(chart.end, UTC))]  # fmt: skip
    span = chart.end - chart.start
    return [
        {"name": name, "x": round((since.timestamp() - chart.start) / span * 1000, 1),
         "width": round(max(0.0, (until - since).total_seconds()) / span * 1000, 1)}
        for name, since, until in pieces if since
    ]  # fmt: skip


def _deliveries(alert: Alert) -> list[Notification]:
    tries = Prefetch("tries", DeliveryAttempt.objects.order_by("id"), to_attr="attempt_list")
    return list(alert.notifications.prefetch_related(tries).order_by("-id")[:50])


def _next_step(alert: Alert) -> dict[str, Any] | None:
    row = alert.escalations.filter(state="active", episode=alert.episode).first()
    if row is None or row.due_at is None:
        return None
    steps = (row.policy_snapshot or {}).get("steps", [])
    step = steps[row.step] if row.step < len(steps) else {}
    return {"at": row.due_at, "number": row.step + 1, "of": len(steps), "channels": step.get("channels", [])}


def _detail_context(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    now = clock.now()
    chart, missing = _evidence(alert, now)
    since = now - timedelta(days=30)
    return {
        "alert": alert, "chart": chart, "missing": missing, "bands": _bands(alert, chart, now), "now": now,
        "events": list(alert.events.order_by("-id")[:100]), "deliveries": _deliveries(alert),
        "step": _next_step(alert), "query": _expression(alert), "can_act": _may_respond(request),
        "fires": alert.events.filter(kind__in=("fired", "reopened"), at__gte=since).count(),
        "runbook": alert.annotations.get("runbook", ""), "runbook_url": alert.annotations.get("runbook_url", ""),
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def detail(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Show one alert with its evidence, its story and who was told."""
    template = "alerts/_detail.html" if request.GET.get("fragment") == "detail" else "alerts/detail.html"
    return render(request, template, _detail_context(request, _alert(alert_id)))


def _actor(request: HttpRequest) -> Actor:
    if not request.user.is_authenticated:
        raise PermissionDenied
    return Actor.of_user(request.user, request.META.get("REMOTE_ADDR"))


def _run(name: str, alert_id: int, version: int, request: HttpRequest) -> Alert:
    shared: dict[str, Any] = {"alert_id": alert_id, "version": version, "actor": _actor(request), "now": clock.now(),
                              "reason": request.POST.get("reason", "").strip()[:2000]}  # fmt: skip
    if name == "assign":
        return actions.alert_assign(assignee_id=request.user.pk, **shared)
    return SERVICES[name](**shared)


SERVICES: dict[str, Callable[..., Alert]] = {
    "acknowledge": actions.alert_acknowledge, "unacknowledge": actions.alert_unacknowledge,
    "resolve": actions.alert_resolve, "reopen": actions.alert_reopen, "note": actions.alert_note,
}  # fmt: skip
WORDS = {"acknowledge": "acknowledged", "unacknowledge": "no longer acknowledged", "resolve": "resolved",
         "reopen": "reopened", "assign": "assigned to you", "note": "noted"}  # fmt: skip


def _version(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 10 else -1


@require_POST
@role_required(Role.RESPONDER)
def act(request: HttpRequest, alert_id: int, action: str) -> HttpResponseBase:
    """Do one thing to one alert; a stale version answers 409 with the alert as it stands now."""
    if action not in WORDS:
        raise Http404
    _alert(alert_id)
    status, said = 200, f"#{alert_id} is {WORDS[action]}."
    try:
        _run(action, alert_id, _version(request.POST.get("version", "")), request)
    except actions.StaleVersion:
        status, said = 409, "Somebody changed this alert meanwhile. Nothing was done; this is how it stands now."
    except actions.NotPossible as error:
        status, said = 422, str(error)
    if not request.headers.get("HX-Request") and status == 200:
        messages.success(request, said)
        return redirect("alerts:detail", alert_id=alert_id)
    context = _detail_context(request, _alert(alert_id)) | {"said": said, "status": status}
    template = "alerts/_detail.html" if request.headers.get("HX-Request") else "alerts/detail.html"
    return render(request, template, context, status=status)


@require_POST
@role_required(Role.RESPONDER)
def bulk(request: HttpRequest) -> HttpResponseBase:
    """Do one thing to the chosen alerts and tell for each how it went."""
    action = request.POST.get("action", "")
    if action not in ("acknowledge", "resolve", "assign"):
        raise Http404
    chosen = [int(text) for text in request.POST.getlist("id")[:PAGE_SIZE] if text.isdigit() and len(text) < 19]
    results = [_one_of_bulk(request, action, number) for number in chosen]
    context = _inbox_context(request) | {"results": results, "action": action,
                                         "done": sum(ok for _, ok, _ in results)}  # fmt: skip
    return render(request, "alerts/inbox.html", context)


def _one_of_bulk(request: HttpRequest, action: str, alert_id: int) -> tuple[int, bool, str]:
    version = _version(request.POST.get(f"version-{alert_id}", ""))
    try:
        _run(action, alert_id, version, request)
    except Alert.DoesNotExist:
        return alert_id, False, "there is no such alert"
    except actions.StaleVersion as error:
        return alert_id, False, f"changed meanwhile; it is {error.alert.shown_state} now"
    except actions.NotPossible as error:
        return alert_id, False, str(error)
    return alert_id, True, WORDS[action]


@require_POST
@role_required(Role.RESPONDER)
def retry(request: HttpRequest, notification_id: int) -> HttpResponseBase:
    """Send a finished message once more, as a message of its own."""
    row = Notification.objects.filter(pk=min(notification_id, MAX_ID)).first()
    if row is None:
        raise Http404
    notification_replay(notification_id=row.pk, actor=_actor(request), now=clock.now())
    messages.success(request, f"The message to {row.channel_name} is sent again.")
    return redirect("alerts:detail", alert_id=row.alert_id) if row.alert_id else redirect("notifications")


@require_GET
@role_required(Role.VIEWER)
def notifications(request: HttpRequest) -> HttpResponse:
    """Show every message owed to a receiver, newest first, with each try."""
    rows = Notification.objects.prefetch_related(Prefetch("tries", to_attr="attempt_list")).order_by("-id")
    wanted = request.GET.get("state", "")
    if wanted in ("due", "done", "failed", "cancelled"):
        rows = rows.filter(state=wanted)
    before = request.GET.get("before", "")
    if before.isdigit() and int(before) <= MAX_ID:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows[: PAGE_SIZE + 1])
    context = {"deliveries": shown[:PAGE_SIZE], "wanted": wanted, "states": ["due", "done", "failed", "cancelled"],
               "following": shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else "", "now": clock.now(),
               "can_act": _may_respond(request)}  # fmt: skip
    fragment = request.GET.get("fragment") == "table"
    return render(request, "alerts/_deliveries.html" if fragment else "alerts/notifications.html", context)
