"""What people do to an alert. Each takes the version the person saw and refuses when the alert has moved on."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from aivillage_console.accounts.services import Actor
from alerts.engine.reasons import Held, ResolvedCause, Why
from alerts.engine.states import AlertState
from alerts.models import Alert
from alerts.services import owed, tracing
from alerts.services.decide import conclude, event, free, rearm, stop_escalation, wake
from alerts.services.ledger import TABLES, Desk

# What is done to a locked alert; returns whether somebody is told, or why not, where that is a question.
Change = Callable[[Alert], Why | None]
# The farthest an acknowledgement or a snooze reaches.
LONGEST = timedelta(days=30)


class StaleVersion(Exception):
    """Somebody or something changed the alert meanwhile; `alert` is how it stands now."""

    def __init__(self, alert: Alert) -> None:
        """Keep the fresh alert for the door to show."""
        super().__init__(f"#{alert.pk} is at version {alert.version}")
        self.alert = alert


class NotPossible(ValueError):
    """The action makes no sense in the alert's present state."""


def _seen_by(alert: Alert) -> dict[str, Any]:
    return {
        "state": alert.state, "acked_by": alert.acked_by, "version": alert.version,
        "assignee": str(alert.assignee_id or ""),
        "snoozed_until": alert.snoozed_until.isoformat() if alert.snoozed_until else "",
    }  # fmt: skip


def _act(
    alert_id: int, version: int, actor: Actor, kind: str, reason: str, now: datetime, change: Change, ledger: Desk
) -> Alert:
    # The alert's row lock is the one escalation takes too: no page can be created once this has committed.
    with ledger.together():
        alert = ledger.held(alert_id)
        if alert.version != version:
            raise StaleVersion(alert)
        before = _seen_by(alert)
        why = change(alert)
        alert.version, alert.updated_at = alert.version + 1, now
        wake(alert)
        origin: dict[str, Any] = {"via": actor.via} if actor.via else {}
        traced = _traced(alert, kind, why, actor, now) if why is not None else {}
        ledger.save(alert)
        event(alert, kind=kind, now=now, actor=actor, reason=reason, ledger=ledger, **origin, **traced)
        after = {**_seen_by(alert), "reason": reason, **origin}
        ledger.audited(actor, f"alert.{kind}", alert, before=before, after=after, now=now)
        ledger.changed(alert)
    return alert


def _traced(alert: Alert, kind: str, why: Why, actor: Actor, now: datetime) -> dict[str, Any]:
    """Put into the alert, and return for its story, how what a person did ended."""
    gate = {"stage": "by hand", "verdict": kind, "reason": f"{actor.label} did it"}
    alert.last_pass = tracing.passed(
        now, why, f"{kind} by {actor.label}", rule_version=alert.last_pass.get("rule_version") or 0,
        policy=alert.last_pass.get("policy"),
    )  # fmt: skip
    return {**tracing.kept(alert), "decisions": [gate]}


def _ahead(until: datetime, now: datetime) -> datetime:
    if not now < until <= now + LONGEST:
        raise NotPossible(
            f"This ends between now and {LONGEST.days} days from now; {until:%Y-%m-%d %H:%M} UTC does not."
        )
    return until


def alert_acknowledge(
    *,
    alert_id: int,
    version: int,
    actor: Actor,
    reason: str = "",
    until: datetime | None = None,
    now: datetime,
    ledger: Desk = TABLES,
) -> Alert:
    """Take an alert on: its escalation stops and what was not sent yet is cancelled.

    It ends by itself when the alert gets worse, when another alert of its group fires, and at `until`, which is the
    reminder that is usual here unless it is given.
    """

    def change(alert: Alert) -> Why | None:
        if alert.state == AlertState.RESOLVED:
            raise NotPossible("The alert is resolved; there is nothing to acknowledge.")
        usual = settings.CONFIG.ack_reminder_seconds
        ends_at = _ahead(until, now) if until is not None else now + timedelta(seconds=usual) if usual else None
        free(alert)
        alert.ack_until = ends_at
        alert.acked_at, alert.acked_by, alert.ack_reason = now, actor.label, reason
        because = f"acknowledged by {actor.label}"
        stop_escalation(alert, because=because, ledger=ledger)
        owed.cancel_unsent(
            alert, held=Held(Why.ACKNOWLEDGED, f"{because} before this was sent"), now=now, ledger=ledger
        )
        owed.tell_update(alert, now=now, but_not=actor.kind, ledger=ledger)
        return Why.ACKNOWLEDGED

    return _act(alert_id, version, actor, "acknowledged", reason, now, change, ledger)


def alert_snooze(
    *,
    alert_id: int,
    version: int,
    actor: Actor,
    until: datetime,
    reason: str = "",
    now: datetime,
    ledger: Desk = TABLES,
) -> Alert:
    """Hear of an alert later: nobody is told before `until`, and then it is told again if it still fires."""

    def change(alert: Alert) -> Why | None:
        if alert.state not in (AlertState.FIRING, AlertState.UNKNOWN):
            raise NotPossible(f"The alert is {alert.state}; only one that fires can be snoozed.")
        ends_at = _ahead(until, now)
        free(alert)
        alert.snoozed_until, alert.snoozed_by = ends_at, actor.label
        held = Held(Why.SNOOZED, f"snoozed by {actor.label} before this was sent")
        owed.cancel_unsent(alert, held=held, now=now, ledger=ledger)
        # The policy itself is the alarm clock: it survives every process, and rings once.
        rearm(alert, now=until, ledger=ledger)
        owed.tell_update(
            alert, now=now, but_not=actor.kind, said=f"Snoozed by {actor.label} until {until:%H:%M} UTC", ledger=ledger
        )
        return Why.SNOOZED

    return _act(alert_id, version, actor, "snoozed", reason, now, change, ledger)


