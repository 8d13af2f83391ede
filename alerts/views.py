"""Pages of the alerts app: the inbox, one alert, and what people do to alerts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.selectors import zone_of
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts import selectors
from alerts.engine.reasons import CAUSE_WORDS
from alerts.engine.states import Severity
from alerts.models import Alert
from alerts.moments import CHOICES, until_of
from alerts.rules.kinds import ASKED_KINDS
from alerts.services import actions
from alerts.services.channels import notification_replay
from alerts.services.incident_rows import inbox_rows, member_of
from alerts.silencing.listing import silenced_facts, silences_of
from metrics import selectors as metrics
from metrics.maths.charting import Chart, Threshold, lines_of
from metrics.promql.questions import split_comparison
from metrics.promql.types import QueryError, QueryResult

UNDO_SECONDS = 8
# Tabs that are shown only where they hold something.
RARE = ("pending", "snoozed", "flapping")
MESSAGE_STATES = ("due", "done", "failed", "cancelled")


def _inbox_context(request: HttpRequest) -> dict[str, Any]:
    tab = request.GET.get("state", "open")
    tab = tab if tab in selectors.TABS else "open"
    now, text = clock.now(), request.GET.get("q", "").strip().replace("\x00", "")[:200]
    severity = request.GET.get("sev", "") if request.GET.get("sev") in {s.value for s in Severity} else ""
    cause = request.GET.get("cause", "") if request.GET.get("cause") in CAUSE_WORDS else ""
    found = selectors.inbox(request.user, tab=tab, severity=severity, owner=request.GET.get("owner", ""), text=text,
                            cause=cause,
                            cursor=request.GET.get("after", ""), now=now)  # fmt: skip
    together = request.GET.get("group") == "incident"
    # Absolute, because the answer to a bulk action lives at another address.
    base = reverse("alerts:inbox") + "?"
    kept = {key: request.GET[key] for key in ("sev", "owner", "q", "cause", "group") if request.GET.get(key)}
    tabs = [(name, found.counts[name], base + urlencode({**kept, "state": name})) for name in selectors.TABS
            if name not in RARE or found.counts[name] != "0" or tab == name]  # fmt: skip
    query = request.GET.copy()
    query.pop("fragment", None)
    next_page = base + urlencode({**kept, "state": tab, "after": found.next_cursor})
    return {"next_page": next_page, "tab": tab, "tabs": tabs, "together": together,
            "alerts": inbox_rows(found.alerts, together=together), "following": found.next_cursor,
            "counts": found.counts, "now": now, "can_act": _may_respond(request),
            "fragment": base + urlencode({**query.dict(), "fragment": "table"}),
            **silenced_facts(found.alerts, kept, now),
            "filtered": bool(kept.keys() - {"group"}), "severities": [s.value for s in Severity],
            "causes": CAUSE_WORDS.items(), "cause": cause, "spans": CHOICES}  # fmt: skip


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
    return render(request, "alerts/_counter.html", {"count": selectors.open_count()})


def _alert(alert_id: int) -> Alert:
    alert = selectors.alert_of_page(alert_id)
    if alert is None:
        raise Http404("There is no such alert.")
    return alert


def _condition(alert: Alert) -> tuple[str, str, float | None]:
    """Return what is drawn, the operator and the threshold: as they were stored when it fired."""
    evidence = alert.evidence or {}
    query = str(evidence.get("query") or "")
    limit = evidence.get("threshold", alert.threshold)
    if evidence.get("expression"):
        return str(evidence["expression"]), str(evidence.get("operator") or ">"), limit
    try:
        split = split_comparison(query) if query else None
    except QueryError:
        split = None
    # An asked kind holds from its threshold on; a query says itself which side it means.
    return split or (query, _holds(str(evidence.get("kind") or "")), limit)


def _holds(kind: str) -> str:
    asked = ASKED_KINDS.get(kind) if kind in ASKED_KINDS.slots else None
    return asked.operator if asked else "≥" if kind else ">"


def kept_samples(evidence: dict[str, Any]) -> QueryResult | None:
    """Return the samples kept with an alert as a query's answer, or None where none were kept."""
    times, values = evidence.get("timestamps_ms") or [], evidence.get("values") or []
    if not times or len(times) != len(values):
        return None
    row = np.array([values], dtype=np.float64)
    return QueryResult(type="matrix", labels=[dict(evidence.get("series_labels") or {})],
                       timestamps_ms=np.array(times, dtype=np.int64), values=row,
                       present=np.isfinite(row), warnings=[])  # fmt: skip


