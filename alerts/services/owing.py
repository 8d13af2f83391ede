"""Whether a message is still owed."""

from datetime import datetime

from alerts.engine.reasons import Held, Why
from alerts.engine.states import AlertState, AttemptOutcome, NotificationState
from alerts.models import Alert, Notification, Silence
from alerts.services.ledger import TABLES, Desk
from alerts.services.owed import WHYS
from alerts.services.quieting import quieted

FIRES = ("fire", "repeat")


def reason_to_cancel(row: Notification, now: datetime, ledger: Desk = TABLES) -> Held | None:
    """Return why a message is no longer owed, as things stand now; None means that it is."""
    alert = row.alert
    if row.kind == "handover":
        return _handover_not_owed(row, now)
    if alert is None:
        return None
    if row.kind == "resolve":
        return _resolve_not_owed(row, alert, ledger)
    if row.kind == "update":
        return _update_not_owed(row, alert, ledger)
    if alert.episode != row.episode:
        return Held(Why.SUPERSEDED, "a later episode began before this was sent")
    if alert.acked_at is not None:
        return Held(Why.ACKNOWLEDGED, f"acknowledged by {alert.acked_by} before this was sent")
    if alert.state == AlertState.RESOLVED:
        return Held(Why.RESOLVED, f"the alert was resolved ({alert.resolved_because}) before this was sent")
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        return Held(Why.SNOOZED, f"snoozed by {alert.snoozed_by} before this was sent")
    return _kept_quiet(row, alert, now, ledger) if row.kind in FIRES else None


def _kept_quiet(row: Notification, alert: Alert, now: datetime, ledger: Desk) -> Held | None:
    """Return what has come to keep the alert quiet since the message became owed."""
    # What may have arrived is sent to its end: the receiver knows of it already.
    if row.attempts > 1:
        return None
    hush = ledger.quiet(now).reason(alert, lambda: ledger.followed(alert))
    if hush is None:
        return None
    ledger.keep_quieted(quieted(alert, hush, policy_id=ledger.followed(alert), now=now))
    return Held(WHYS[hush.kind], hush.reason)


def _resolve_not_owed(row: Notification, alert: Alert, ledger: Desk) -> Held | None:
    # Pending is not firing: whoever heard of the beginning has to hear of this end, whatever comes of it.
    fires_now = alert.state in (AlertState.FIRING, AlertState.UNKNOWN)
    if (alert.episode, alert.repeat_no) == (row.episode, row.repeat_no) and fires_now:
        return Held(Why.FIRES_AGAIN, "it fires again")
    if alert.episode == row.episode and alert.repeat_no > row.repeat_no:
        return Held(Why.FIRES_AGAIN, "it fired again before this was sent")
    ended = False
    fires: list[Notification] = []
    for each in ledger.earlier(row):
        if each.kind == "resolve" and each.state == NotificationState.DONE:
            ended, fires = True, []
        elif each.kind in FIRES:
            fires.append(each)
    # A try that was cut off, or a process that died while sending, may well have told the receiver.
    if any(each.state == NotificationState.DONE or _may_have_arrived(each, ledger) for each in fires):
        return None
    if ended:
        return Held(Why.DUPLICATE, "this receiver knows already that it is over")
    return Held(Why.UNTOLD, "its beginning never reached this receiver")


def _update_not_owed(row: Notification, alert: Alert, ledger: Desk) -> Held | None:
    over = alert.state == AlertState.RESOLVED and alert.flapping_until is None
    if alert.episode != row.episode or over:
        return Held(Why.SUPERSEDED, "its end was told instead")
    if ledger.has_later_word(row):
        return Held(Why.SUPERSEDED, "a later word took its place")
    fires = [each for each in ledger.earlier(row) if each.kind in FIRES]
    if any(each.state == NotificationState.DONE or _may_have_arrived(each, ledger) for each in fires):
        return None
    return Held(Why.UNTOLD, "its beginning never reached this receiver")


def _handover_not_owed(row: Notification, now: datetime) -> Held | None:
    silence = Silence.objects.filter(pk=row.payload.get("silence_id")).first()
    if silence is None or silence.ends_at <= now:
        return Held(Why.SUPERSEDED, "the silence ended before this was sent")
    if silence.ends_at.isoformat() != row.payload.get("silence_ends_at"):
        return Held(Why.SUPERSEDED, "the silence got another end before this was sent")
    return None


def _may_have_arrived(fire: Notification, ledger: Desk) -> bool:
    tries = ledger.outcomes(fire)
    return fire.attempts > len(tries) or AttemptOutcome.UNKNOWN in tries