def alert_unsnooze(
    *, alert_id: int, version: int, actor: Actor, reason: str = "", now: datetime, ledger: Desk = TABLES
) -> Alert:
    """End a snooze before its time; the alert's policy begins again at the first step."""

    def change(alert: Alert) -> Why | None:
        if alert.snoozed_until is None:
            raise NotPossible("The alert is not snoozed.")
        free(alert)
        if alert.state not in (AlertState.FIRING, AlertState.UNKNOWN):
            return Why.NOT_FIRING
        return Why.TOLD if rearm(alert, now=now, ledger=ledger) else Why.NO_POLICY

    return _act(alert_id, version, actor, "unsnoozed", reason, now, change, ledger)


def alert_unacknowledge(
    *, alert_id: int, version: int, actor: Actor, reason: str = "", now: datetime, ledger: Desk = TABLES
) -> Alert:
    """Give an alert back; its policy begins again at the first step."""

    def change(alert: Alert) -> Why | None:
        if alert.acked_at is None:
            raise NotPossible("The alert is not acknowledged.")
        free(alert)
        # Begun again, its policy tells whoever it told before; that is the word that it was given back.
        running = alert.state in (AlertState.FIRING, AlertState.UNKNOWN)
        if not running:
            return Why.NOT_FIRING
        if rearm(alert, now=now, ledger=ledger):
            return Why.TOLD
        owed.tell_update(alert, now=now, but_not=actor.kind, ledger=ledger)
        return Why.NO_POLICY

    return _act(alert_id, version, actor, "unacknowledged", reason, now, change, ledger)


def _at_rest(alert: Alert) -> None:
    alert.flapping_since, alert.flapping_until, alert.flaps = None, None, 0


def alert_resolve(
    *, alert_id: int, version: int, actor: Actor, reason: str = "", now: datetime, ledger: Desk = TABLES
) -> Alert:
    """End the episode by hand; while its condition still holds it stays silent, and says so in its decisions."""

    def change(alert: Alert) -> Why | None:
        if alert.state == AlertState.RESOLVED:
            raise NotPossible("The alert is resolved already.")
        alert.state, alert.resolved_at = AlertState.RESOLVED.value, now
        alert.resolved_because = (reason or f"resolved by {actor.label}")[:200]
        alert.resolved_cause, alert.quiet, alert.stale_since = ResolvedCause.MANUAL.value, True, None
        alert.snoozed_until, alert.snoozed_by = None, ""
        _at_rest(alert)
        because = f"{actor.label} resolved it: it does not fire again before its condition has ended once"
        alert.decisions = [*alert.decisions, {"stage": "deduplicate", "verdict": "quiet", "reason": because}]
        return Why.TOLD if conclude(alert, now=now, ledger=ledger) else Why.UNTOLD

    return _act(alert_id, version, actor, "resolved", reason, now, change, ledger)


def alert_reopen(
    *, alert_id: int, version: int, actor: Actor, reason: str = "", now: datetime, ledger: Desk = TABLES
) -> Alert:
    """Take a resolution back; its policy begins again at the first step."""

    def change(alert: Alert) -> Why | None:
        if alert.state != AlertState.RESOLVED:
            raise NotPossible("The alert is not resolved.")
        alert.state, alert.resolved_at, alert.resolved_because = AlertState.FIRING.value, None, ""
        alert.quiet, alert.resolved_cause, alert.fired_at = False, "", now
        free(alert)
        _at_rest(alert)
        held = Held(Why.FIRES_AGAIN, "it was reopened before this was sent")
        owed.cancel_unsent(alert, held=held, now=now, kinds=["resolve"], ledger=ledger)
        return Why.TOLD if rearm(alert, now=now, ledger=ledger) else Why.NO_POLICY

    return _act(alert_id, version, actor, "reopened", reason, now, change, ledger)


def alert_assign(
    *,
    alert_id: int,
    version: int,
    actor: Actor,
    assignee_id: Any,
    reason: str = "",
    now: datetime,
    ledger: Desk = TABLES,
) -> Alert:
    """Give the alert to a person, or to nobody (None)."""

    def change(alert: Alert) -> Why | None:
        alert.assignee_id = assignee_id
        return None

    return _act(alert_id, version, actor, "assigned", reason, now, change, ledger)


def alert_note(
    *, alert_id: int, version: int, actor: Actor, reason: str, now: datetime, ledger: Desk = TABLES
) -> Alert:
    """Write a note into the alert's story."""
    if not reason.strip():
        raise NotPossible("A note needs some text.")
    return _act(alert_id, version, actor, "note", reason, now, lambda _: None, ledger)


def alert_thumb(
    *, alert_id: int, version: int, actor: Actor, useful: bool, reason: str = "", now: datetime, ledger: Desk = TABLES
) -> Alert:
    """Say whether it was right to be told of this alert; what is suggested about its rule goes by it."""
    kind = "thumb_up" if useful else "thumb_down"
    return _act(alert_id, version, actor, kind, reason, now, lambda _: None, ledger)
