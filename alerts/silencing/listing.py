"""What the pages of silences show: lists by state, where one stands, and what is filled in from alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse

from aivillage_console.accounts.models import AuditEntry, Role
from alerts.engine.alertmanager.matching import Matcher
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.silencing import matchers_for
from alerts.models import Alert, Silence
from alerts.services import hiding, silencing

PAGE, MOST_HISTORY, MOST_NAMES = 50, 20, 40
STATES = ("active", "pending", "expired")
WORDS = {"silence.create": "made", "silence.update": "changed", "silence.expire": "ended"}


def may(request: HttpRequest) -> dict[str, bool]:
    """Return what the reader may do: silence, and write what recurs."""
    user = request.user
    if not user.is_authenticated:
        return {"silence": False, "write": False}
    return {"silence": user.has_role(Role.RESPONDER), "write": user.has_role(Role.EDITOR)}


def _in_state(state: str, now: datetime) -> Q:
    if state == "expired":
        return Q(ends_at__lte=now)
    return Q(starts_at__gt=now, ends_at__gt=now) if state == "pending" else Q(starts_at__lte=now, ends_at__gt=now)


def _searched(rows: QuerySet[Silence], text: str) -> QuerySet[Silence]:
    """Return the silences that speak of a text; name=value finds that matcher exactly."""
    if not text:
        return rows
    name, sign, value = text.partition("=")
    if sign and name and value:
        wanted = [{"name": name.strip(), "value": value.strip().strip('"')}]
        return rows.filter(matchers__contains=wanted)
    spoken = rows.annotate(said=Cast("matchers", TextField()))
    return spoken.filter(Q(said__icontains=text) | Q(reason__icontains=text) | Q(author__icontains=text))


def context_of(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the list of one state with the counts of all."""
    state = request.GET.get("state", "active")
    state = state if state in STATES else "active"
    text = request.GET.get("q", "").strip().replace("\x00", "")[:200]
    found = _searched(Silence.objects.all(), text)
    counts = found.aggregate(**{name: Count("pk", filter=_in_state(name, now)) for name in STATES})
    order = {"active": "ends_at", "pending": "starts_at"}.get(state, "-ends_at")
    page = int(request.GET["page"]) if request.GET.get("page", "").isdigit() and len(request.GET["page"]) < 5 else 0
    rows = list(found.filter(_in_state(state, now)).order_by(order, "pk")[page * PAGE : (page + 1) * PAGE + 1])
    base, kept = reverse("silences:list") + "?", {"q": text} if text else {}
    return {
        "state": state, "rows": shown(rows[:PAGE], now), "now": now, "searched": text,
        "tabs": [(name, counts[name], base + urlencode({**kept, "state": name})) for name in STATES],
        "fragment": base + urlencode({**kept, "state": state, "page": page, "fragment": "table"}),
        "next_page": base + urlencode({**kept, "state": state, "page": page + 1}) if len(rows) > PAGE else "",
        "undo": undo_of(request), "other": sum(counts.values()),
    }  # fmt: skip


def shown(rows: Sequence[Silence], now: datetime) -> list[dict[str, Any]]:
    """Return silences as the list shows them, with how many open alerts each covers."""
    counts = hiding.counts_now([row for row in rows if row.ends_at > now])
    return [{"silence": row, "covers": counts.get(row.pk), **facts_of(row, now)} for row in rows]


def facts_of(row: Silence, now: datetime) -> dict[str, Any]:
    """Return where a silence stands."""
    state = silencing.state_of(row, now)
    whole = max(1.0, (row.ends_at - row.starts_at).total_seconds())
    passed = min(whole, max(0.0, (now - row.starts_at).total_seconds()))
    return {
        "state": state, "matchers": silencing.matchers_text(row.matchers), "percent": round(100 * passed / whole),
        "idle_seconds": idle_seconds(row, now) if state == "active" else 0,
    }  # fmt: skip


def idle_seconds(row: Silence, now: datetime) -> int:
    """Return for how long an active silence has covered nothing; 0 while that is not long."""
    idle = (now - (row.matched_at or row.starts_at)).total_seconds()
    return int(idle) if idle >= settings.CONFIG.silence_stale_seconds else 0


def standing_of(row: Silence, now: datetime) -> dict[str, Any]:
    """Return what the page of one silence shows beside its form."""
    entries = AuditEntry.objects.filter(object_type="silence", object_id=str(row.pk)).order_by("-pk")
    return {
        **facts_of(row, now),
        "history": [(entry, WORDS.get(entry.action, entry.action)) for entry in entries[:MOST_HISTORY]],
    }


def undo_of(request: HttpRequest) -> dict[str, Any] | None:
    """Return what was just done and how it is taken back, as the address says."""
    done, text = request.GET.get("done", ""), request.GET.get("silence", "")
    words = {"made": ("Silenced", "end"), "ended": ("The silence has ended", "again"),
             "extended": ("The silence is extended", "extend")}  # fmt: skip
    try:
        row = Silence.objects.filter(pk=UUID(text)).first() if done in words else None
    except ValueError:
        row = None
    if row is None:
        return None
    said, action = words[done]
    until = request.GET.get("until", "")[:40]
    return {"said": said, "silence": row, "action": reverse("silences:act", args=[row.pk, action]), "until": until,
            "matchers": silencing.matchers_text(row.matchers)}  # fmt: skip


def label_names() -> list[str]:
    """Return the label names of the open alerts, to choose from."""
    names = {name for labels in hiding.open_labels() for name in labels}
    return sorted(names)[:MOST_NAMES]


def matchers_of_alerts(ids: Sequence[int]) -> tuple[str, str]:
    """Return matchers that cover the chosen alerts, and a reason to begin with."""
    alerts = list(Alert.objects.filter(pk__in=ids).order_by("pk"))
    text = ", ".join(str(each) for each in matchers_for([as_sent(alert.name, alert.labels) for alert in alerts]))
    if not alerts:
        return "", ""
    if len(alerts) == 1:
        return text, f"Looking into #{alerts[0].pk} {alerts[0].name}"
    return text, "Looking into " + ", ".join(f"#{alert.pk}" for alert in alerts[:10])


def matchers_of_filter(text: str, severity: str) -> str:
    """Return matchers for what the inbox was filtered by."""
    found = []
    for word in text.split()[:8]:
        name, sign, value = word.partition("=")
        if sign and name:
            found.append(str(Matcher("=", name, value.strip('"'))))
        elif not word.startswith("#"):
            found.append(str(Matcher("=~", "alertname", f"(?i).*{_literal(word)}.*")))
    if severity:
        found.append(str(Matcher("=", "severity", severity)))
    return ", ".join(found)


def _literal(word: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\.+*?()|[]{}^$" else letter for letter in word)


def silenced_facts(alerts: Sequence[Alert], filters: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return what the inbox says of silences: which alerts are silenced, and how to silence what it is filtered by."""
    wanted = {name: filters[name] for name in ("sev", "q") if name in filters}
    return {"silenced": hiding.silenced_now(alerts, now), "silence_these": urlencode(wanted)}


def silences_of(alert: Alert, now: datetime) -> list[dict[str, Any]]:
    """Return the silences that cover an alert, or did until lately, with where each stands."""
    return [{"silence": row, "state": silencing.state_of(row, now)} for row in hiding.silences_of(alert, now)]
