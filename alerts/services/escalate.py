"""Carries out the steps of policies whose time has come."""

from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic

from django.db import transaction

from aivillage_console.lib import clock, outbox
from alerts.engine import escalation
from alerts.engine.reasons import Why
from alerts.engine.states import AlertState, EscalationState, NotificationKind
from alerts.measures import ESCALATION_STEPS, WORK
from alerts.models import Alert, Escalation, Notification
from alerts.pipeline import Decision
from alerts.services import tracing
from alerts.services.decide import SYSTEM, event, stop_escalation, tell_step
from alerts.services.ledger import TABLES, Ledger

Clock = Callable[[], datetime]


def escalate_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Carry out due steps for at most so many seconds; return whether rows may remain."""
    ends_at = monotonic() + deadline_seconds
    while monotonic() < ends_at:
        now = read_clock()
        rows = outbox.claim(Escalation.objects.filter(state=EscalationState.ACTIVE.value), now=now)
        if not rows:
            return False
        _step(rows[0], now)
        WORK.labels(kind="escalate", hand=hand).inc()
    return True


def _step(row: Escalation, now: datetime) -> None:
    with transaction.atomic():
        # Same lock as acknowledge and resolve: whoever commits first decides whether this page exists.
        alert = Alert.objects.select_for_update().get(pk=row.alert_id)
        if not outbox.fence(row).filter(state=EscalationState.ACTIVE.value).exists():
            return
        told = carry_out(row, alert, now)
    ESCALATION_STEPS.labels(outcome="stopped" if told is None else "told" if told else "nobody").inc()


def carry_out(row: Escalation, alert: Alert, now: datetime, ledger: Ledger = TABLES) -> int | None:
    """Carry out the step that is ahead; return how many channels are told, None where the policy has to stop."""
    why_not = _reason_to_stop(alert, row)
    if why_not:
        stop_escalation(alert, because=why_not, ledger=ledger)
        return None
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        ledger.advance(row, due_at=alert.snoozed_until)
        return None
    steps = row.policy_snapshot["steps"]
    kind = NotificationKind.FIRE if row.step == 0 else NotificationKind.REPEAT
    rows = tell_step(alert, row.policy_snapshot, step=row.step, now=now, kind=kind, ledger=ledger)
    told = sum(not each.withheld for each in rows)
    _note(row, alert, rows, told, now, ledger)
    _advance(row, [step["delay_seconds"] for step in steps], ledger)
    ledger.changed(alert)
    return told


def _note(
    row: Escalation, alert: Alert, rows: Sequence[Notification], told: int, now: datetime, ledger: Ledger
) -> None:
    """Write into the story which step was carried out, and where nobody was told of it why."""
    policy = row.policy_snapshot
    reason = f"step {row.step + 1} of {policy['name']}: {told} channels"
    held = tracing.held_of(rows, wanted=len(policy["steps"][row.step]["channels"]))
    decisions = [Decision("escalate", "due", reason)]
    if held is not None:
        decisions.append(Decision(tracing.STAGES.get(held.why, "tell"), held.why.value, held.text, held.why))
    named = {name: policy.get(name) for name in ("id", "name", "version")}
    why = held.why if held is not None else Why.TOLD
    alert.last_pass = tracing.passed(
        now, why, decisions[-1].reason, rule_version=alert.last_pass.get("rule_version") or 0, policy=named
    )
    ledger.save(alert)
    event(
        alert, kind="escalated", now=now, actor=SYSTEM, reason=reason, ledger=ledger, step=row.step,
        decisions=tracing.gates(decisions), why=why.value, policy=named,
        rule_version=alert.last_pass["rule_version"],
    )  # fmt: skip


def _reason_to_stop(alert: Alert, row: Escalation) -> str:
    if alert.episode != row.episode:
        return "a later episode began"
    if alert.acked_at is not None:
        return f"acknowledged by {alert.acked_by}"
    return "" if alert.state in (AlertState.FIRING, AlertState.UNKNOWN) else f"the alert is {alert.state}"


def _advance(row: Escalation, delays: list[float], ledger: Ledger) -> None:
    ahead = escalation.step_due_at(delays, row.step + 1, row.started_at.timestamp())
    if ahead.index is None:
        ledger.advance(row, step=len(delays), state=EscalationState.DONE.value)
    else:
        ledger.advance(row, step=ahead.index, due_at=clock.at_seconds(ahead.due_at))
