"""Whether a message is still owed."""

from datetime import datetime

from alerts.engine.states import AlertState, AttemptOutcome
from alerts.models import Alert, Escalation, Notification
from alerts.services.ledger import TABLES
from alerts.services.quieting import Quiet, quieted

FIRES = ("fire", "repeat")


def reason_to_cancel(row: Notification, now: datetime) -> str:
    """Return why a message is no longer owed, as things stand now; an empty text means it is."""
    alert = row.alert
    if alert is None:
        return ""
    if row.kind == "resolve":
        return _resolve_not_owed(row, alert)
    if row.kind == "update":
        return _update_not_owed(row, alert)
    if alert.episode != row.episode:
        return "a later episode began before this was sent"
    if alert.acked_at is not None:
        return f"acknowledged by {alert.acked_by} before this was sent"
    if alert.state == AlertState.RESOLVED:
        return f"the alert was resolved ({alert.resolved_because}) before this was sent"
    return _kept_quiet(row, alert, now) if row.kind in FIRES else ""


def _kept_quiet(row: Notification, alert: Alert, now: datetime) -> str:
    """Return what has come to keep the alert quiet since the message became owed."""

    def policy_id() -> str:
        followed = Escalation.objects.filter(alert=alert, episode=row.episode)
        return str(followed.values_list("policy_snapshot__id", flat=True).first() or "")

    # What may have arrived is sent to its end: the receiver knows of it already.
    if row.attempts > 1:
        return ""
    hush = Quiet(now).reason(alert, policy_id)
    if hush is None:
        return ""
    TABLES.keep_quieted(quieted(alert, hush, policy_id=policy_id(), now=now))
    return hush.reason


def _resolve_not_owed(row: Notification, alert: Alert) -> str:
    if (alert.episode, alert.repeat_no) == (row.episode, row.repeat_no) and alert.state != AlertState.RESOLVED:
        return "it fires again"
    if alert.episode == row.episode and alert.repeat_no > row.repeat_no:
        return "it fired again before this was sent"
    fires = Notification.objects.filter(
        alert=alert, episode=row.episode, channel=row.channel, kind__in=FIRES, id__lt=row.pk
    )
    # A try that was cut off, or a process that died while sending, may well have told the receiver.
    maybe = fires.filter(state="done").exists() or any(_may_have_arrived(fire) for fire in fires)
    return "" if maybe else "its beginning never reached this receiver"


def _update_not_owed(row: Notification, alert: Alert) -> str:
    if alert.episode != row.episode or alert.state == AlertState.RESOLVED:
        return "its end was told instead"
    later = Notification.objects.filter(alert=alert, channel=row.channel, kind="update", id__gt=row.pk)
    return "a later word took its place" if later.exists() else ""


def _may_have_arrived(fire: Notification) -> bool:
    tries = list(fire.tries.values_list("outcome", flat=True))
    return fire.attempts > len(tries) or AttemptOutcome.UNKNOWN in tries
