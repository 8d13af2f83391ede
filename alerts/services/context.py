"""What stood around an alert when it began: changes, similar alerts of the past and how they ended, what wings know.

It is gathered shortly after the alert began, by whoever gets to it first, and kept with the alert: the page needs none
of the rows it was made of. An alert that has none yet is a row of a partial index, so nothing is ever forgotten.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import DatabaseError, transaction

from alerts.engine.states import AlertState
from alerts.models import Alert, AlertEvent, ChangeEvent
from alerts.rules.contexts import CONTEXTS, MOST, ContextItem

BEFORE = timedelta(hours=1)
SIMILAR_DAYS = 90
BATCH = 50
MOST_CHANGES = 100
# Labels by which an alert and a change are about the same thing.
ABOUT = ("service", "component", "job", "app", "application", "project", "repository", "namespace", "environment")
ENDED = ("acknowledged", "resolved", "note", "thumb_up", "thumb_down")
log = structlog.get_logger(__name__)


def context_due(*, now: datetime, limit: int = BATCH) -> int:
    """Gather what stood around alerts that have begun; return how many there were."""
    fresh = Alert.objects.filter(state=AlertState.FIRING.value, context_at__isnull=True).order_by("id")
    alerts = list(fresh[:limit])
    for alert in alerts:
        # Nobody's decision depends on it: no lock and no new version, and an episode that began meanwhile asks again.
        kept = Alert.objects.filter(pk=alert.pk, episode=alert.episode, repeat_no=alert.repeat_no)
        kept.update(context=context_of(alert), context_at=now)
    return len(alerts)


def context_of(alert: Alert) -> dict[str, Any]:
    """Return what stood around the beginning of an alert."""
    began_at = alert.fired_at or alert.started_at
    found: dict[str, Any] = {
        "from": (began_at - BEFORE).isoformat(), "to": began_at.isoformat(),
        "changes": _changes(alert.labels, began_at), "similar": _similar(alert, began_at),
    }  # fmt: skip
    for name, around in CONTEXTS.filled():
        try:
            with transaction.atomic():
                items = around(alert.labels, began_at - BEFORE, began_at)[:MOST]
        except (DatabaseError, LookupError, TypeError, ValueError) as error:
            # What a wing cannot tell is missing from the page, and is no reason to lose the rest.
            log.warning("context.failed", of=name, alert=alert.pk, error=str(error))
            continue
        found[name] = [_shown(item) for item in items]
    return found


def _shown(item: ContextItem) -> dict[str, str]:
    return {"at": item.at.isoformat(), "title": item.title[:300], "detail": item.detail[:500], "url": item.url[:500]}


def _changes(labels: Mapping[str, str], began_at: datetime) -> list[dict[str, Any]]:
    """Return the changes of the hour before, those about the same thing first, then the latest."""
    rows = ChangeEvent.objects.filter(at__gt=began_at - BEFORE, at__lte=began_at).order_by("-at", "-id")
    about = {text.lower() for name in ABOUT if (text := labels.get(name))}
    scored = [(bool(about & _names_of(row)), row) for row in rows[:MOST_CHANGES]]
    scored.sort(key=lambda pair: not pair[0])
    return [
        {
            "at": row.at.isoformat(), "kind": row.kind, "name": row.name, "status": row.status,
            "summary": row.summary[:300], "url": row.url, "same": same,
        }
        for same, row in scored[:MOST]
    ]  # fmt: skip


def _names_of(row: ChangeEvent) -> set[str]:
    return {row.name.lower(), *(str(row.labels[name]).lower() for name in ABOUT if row.labels.get(name))}


def _similar(alert: Alert, began_at: datetime) -> list[dict[str, Any]]:
    """Return the last ended alerts of the same rule, or name, with how each ended; the alert itself comes first."""
    past = Alert.objects.filter(resolved_at__gt=began_at - timedelta(days=SIMILAR_DAYS), resolved_at__lte=began_at)
    same = past.filter(rule_id=alert.rule_id) if alert.rule_id else past.filter(name=alert.name)
    rows = list(same.exclude(pk=alert.pk).order_by("-resolved_at")[:MOST])
    own = _own_past(alert)
    return (own + [_ended(row) for row in rows])[:MOST]


def _own_past(alert: Alert) -> list[dict[str, Any]]:
    """Return the episodes before this one, newest first."""
    ends = AlertEvent.objects.filter(alert=alert, kind="resolved", episode__lt=alert.episode).order_by("-id")
    return [
        {
            "alert": alert.pk, "name": alert.name, "episode": end.episode, "ended_at": end.at.isoformat(),
            "because": end.reason, "people": _people(alert.pk, end.episode),
        }
        for end in ends[:MOST]
    ]  # fmt: skip


def _ended(row: Alert) -> dict[str, Any]:
    return {
        "alert": row.pk, "name": row.name, "episode": row.episode, "because": row.resolved_because,
        "ended_at": row.resolved_at.isoformat() if row.resolved_at else "", "people": _people(row.pk, row.episode),
    }  # fmt: skip


def _people(alert_id: int, episode: int) -> list[dict[str, str]]:
    """Return what people did and wrote in an episode, newest first."""
    rows = AlertEvent.objects.filter(alert_id=alert_id, episode=episode, kind__in=ENDED).exclude(actor_kind="system")
    return [
        {"kind": kind, "actor": actor, "text": reason[:300]}
        for kind, actor, reason in rows.order_by("-id").values_list("kind", "actor", "reason")[:3]
    ]
