"""Makes the letter of a claimed message: everything a channel needs, so that it looks nothing up while it sends."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Min, Q

from aivillage_console.lib import outbox
from alerts import selectors
from alerts.channels import CHANNELS, Known, Letter, Sent
from alerts.engine.reasons import Why
from alerts.engine.states import AlertState, EscalationState, NotificationState, Severity
from alerts.models import Alert, Channel, Escalation, Link, Notification
from alerts.services.owing import reason_to_cancel

WEEK = timedelta(days=7)
TOLD = ("fire", "repeat")
LINKS = 10
RECIPIENTS = 200
DIGEST_NAMES = 50
# What a transaction that lasts folds is older than the digest it goes into.
DIGEST_REACH = timedelta(minutes=10)


def letter_of(row: Notification, now: datetime) -> Letter | None:
    """Return the message to send, or cancel it where it is no longer owed and return None."""
    held = reason_to_cancel(row, now)
    if held is not None:
        # This claim was no try: nobody shall think later that it may have arrived.
        outbox.finish(
            row, state=NotificationState.CANCELLED.value, withheld=held.why.value, cancelled_because=held.text[:300],
            finished_at=now, attempts=row.attempts - 1,
        )  # fmt: skip
        return None
    channel = row.channel
    if channel is None:
        return None
    payload = _summary(row) if row.kind == "summary" else row.payload
    known: list[Known] = []
    facts: dict[str, Any] = {}
    if getattr(CHANNELS.get(channel.type), "KEEPS_LINKS", False):
        known, facts = _known(row), _facts(row, now)
    return Letter(
        row.key, now, payload, channel.config, channel.unseal(), attempt=row.attempts, known=known,
        maybe_there=not known and bool(facts) and _maybe_there(row), facts=facts,
    )  # fmt: skip


def _summary(row: Notification) -> dict[str, Any]:
    folded = Notification.objects.filter(
        channel=row.channel, state="cancelled", withheld=Why.DIGEST.value, payload__digest=row.key,
        created_at__gte=row.created_at - DIGEST_REACH,
    )  # fmt: skip
    names = folded.values("payload__alert_name", "payload__severity").annotate(
        messages=Count("pk"), alerts=Count("alert_id", distinct=True), first=Min("alert_id")
    )
    base = settings.CONFIG.public_url.rstrip("/")
    listed = [
        {
            "alert_id": each["first"], "alert_name": each["payload__alert_name"],
            "severity": each["payload__severity"], "count": each["alerts"],
            "url": f"{base}/alerts/{each['first']}/" if each["alerts"] == 1
            else f"{base}/alerts/?{urlencode({'state': 'all', 'q': each['payload__alert_name']})}",
        }
        for each in names.order_by("-alerts", "payload__alert_name")[:DIGEST_NAMES]
    ]  # fmt: skip
    count, told = folded.count(), sum(each["count"] for each in listed)
    alerts = folded.aggregate(n=Count("alert_id", distinct=True))["n"]
    rest = f" {alerts - told} more are on the page of alerts." if alerts > told else ""
    return {
        **row.payload, "status": "firing", "alert_name": "AlertStorm", "severity": Severity.CRITICAL.value,
        "description": f"{alerts} alerts ({count} messages) were folded into this message.{rest}",
        "count": alerts, "alerts": listed, "url": f"{base}/alerts/",
    }  # fmt: skip


def _known(row: Notification) -> list[Known]:
    if row.alert_id is None or row.channel_id is None:
        return []
    links = Link.objects.filter(alert_id=row.alert_id, channel_id=row.channel_id).order_by("-id")[:LINKS]
    return [Known(link.external_id, link.url) for link in reversed(links)]


def _maybe_there(row: Notification) -> bool:
    """Say whether an earlier try, of this message or another of its alert, may have arrived unheard."""
    if row.attempts > 1:
        return True
    others = Notification.objects.filter(alert=row.alert, channel=row.channel, attempts__gt=0)
    return row.alert is not None and others.exclude(pk=row.pk).exists()


def _facts(row: Notification, now: datetime) -> dict[str, Any]:
    base = settings.CONFIG.public_url.rstrip("/")
    alert = row.alert
    facts: dict[str, Any] = {"home_url": f"{base}/", "first_owed_at": _first_owed_at(row)}
    if alert is None:
        return facts
    ahead = Escalation.objects.filter(alert=alert, state=EscalationState.ACTIVE.value).first()
    return {
        **facts,
        "owner": str(alert.assignee or ""),
        "repeat_no": row.repeat_no,
        "reopened": bool(selectors.reopened_times(alert)),
        "was_severity": _was_severity(row) if row.kind in TOLD and row.repeat_no else "",
        "fired_this_week": selectors.fires_since(alert, now - WEEK),
        "next_step_at": ahead.due_at.isoformat() if ahead and alert.state != AlertState.RESOLVED else "",
        "told": _told(row, alert),
    }


def _first_owed_at(row: Notification) -> str:
    """Return when this channel was first owed anything of this episode: nothing of it can be older."""
    if row.alert is None:
        return row.created_at.isoformat()
    same = Notification.objects.filter(alert=row.alert, channel=row.channel, episode=row.episode)
    first = same.order_by("id").values_list("created_at", flat=True).first()
    return (first or row.created_at).isoformat()


def _was_severity(row: Notification) -> str:
    """Return the severity this channel was last told of in the episode, for an alert may have got worse since."""
    told = Notification.objects.filter(
        alert=row.alert, channel=row.channel, episode=row.episode, id__lt=row.pk, kind__in=TOLD, attempts__gt=0
    )
    return str(told.order_by("-id").values_list("payload__severity", flat=True).first() or "")


def _told(row: Notification, alert: Alert) -> list[list[str]]:
    """Return whom the episode's earlier messages went to, for the end goes to the same; [] means the usual ones."""
    if row.kind != "resolve":
        return []
    earlier = Notification.objects.filter(
        alert=alert, episode=row.episode, channel=row.channel, kind__in=TOLD, attempts__gt=0
    )
    return [list(each or [])[:RECIPIENTS] for each in earlier.values_list("payload__recipients", flat=True)[:LINKS]]


def remember(row: Notification, channel: Channel, found: Known | None) -> None:
    """Store what the alert is called at the receiver, once; a fact whoever holds the row by now."""
    if found is None or not found.external_id or row.alert_id is None:
        return
    Link.objects.get_or_create(
        alert_id=row.alert_id, channel=channel, external_id=found.external_id[:255],
        defaults={"url": found.url[:1000]},
    )  # fmt: skip


def settle(row: Notification, channel: Channel, sent: Sent) -> None:
    """Remember the state a message itself put its issue into: nobody else is to be thanked for it."""
    if not sent.state or sent.state_at is None or row.alert_id is None:
        return
    links = Link.objects.filter(alert_id=row.alert_id, channel=channel, external_id=sent.external_id[:255])
    links = links.filter(Q(settled_at__isnull=True) | Q(settled_at__lte=sent.state_at))
    links.update(settled_at=sent.state_at, settled_state=sent.state)