def _evidence(alert: Alert, now: datetime) -> tuple[Chart | None, str]:
    query, operator, threshold = _condition(alert)
    if not query:
        return None, "This alert was sent ready-made, so the console holds no series for it."
    window = timedelta(seconds=max(3600, 4 * (alert.rule.window_seconds if alert.rule else 0)))
    start, end = alert.started_at - window, min(now, (alert.resolved_at or now) + window / 4)
    step_ms = max(15_000, int((end - start).total_seconds() * 1000 / 240) // 1000 * 1000)
    start_ms, end_ms = (int(at.timestamp() * 1000) // step_ms * step_ms for at in (start, end))
    missing, result = "", None
    try:
        result = metrics.range_query(query, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
    except QueryError as error:
        missing = f"The query of this alert cannot be evaluated: {error}"
    if result is None or not result.present.any():
        missing = missing or "No samples are stored for this window: they may be past their retention."
        result = kept_samples(alert.evidence or {})
    if result is None:
        return None, missing
    lines, hidden = lines_of(_own_first(result, alert))
    first = min(start_ms, int(result.timestamps_ms[0]))
    limit = None if threshold is None else Threshold(threshold, operator)
    chart = Chart("evidence", f"Evidence of {alert.name}", evidence_unit(query),
                  [t / 1000 for t in result.timestamps_ms.tolist()], lines, _begins(lines, result, first) / 1000,
                  end_ms / 1000, limit, _marks(alert), hidden)  # fmt: skip
    return chart, f"{missing} Shown are the samples kept when it fired." if missing else ""


def _begins(lines: list[dict[str, Any]], result: QueryResult, start_ms: int) -> int:
    # A series younger than the window would sit in the last pixels of an empty chart.
    known = result.present.any(axis=0).nonzero()[0]
    if not lines or not len(known):
        return start_ms
    oldest, newest = int(result.timestamps_ms[known[0]]), int(result.timestamps_ms[known[-1]])
    return max(start_ms, oldest - max(60_000, (newest - oldest) // 10))


def _own_first(result: QueryResult, alert: Alert) -> QueryResult:
    """Return only the series the alert is about, where it can be told from the others."""
    wanted = (alert.evidence or {}).get("series_labels")
    if not isinstance(wanted, dict):
        return result
    own = [i for i, labels in enumerate(result.labels)
           if {k: v for k, v in labels.items() if k != "__name__"} == wanted]  # fmt: skip
    if not own:
        return result
    return QueryResult(type=result.type, labels=[result.labels[i] for i in own], timestamps_ms=result.timestamps_ms,
                       values=result.values[own], present=result.present[own], warnings=result.warnings)  # fmt: skip


def evidence_unit(query: str) -> str:
    """Return the unit the names in a query speak of."""
    return next((unit for word, unit in (("percent", "percent"), ("bytes", "bytes"), ("seconds", "seconds"))
                 if word in query), "")  # fmt: skip


def _marks(alert: Alert) -> list[dict[str, Any]]:
    moments = [("F", alert.started_at, "fired"), ("A", alert.acked_at, f"acknowledged by {alert.acked_by}"),
               ("R", alert.resolved_at, "resolved")]  # fmt: skip
    return [{"letter": letter, "at": at.timestamp(), "text": text} for letter, at, text in moments if at]


def _bands(alert: Alert, chart: Chart | None, now: datetime) -> list[dict[str, Any]]:
    if chart is None or chart.end <= chart.start:
        return []
    end = alert.resolved_at or now
    held = alert.rule.for_seconds if alert.rule else 0
    pieces = [("pending", alert.started_at - timedelta(seconds=held), alert.started_at),
              ("firing", alert.started_at, min(alert.acked_at or end, end)), ("acknowledged", alert.acked_at, end),
              ("resolved", alert.resolved_at, datetime.fromtimestamp(chart.end, UTC))]  # fmt: skip
    span = chart.end - chart.start
    return [
        {"name": name, "x": round((since.timestamp() - chart.start) / span * 1000, 1),
         "width": round(max(0.0, (until - since).total_seconds()) / span * 1000, 1)}
        for name, since, until in pieces if since and until > since
    ]  # fmt: skip


def _next_step(alert: Alert) -> dict[str, Any] | None:
    row = selectors.escalation_of(alert)
    if row is None:
        return None
    steps = (row.policy_snapshot or {}).get("steps", [])
    names = selectors.channel_names(sorted({pk for step in steps for pk in step.get("channels", [])}))
    told = [{"number": i + 1, "delay_seconds": step.get("delay_seconds", 0), "done": i < row.step,
             "ahead": i == row.step and row.state == "active",
             "channels": [names.get(pk, "a deleted channel") for pk in step.get("channels", [])]}
            for i, step in enumerate(steps)]  # fmt: skip
    ahead = row.due_at if row.state == "active" else None
    return {"at": ahead, "number": row.step + 1, "of": len(steps), "steps": told, "why": row.stopped_because,
            "policy": (row.policy_snapshot or {}).get("name", ""),
            "channels": told[row.step]["channels"] if row.step < len(told) else []}  # fmt: skip


def ordered_labels(alert: Alert) -> list[tuple[str, str]]:
    """Return the labels with those that tell this alert from its siblings first."""
    shared = set(alert.rule.labels) if alert.rule else set()
    common = shared | {"severity", "alertname", "env", "job", "team"}
    return sorted(alert.labels.items(), key=lambda item: (item[0] in common, item[0]))


def _why(alert: Alert) -> dict[str, Any]:
    query, operator, threshold = _condition(alert)
    evidence = alert.evidence or {}
    return {"query": str(evidence.get("query") or query), "expression": query, "operator": operator,
            "threshold": threshold, "value": (evidence.get("values") or [alert.value])[-1],
            "unit": evidence_unit(query),
            "at": evidence.get("evaluated_at"), "samples": len(evidence.get("values") or [])}  # fmt: skip


def _evidence_template(alert: Alert) -> str:
    if alert.evidence.get("kind") == "composite":
        return "alerts/_composite_evidence.html"
    kind = ASKED_KINDS.get(alert.rule.kind) if alert.rule and alert.rule.kind in ASKED_KINDS.slots else None
    return kind.evidence_template if kind and alert.evidence else ""


def _detail_context(request: HttpRequest, alert: Alert) -> dict[str, Any]:
    now = clock.now()
    template = _evidence_template(alert)
    chart, missing = (None, "") if template else _evidence(alert, now)
    why = _why(alert)
    return {
        "alert": alert, "evidence_template": template, "evidence": alert.evidence.get("facts", {}),
        "chart": chart, "missing": missing, "bands": _bands(alert, chart, now), "now": now,
        "events": selectors.events_of(alert, limit=100), "deliveries": selectors.notifications_of(alert, limit=50),
        "step": _next_step(alert), "query": why["query"], "why": why, "unit": why["unit"],
        "labels": ordered_labels(alert), "episodes": selectors.episodes_before(alert), "can_act": _may_respond(request),
        "fires": selectors.fires_since(alert, now - timedelta(days=30)), "reopened": selectors.reopened_times(alert),
        "spans": CHOICES, "flapped_at": [datetime.fromtimestamp(ms / 1000, UTC) for ms in alert.recent_fires_ms],
        "silences": silences_of(alert, now), "member": member_of(alert),
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
    if name in TIMED:
        usual = request.POST.get("snooze_for", "1h") if name == "snooze" else ""
        until = until_of(request.POST, now=shared["now"], zone=zone_of(request), usual=usual)
        return TIMED[name](until=until, **shared)
    return SERVICES[name](**shared)


SERVICES: dict[str, Callable[..., Alert]] = {
    "unacknowledge": actions.alert_unacknowledge, "unsnooze": actions.alert_unsnooze,
    "resolve": actions.alert_resolve, "reopen": actions.alert_reopen, "note": actions.alert_note,
    "thumb-up": partial(actions.alert_thumb, useful=True), "thumb-down": partial(actions.alert_thumb, useful=False),
}  # fmt: skip
TIMED: dict[str, Callable[..., Alert]] = {"acknowledge": actions.alert_acknowledge, "snooze": actions.alert_snooze}
WORDS = {"acknowledge": "acknowledged", "unacknowledge": "no longer acknowledged", "resolve": "resolved",
         "reopen": "reopened", "assign": "assigned to you", "note": "noted", "snooze": "snoozed",
         "unsnooze": "no longer snoozed", "thumb-up": "called useful", "thumb-down": "called noise"}  # fmt: skip
BULK = ("acknowledge", "resolve", "assign", "snooze")


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
    context["undo_seconds"] = UNDO_SECONDS if action == "acknowledge" and status == 200 else 0
    template = "alerts/_detail.html" if request.headers.get("HX-Request") else "alerts/detail.html"
    return render(request, template, context, status=status)


@require_POST
@role_required(Role.RESPONDER)
def bulk(request: HttpRequest) -> HttpResponseBase:
    """Do one thing to the chosen alerts and tell for each how it went."""
    action = request.POST.get("action", "")
    if action not in BULK:
        raise Http404
    chosen = [int(text) for text in request.POST.getlist("id")[: selectors.PAGE] if text.isdigit() and len(text) < 19]
    results = [_one_of_bulk(request, action, number) for number in chosen]
    context = _inbox_context(request) | {"results": results, "action": action, "past": WORDS[action].split()[0],
                                         "done": sum(ok for _, ok, _ in results)}  # fmt: skip
    return render(request, "alerts/inbox.html", context)


def _one_of_bulk(request: HttpRequest, action: str, alert_id: int) -> tuple[int, bool, str]:
    version = _version(request.POST.get(f"version-{alert_id}", ""))
    try:
        _run(action, alert_id, version, request)
    except ObjectDoesNotExist:
        return alert_id, False, "there is no such alert"
    except actions.StaleVersion as error:
        return alert_id, False, f"changed meanwhile; it is {error.alert.shown_state} now"
    except actions.NotPossible as error:
        return alert_id, False, str(error)
    return alert_id, True, WORDS[action]


@require_POST
@role_required(Role.RESPONDER)
def retry(request: HttpRequest, notification_id: int) -> HttpResponseBase:
    """Send a failed message once more."""
    row = selectors.notification(notification_id)
    if row is None:
        raise Http404
    try:
        notification_replay(notification_id=row.pk, actor=_actor(request), now=clock.now())
        messages.success(request, f"The message to {row.channel_name} is sent again.")
    except ObjectDoesNotExist:
        messages.warning(request, f"The message to {row.channel_name} has not failed; only a failed one is sent again.")
    return redirect("alerts:detail", alert_id=row.alert_id) if row.alert_id else redirect("notifications")


@require_GET
@role_required(Role.VIEWER)
def notifications(request: HttpRequest) -> HttpResponse:
    """Show every message owed to a receiver, newest first, with each try."""
    wanted = request.GET.get("state", "")
    wanted = wanted if wanted in MESSAGE_STATES else ""
    shown, following = selectors.notifications_page(state=wanted, before=request.GET.get("before", ""))
    context = {"deliveries": shown, "wanted": wanted, "states": MESSAGE_STATES, "following": following,
               "now": clock.now(), "can_act": _may_respond(request)}  # fmt: skip
    fragment = request.GET.get("fragment") == "table"
    return render(request, "alerts/_deliveries.html" if fragment else "alerts/notifications.html", context)
