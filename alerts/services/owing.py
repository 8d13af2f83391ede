"""Whether a message is still owed."""

from datetime import datetime

from alerts.engine.reasons import Held, Why
from alerts.engine.states import AlertState, AttemptOutcome
from alerts.models import Alert, Escalation, Notification, Silence
from alerts.services.ledger import TABLES
from alerts.services.owed import WHYS
from alerts.services.quieting import Quiet, quieted

FIRES = ("fire", "repeat")


def reason_to_cancel(row: Notification, now: datetime) -> Held | None:
    """Return why a message is no longer owed, as things stand now; None means that it is."""
    alert = row.alert
    if row.kind == "handover":
        return _handover_not_owed(row, now)
    if alert is None:
        return None
    if row.kind == "resolve":
        return _resolve_not_owed(row, alert)
    if row.kind == "update":
        return _update_not_owed(row, alert)
    if alert.episode != row.episode:
        return Held(Why.SUPERSEDED, "a later episode began before this was sent")
    if alert.acked_at is not None:
        return Held(Why.ACKNOWLEDGED, f"acknowledged by {alert.acked_by} before this was sent")
    if alert.state == AlertState.RESOLVED:
        return Held(Why.RESOLVED, f"the alert was resolved ({alert.resolved_because}) before this was sent")
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return Held(Why.SNOOZED, f"snoozed by {alert.snoozed_by} before this was sent")
    return _kept_quiet(row, alert, now) if row.kind in FIRES else None


def _kept_quiet(row: Notification, alert: Alert, now: datetime) -> Held | None:
    """Return what has come to keep the alert quiet since the message became owed."""

    def policy_id() -> str:
        followed = Escalation.objects.filter(alert=alert, episode=row.episode)
        return str(followed.values_list("policy_snapshot__id", flat=True).first() or "")

    # What may have arrived is sent to its end: the receiver knows of it already.
    if row.attempts > 1:
        return None
    hush = Quiet(now).reason(alert, policy_id)
    if hush is None:
        return None
    TABLES.keep_quieted(quieted(alert, hush, policy_id=policy_id(), now=now))
    return Held(WHYS[hush.kind], hush.reason)


def _resolve_not_owed(row: Notification, alert: Alert) -> Held | None:
    if (alert.episode, alert.repeat_no) == (row.episode, row.repeat_no) and alert.state != AlertState.RESOLVED:
        return Held(Why.FIRES_AGAIN, "it fires again")
    if alert.episode == row.episode and alert.repeat_no > row.repeat_no:
        return Held(Why.FIRES_AGAIN, "it fired again before this was sent")
    earlier = Notification.objects.filter(alert=alert, episode=row.episode, channel=row.channel, pk__lt=row.pk)
    ended = earlier.filter(kind="resolve", state="done").order_by("-pk").values_list("pk", flat=True).first()
    fires = earlier.filter(kind__in=FIRES, pk__gt=ended or 0)
    # A try that was cut off, or a process that died while sending, may well have told the receiver.
    if fires.filter(state="done").exists() or any(_may_have_arrived(fire) for fire in fires):
        return None
    if ended is not None:
        return Held(Why.DUPLICATE, "this receiver knows already that it is over")
    return Held(Why.UNTOLD, "its beginning never reached this receiver")


def _update_not_owed(row: Notification, alert: Alert) -> Held | None:
    over = alert.state == AlertState.RESOLVED and alert.flapping_until is None
    if alert.episode != row.episode or over:
        return Held(Why.SUPERSEDED, "its end was told instead")
    later = Notification.objects.filter(alert=alert, channel=row.channel, kind="update", id__gt=row.pk)
    return Held(Why.SUPERSEDED, "a later word took its place") if later.exists() else None


def _handover_not_owed(row: Notification, now: datetime) -> Held | None:
    silence = Silence.objects.filter(pk=row.payload.get("silence_id")).first()
    if silence is None or silence.ends_at <= now:
        return Held(Why.SUPERSEDED, "the silence ended before this was sent")
    if silence.ends_at.isoformat() != row.payload.get("silence_ends_at"):
        return Held(Why.SUPERSEDED, "the silence got another end before this was sent")
    return None


def _may_have_arrived(fire: Notification) -> bool:
    tries = list(fire.tries.values_list("outcome", flat=True))
    return fire.attempts > len(tries) or AttemptOutcome.UNKNOWN in tries
