"""The page of one rule: what it means, what it asks and sees, its alerts, its edits, and how much noise it makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.models import AuditEntry, Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.selectors import audit_trail
from aivillage_console.lib import clock
from alerts.models import Alert, AlertEvent, Rule, RuleKind, RuleState, RuleSuggestion
from alerts.rule_pages.listing import may_edit, rule_of, zone_of
from alerts.rule_pages.pictures import bars, strip
from alerts.rule_pages.previews import now_of
from alerts.rule_pages.queries import chart_of, spans_of
from alerts.rule_pages.rows import groups_counted, late_seconds
from alerts.rule_pages.words import condition_of, sentences
from alerts.services.noise import BEGINNINGS, NOTHING, noise_of
from alerts.services.suggestions import suggestions_of
from metrics.maths.charting import Chart

RANGES = {"1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800}
STATES_SHOWN, ALERTS_SHOWN, EDITS_SHOWN, STORY_ROWS = 50, 20, 20, 5000
OPEN = ("firing", "unknown")
LONGEST_VALUE = 400
# A person waits for what is suggested; what takes longer is tried by the console in its own time.
SUGGEST_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry of the audit trail: who changed which fields from what to what."""

    entry: AuditEntry
    changes: list[tuple[str, str, str]]

    @property
    def verb(self) -> str:
        """Return what was done."""
        return {"create": "Created", "update": "Changed", "delete": "Deleted"}.get(
            self.entry.action.rpartition(".")[2], self.entry.action
        )


def _edit(entry: AuditEntry) -> Edit:
    before, after = entry.before or {}, entry.after or {}
    if not before:
        return Edit(entry, [])
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return Edit(entry, [change for name in names for change in _changes(name, before.get(name), after.get(name))])


def _changes(name: str, before: Any, after: Any) -> list[tuple[str, str, str]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        return [(f"{name}.{key}", _text(before.get(key)), _text(after.get(key))) for key in keys]
    return [(name.removesuffix("_id"), _text(before), _text(after))]


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:LONGEST_VALUE]


def edits_of(rule: Rule) -> list[Edit]:
    """Return the newest edits of a rule."""
    rows = audit_trail().filter(object_type="rule", object_id=str(rule.pk)).order_by("-id")[:EDITS_SHOWN]
    return [_edit(row) for row in rows]


def _bands(rule: Rule, chart: Chart | None, now: datetime) -> list[dict[str, Any]]:
    if chart is None:
        return []
    since = datetime.fromtimestamp(chart.start, now.tzinfo)
    told = AlertEvent.objects.filter(alert__rule=rule, at__gte=since, kind__in=(*BEGINNINGS, "resolved"))
    story = list(told.order_by("id").values_list("alert_id", "at", "kind")[:STORY_ROWS])
    is_open = list(Alert.objects.filter(rule=rule, state__in=OPEN).values_list("pk", "started_at")[:STORY_ROWS])
    spans = spans_of(story, is_open, chart.start, min(chart.end, now.timestamp()))
    return strip([(began, ended, "firing") for began, ended in spans], chart.start, chart.end)


def _states(rule: Rule) -> tuple[list[RuleState], int]:
    rows = RuleState.objects.filter(rule=rule).order_by("state", "-active_at", "pk")
    found = list(rows[: STATES_SHOWN + 1])
    shown = found[:STATES_SHOWN]
    numbers = dict(
        Alert.objects.filter(fingerprint__in=[row.fingerprint for row in shown]).values_list("fingerprint", "pk")
    )
    for row in shown:
        row.alert_number = numbers.get(row.fingerprint)  # type: ignore[attr-defined]
        row.told = [pair for pair in sorted(row.labels.items()) if pair[0] not in rule.all_labels]  # type: ignore[attr-defined]
    more = rows.count() - STATES_SHOWN if len(found) > STATES_SHOWN else 0
    return shown, more


def _context(request: HttpRequest, rule: Rule) -> dict[str, Any]:
    now, name = clock.now(), request.GET.get("range", "6h")
    name = name if name in RANGES else "6h"
    end = now.timestamp()
    chart, missing = chart_of(rule, start=end - RANGES[name], end=end, title=f"What {rule.name} looks at")
    states, more_states = _states(rule)
    noise = noise_of([rule.pk], now=now, zone=zone_of(request)).get(rule.pk, NOTHING)
    alerts = Alert.objects.filter(rule=rule).select_related("assignee").order_by("-started_at", "-id")[:ALERTS_SHOWN]
    return {
        "rule": rule, "now": now, "words": sentences(rule), "condition": condition_of(rule),
        "answer": now_of(rule, now),
        "chart": chart, "missing": missing, "bands": _bands(rule, chart, now), "range": name, "ranges": list(RANGES),
        "states": states, "more_states": more_states, "alerts": list(alerts), "edits": edits_of(rule), "noise": noise,
        "spark": bars(noise.bars), "late_seconds": late_seconds(rule.group, now), "may_edit": may_edit(request),
        "records": rule.kind == RuleKind.RECORDING, "since": now - timedelta(days=7),
        "suggestion": RuleSuggestion.objects.filter(rule=rule).first(),
        "fragment": f"{reverse('alerts:rule', args=[rule.pk])}?fragment=rule&range={name}",
        "open_alerts": sum(state.fired_at is not None for state in states) + more_states,
        "groups": [group for group in groups_counted() if group.pk != rule.group_id] if may_edit(request) else [],
    }  # fmt: skip


@require_GET
@role_required(Role.VIEWER)
def rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    """Show one rule."""
    context = _context(request, rule_of(rule_id))
    fragment = request.GET.get("fragment") == "rule"
    return render(request, "alerts/rules/_rule.html" if fragment else "alerts/rules/rule.html", context)


@require_POST
@role_required(Role.EDITOR)
def suggest(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Try on the past what would make a rule quieter, and keep what is worth suggesting."""
    found = suggestions_of(rule_of(rule_id), now=clock.now(), most_seconds=SUGGEST_SECONDS).result
    many = len(found.get("suggestions", []))
    if many:
        messages.success(request, f"{many} suggestion{'' if many == 1 else 's'} found.")
    else:
        messages.success(request, f"Nothing to suggest: {found.get('why_not') or 'no change would spare enough'}.")
    return redirect("alerts:rule", rule_id=rule_id)
