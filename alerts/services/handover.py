"""Before a silence ends: whoever made it hears, once, that alerts it covers still fire; and what silences covered."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from aivillage_console.accounts.selectors import active_user
from aivillage_console.lib import doorbell
from alerts.engine.alertmanager.matching import all_hold
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.severity import rank
from alerts.engine.silencing import covered
from alerts.engine.states import NotificationKind
from alerts.models import Alert, Channel, Escalation, Notification, Silence
from alerts.services.decide import SYSTEM, event
from alerts.services.hiding import narrowed, open_labels
from alerts.services.owed import key_of
from alerts.services.quieting import OPEN, matchers_from

BATCH = 50
LOOK_AGAIN = timedelta(seconds=30)
MOST_ALERTS, MOST_CHANNELS, MOST_SILENCES, MOST_NOTED = 1000, 20, 500, 50
# One issue for each silence would help nobody.
LAST_CHOICE = frozenset({"github"})


def handovers_due(*, now: datetime, limit: int = BATCH) -> int:
    """Tell of the silences that end soon; return of how many."""
    ended = Silence.objects.filter(handover_at__isnull=False, ends_at__lte=now)
    ended.update(handover_at=None)
    due = Silence.objects.filter(handover_at__lte=now).order_by("handover_at").values_list("pk", flat=True)
    return sum(_handed_over(pk, now) for pk in list(due[:limit]))


@transaction.atomic
def _handed_over(silence_id: UUID, now: datetime) -> bool:
    rows = Silence.objects.select_for_update(skip_locked=True)
    row = rows.filter(pk=silence_id, handover_at__lte=now, ends_at__gt=now).first()
    if row is None:
        return False
    alerts = still_firing(row)
    if not alerts:
        # What begins to fire before the end is worth the same word.
        again = now + LOOK_AGAIN
        Silence.objects.filter(pk=row.pk).update(handover_at=again if again < row.ends_at else None)
        return False
    owed = notices_of(row, alerts, now)
    Notification.objects.bulk_create(owed, ignore_conflicts=True)
    Silence.objects.filter(pk=row.pk).update(handover_at=None)
    whom = ", ".join(sorted({notice.channel_name for notice in owed})) or "nobody: no channel can be told"
    for alert in alerts[:MOST_NOTED]:
        event(
            alert, kind="handover", now=now, actor=SYSTEM, silence=str(row.pk),
            reason=f"its silence ends at {row.ends_at:%Y-%m-%d %H:%M:%S} UTC; told: {whom}",
        )  # fmt: skip
    if owed:
        doorbell.ring("dispatch")
    return bool(owed)


def still_firing(row: Silence) -> list[Alert]:
    """Return the open alerts nobody has taken that a silence keeps quiet, the worst first."""
    matchers = matchers_from(row.matchers)
    is_open = Alert.objects.filter(state__in=OPEN, acked_at__isnull=True).select_related("assignee")
    if row.lets_critical_through:
        is_open = is_open.exclude(severity="critical")
    found = narrowed(is_open, matchers).order_by("id")[:MOST_ALERTS]
    held = [alert for alert in found if all_hold(matchers, as_sent(alert.name, alert.labels))]
    return sorted(held, key=lambda alert: rank(alert.severity))


def notices_of(row: Silence, alerts: Sequence[Alert], now: datetime) -> list[Notification]:
    """Return one message for each channel of the alerts' policies; mail goes to the author and the assignees."""
    people = _people(row, alerts)
    channels = _channels(alerts)
    if people and not any(channel.type == "email" for channel in channels):
        mail = Channel.objects.filter(type="email", enabled=True).order_by("name").first()
        channels += [mail] if mail is not None else []
    said = _said(row, alerts, now)
    end = int(row.ends_at.timestamp())
    return [
        Notification(
            key=key_of("handover", row.pk, end, channel.pk), channel=channel, channel_name=channel.name,
            kind=NotificationKind.HANDOVER.value, created_at=now, due_at=now, deadline_at=row.ends_at,
            payload={**said, "recipients": people if channel.type == "email" else []},
        )
        for channel in channels
    ]  # fmt: skip


def _people(row: Silence, alerts: Iterable[Alert]) -> list[str]:
    author = active_user(row.author) if "@" in row.author else None
    wanted = [author, *(alert.assignee for alert in alerts)]
    return list(dict.fromkeys(person.email for person in wanted if person is not None and person.is_active))


def _channels(alerts: Sequence[Alert]) -> list[Channel]:
    """Return the channels of the first step of each policy followed; where there are none, the fallback ones."""
    stories = Escalation.objects.filter(alert__in=[alert.pk for alert in alerts]).values_list(
        "alert_id", "episode", "policy_snapshot__steps"
    )
    episodes = {alert.pk: alert.episode for alert in alerts}
    ids = {
        str(channel)
        for alert_id, episode, steps in stories
        if steps and episodes.get(alert_id) == episode
        for channel in steps[0].get("channels", [])
    }
    found = list(Channel.objects.filter(pk__in=ids, enabled=True).order_by("name"))
    if not found:
        found = list(Channel.objects.filter(is_fallback=True, enabled=True).order_by("name"))
    return ([each for each in found if each.type not in LAST_CHOICE] or found)[:MOST_CHANNELS]


def _said(row: Silence, alerts: Sequence[Alert], now: datetime) -> dict[str, Any]:
    minutes = max(1, round((row.ends_at - now).total_seconds() / 60))
    count = len(alerts)
    firing = "1 alert it covers still fires" if count == 1 else f"{count} alerts it covers still fire"
    base = settings.CONFIG.public_url.rstrip("/")
    return {
        "timestamp": now.isoformat(), "status": "firing", "kind": NotificationKind.HANDOVER.value,
        "alert_name": "SilenceEnds", "severity": alerts[0].severity,
        "summary": f"The silence “{row.reason[:120]}” of {row.author} ends in {minutes} min, and {firing}.",
        "description": f"Extend it, or let them page from {row.ends_at:%Y-%m-%d %H:%M} UTC on.",
        "metric_value": None, "threshold": None, "labels": {}, "annotations": {}, "escalation_step": 0,
        "alerts": [{"alert_id": a.pk, "alert_name": a.name, "severity": a.severity} for a in alerts[:50]],
        "silence_id": str(row.pk), "silence_ends_at": row.ends_at.isoformat(), "firing_count": count,
        "url": f"{base}/silences/{row.pk}/",
    }  # fmt: skip


def silences_look(*, now: datetime) -> int:
    """Remember of the silences that hold which cover an open alert now; return how many do."""
    active = Silence.objects.filter(starts_at__lte=now, ends_at__gt=now).order_by("ends_at")[:MOST_SILENCES]
    held = {row.pk: matchers_from(row.matchers) for row in active}
    if not held:
        return 0
    counts = covered(held, open_labels())
    return Silence.objects.filter(pk__in=[pk for pk, count in counts.items() if count]).update(matched_at=now)
