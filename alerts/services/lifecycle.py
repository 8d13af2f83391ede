"""What becomes of alerts by the clock alone: reminders, the ends of snoozes, flapping that has come to rest."""

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from aivillage_console.lib import clock
from alerts.engine import escalation
from alerts.engine.reasons import Why
from alerts.engine.states import AlertState, EscalationState
from alerts.models import Alert
from alerts.services import decide, owed, tracing
from alerts.services.ledger import TABLES, Desk, Ledger

BATCH = 100
OPEN = (AlertState.FIRING.value, AlertState.UNKNOWN.value)
# Acknowledged alerts of whose group, the same rule under the same policy or the same incident, another has fired since.
GROWN = """
SELECT a.id, b.id, b.name FROM alerts_alert a CROSS JOIN LATERAL (
    SELECT b.id, b.name FROM alerts_alert b
    JOIN alerts_escalation mine ON mine.alert_id = a.id AND mine.episode = a.episode
    JOIN alerts_escalation its ON its.alert_id = b.id AND its.episode = b.episode
        AND its.policy_snapshot->>'id' = mine.policy_snapshot->>'id'
    WHERE b.rule_id = a.rule_id AND b.id <> a.id AND b.state = 'firing' AND b.fired_at > a.acked_at
    ORDER BY b.fired_at DESC LIMIT 1
) b WHERE a.acked_at IS NOT NULL AND a.state IN ('firing', 'unknown') ORDER BY a.id LIMIT %s
"""


def lifecycle_due(*, now: datetime, limit: int = BATCH) -> int:
    """Look at the alerts whose time has come, each in a transaction of its own; return how many were looked at."""
    due = list(Alert.objects.filter(wake_at__lte=now).order_by("wake_at").values_list("pk", flat=True)[:limit])
    for alert_id in due:
        _look_at(alert_id, now)
    with connection.cursor() as cursor:
        cursor.execute(GROWN, [limit])
        grown = cursor.fetchall()
    for alert_id, other_id, name in grown:
        _grow(alert_id, f"#{other_id} {name}", now)
    return len(due) + len(grown)


@transaction.atomic
def _look_at(alert_id: int, now: datetime) -> None:
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is not None:
        woken(alert, now)


def woken(alert: Alert, now: datetime, ledger: Ledger = TABLES) -> None:
    """Do to a locked alert what its time has come for."""
    if alert.ack_until is not None and alert.ack_until <= now and alert.acked_at is not None:
        give_back(alert, f"the reminder of {alert.acked_by} has passed", now, ledger=ledger)
    if alert.snoozed_until is not None and alert.snoozed_until <= now:
        snooze_ended(alert, now, ledger)
    if alert.flapping_until is not None and alert.flapping_until <= now:
        _settle(alert, now, ledger)
    if alert.state not in OPEN:
        alert.ack_until = None
    decide.wake(alert)
    ledger.save(alert)


def _moves_on(alert: Alert, now: datetime) -> None:
    alert.version, alert.updated_at = alert.version + 1, now


def _say(alert: Alert, kind: str, reason: str, now: datetime, ledger: Ledger, **data: Any) -> None:
    decide.event(alert, kind=kind, now=now, actor=decide.SYSTEM, reason=reason, ledger=ledger, **data)
    ledger.changed(alert)


def give_back(alert: Alert, because: str, now: datetime, *, ledger: Ledger = TABLES) -> None:
    """End an acknowledgement of a locked alert that still runs: its policy begins again. The caller saves."""
    _moves_on(alert, now)
    decide.free(alert)
    if alert.state in OPEN:
        decide.rearm(alert, now=now, ledger=ledger)
    _say(alert, "ack_ended", because, now, ledger)


def snooze_ended(alert: Alert, now: datetime, ledger: Ledger = TABLES) -> None:
    """End a snooze of a locked alert; its policy, where it runs, was put off to this moment. The caller saves."""
    _moves_on(alert, now)
    by = alert.snoozed_by
    decide.free(alert)
    runs = "and it still fires" if alert.state in OPEN else "and it is over"
    _say(alert, "snooze_ended", f"the snooze by {by} has ended, {runs}", now, ledger)


def _settle(alert: Alert, now: datetime, ledger: Ledger) -> None:
    """End flapping with one message: that it fires, that it is over, or that it has come to rest as was told."""
    _moves_on(alert, now)
    counted = alert.flaps
    alert.flapping_since, alert.flapping_until, alert.flaps = None, None, 0
    why = _rested(alert, counted, now, ledger)
    state = "it fires" if alert.state in OPEN else "it is over"
    reason = f"it has come to rest after {counted} changes that were counted: {state}"
    _keep_pass(alert, why, reason, now)
    _say(alert, "settled", reason, now, ledger, why=why.value)


def _keep_pass(alert: Alert, why: Why, reason: str, now: datetime) -> None:
    alert.last_pass = tracing.passed(now, why, reason, rule_version=alert.last_pass.get("rule_version") or 0)


def _rested(alert: Alert, counted: int, now: datetime, ledger: Ledger) -> Why:
    """Tell how it came to rest, and return whether, or why nobody is told."""
    if alert.state == AlertState.RESOLVED and counted:
        return Why.TOLD if decide.conclude(alert, now=now, ledger=ledger) else Why.UNTOLD
    if alert.state not in OPEN:
        return Why.NOT_FIRING
    held = Why.ACKNOWLEDGED if alert.acked_at else Why.SNOOZED if alert.snoozed_until else None
    if counted and held is None and decide.rearm(alert, now=now, ledger=ledger):
        return Why.TOLD
    owed.tell_update(alert, now=now, said="It has come to rest, and fires.", in_place=True, ledger=ledger)
    return held or Why.DUPLICATE


@transaction.atomic
def _grow(alert_id: int, other: str, now: datetime) -> None:
    alert = Alert.objects.select_for_update().filter(pk=alert_id).first()
    if alert is not None:
        grown(alert, other, now)


def grown(alert: Alert, other: str, now: datetime, ledger: Desk = TABLES) -> None:
    """End the acknowledgement of a locked alert because its group grew.

    The message about the other one speaks for the first step of the policy; the next step is ahead again.
    """
    if alert.acked_at is None or alert.state not in OPEN:
        return
    by = alert.acked_by
    _moves_on(alert, now)
    decide.free(alert)
    _go_on_at_second_step(alert, now, ledger)
    reason = f"its group grew: {other} fired, which ends the acknowledgement by {by}"
    _keep_pass(alert, Why.GROUP, reason, now)
    _say(alert, "ack_ended", reason, now, ledger, why=Why.GROUP.value)
    said = f"Nobody has it any more: {other} fired as well."
    owed.tell_update(alert, now=now, said=said, in_place=True, ledger=ledger)
    decide.wake(alert)
    ledger.save(alert)


def _go_on_at_second_step(alert: Alert, now: datetime, ledger: Desk) -> None:
    row = ledger.policy(alert)
    if row is None:
        return
    alert.repeat_no += 1
    delays = [step["delay_seconds"] for step in row.policy_snapshot.get("steps", [])]
    ahead = escalation.step_due_at(delays, 1, now.timestamp())
    over = ahead.index is None
    ledger.rearm(
        alert, repeat_no=alert.repeat_no, started_at=now, due_at=clock.at_seconds(ahead.due_at),
        step=len(delays) if ahead.index is None else ahead.index, stopped_because="", lease_token=None, attempts=0,
        state=EscalationState.DONE.value if over else EscalationState.ACTIVE.value, last_error="",
    )  # fmt: skip
