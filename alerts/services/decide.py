"""One transaction per decision: alert, event, escalation and notifications commit together or not at all."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts import pipeline
from alerts.engine import escalation
from alerts.engine.episodes import Change, Episode, Seen, Windows
from alerts.engine.fingerprint import fingerprint
from alerts.engine.reasons import CAUSE_WORDS, Held, ResolvedCause, Why
from alerts.engine.severity import worse
from alerts.engine.states import AlertState, EscalationState, NotificationKind
from alerts.models import Alert, AlertEvent, Escalation, Notification
from alerts.pipeline import Case, Decision, Observation, PolicyFacts
from alerts.services import owed, tracing
from alerts.services.correlate import Correlating
from alerts.services.ledger import TABLES, Ledger
from alerts.services.routes import Routes

SYSTEM = Actor(kind="system", label="console")


def observe(
    observation: Observation,
    *,
    now: datetime,
    actor: Actor = SYSTEM,
    windows: Windows | None = None,
    routes: Routes | None = None,
    ledger: Ledger = TABLES,
) -> Change:
    """Apply one observation; the row lock on the alert makes concurrent ones queue."""
    print_of = fingerprint(observation.name, observation.labels)
    with ledger.together():
        alert = _locked(print_of, observation, now, ledger)
        if alert is None:
            return Change.NONE
        case = case_of(alert, observation, now=now, windows=windows, routes=routes or ledger.routes(), ledger=ledger)
        record(alert, case, now, actor, ledger)
    return case.change


def case_of(
    alert: Alert,
    observation: Observation,
    *,
    now: datetime,
    routes: Routes,
    windows: Windows | None = None,
    ledger: Ledger = TABLES,
    incidents: Correlating | None = None,
) -> Case:
    """Return what the pipeline makes of an observation of an alert that is locked or not stored yet."""
    running = alert.state in (AlertState.FIRING, AlertState.UNKNOWN)
    worsens = running and observation.seen is Seen.FIRING and worse(observation.severity, alert.severity)
    case = Case(
        observation=observation, known=_episode(alert, now), now=now.timestamp(),
        windows=windows or routes.windows,
        policies=[] if running and not worsens else policies_for(observation, routes),
        last_told_at=_last_told_at(alert, observation, ledger),
        acked_by=alert.acked_by if alert.acked_at else "",
        snoozed_until=alert.snoozed_until.timestamp() if alert.snoozed_until else None, snoozed_by=alert.snoozed_by,
        followed=ledger.followed(alert) if worsens else "",
    )  # fmt: skip
    if observation.seen is not Seen.FIRING or (running and not worsens):
        return pipeline.run(case)
    return _correlated(alert, case, now, incidents or ledger.correlating(routes))


def _correlated(alert: Alert, case: Case, now: datetime, incidents: Correlating | None) -> Case:
    """Return the decided case of an alert that may begin, with the incident it joins."""
    case.question = incidents.question(alert, case.observation) if incidents is not None else None
    alert.told_incident = {}
    pipeline.run(case)
    if incidents is not None:
        incidents.took(case, now)
    return case


def _locked(print_of: str, observation: Observation, now: datetime, ledger: Ledger) -> Alert | None:
    found = ledger.alert(print_of)
    if found is not None or observation.seen not in (Seen.FIRING, Seen.PENDING):
        return found
    return ledger.fresh(blank(print_of, observation, now))


def blank(print_of: str, observation: Observation, now: datetime) -> Alert:
    """Return an alert that has never fired."""
    return Alert(
        fingerprint=print_of, episode=0, name=observation.name, state=AlertState.RESOLVED.value, resolved_at=now,
        severity=observation.severity, labels=dict(observation.labels), started_at=now, updated_at=now, version=0,
    )  # fmt: skip


def _episode(alert: Alert, now: datetime) -> Episode:
    # A ready-made alert that was not sent in time had ended in between, though nobody said so.
    lapsed = alert.ends_at is not None and alert.ends_at < now
    return Episode(
        quiet=alert.quiet and not lapsed, state=AlertState(alert.state), episode=alert.episode,
        repeat_no=alert.repeat_no, severity=alert.severity,
        started_at=alert.started_at.timestamp(),
        resolved_at=alert.resolved_at.timestamp() if alert.resolved_at else None,
        recent_fires=tuple(ms / 1000 for ms in alert.recent_fires_ms),
        flapping_since=alert.flapping_since.timestamp() if alert.flapping_since else None,
        flapping_until=alert.flapping_until.timestamp() if alert.flapping_until else None, flaps=alert.flaps,
    )  # fmt: skip


def _last_told_at(alert: Alert, seen: Observation, ledger: Ledger) -> float | None:
    if not alert.episode or not seen.cooldown_seconds or alert.state in (AlertState.FIRING, AlertState.UNKNOWN):
        return None
    return ledger.last_told_at(alert)


def policies_for(observation: Observation, routes: Routes) -> list[PolicyFacts]:
    """Return the policies in order; a channel-less step of the default one means every channel whose filters fit."""
    if observation.seen is not Seen.FIRING:
        return []
    everyone = routes.everyone(pipeline.facts(observation))
    left_out = len(routes.channels) - len(everyone)
    return [_for_everyone(policy, everyone, left_out) if policy.is_default else policy for policy in routes.policies]


def _for_everyone(policy: PolicyFacts, everyone: tuple[str, ...], left_out: int) -> PolicyFacts:
    steps = tuple(replace(step, channels=step.channels or everyone) for step in policy.steps)
    return replace(policy, steps=steps, left_out=left_out)


def record(alert: Alert, case: Case, now: datetime, actor: Actor, ledger: Ledger = TABLES) -> None:
    """Store what the pipeline decided of a stored alert."""
    refresh(alert, case.observation)
    if case.outcome is None or case.change is Change.NONE:
        alert.quiet = case.outcome.after.quiet if case.outcome else alert.quiet
        alert.last_pass = tracing.last_pass(case)
        ledger.save(alert)
        return
    apply(alert, case, now)
    if case.change is Change.DISCARDED and not alert.episode:
        ledger.forget(alert)
        return
    if case.joining is not None:
        ledger.joined([(alert, case)], now)
    _tell(alert, case, now, ledger)
    # Only now is it known how the pass ended.
    trace(alert, case)
    ledger.save(alert)
    if case.change not in (Change.PENDING, Change.DISCARDED):
        ledger.tell(event_of(alert, case, now, actor))
        ledger.changed(alert)


def _tell(alert: Alert, case: Case, now: datetime, ledger: Ledger) -> None:
    if case.counted:
        _count(alert, now, ledger)
    elif case.begins or case.worsened:
        _begin(alert, case, now, ledger)
    elif case.notify_resolved and not conclude(alert, now=now, ledger=ledger):
        case.decisions.append(Decision("tell", "nobody", "nobody had been told of its beginning", Why.UNTOLD))


def _count(alert: Alert, now: datetime, ledger: Ledger) -> None:
    """Tell nobody of a change while it flaps; a message that can be kept up to date says how often it changed."""
    held = Held(Why.FLAPPING, f"it flaps: {alert.flaps} changes are counted, not told")
    if alert.state == AlertState.RESOLVED:
        stop_escalation(alert, because="it flaps: it is told once it has come to rest", ledger=ledger)
        owed.cancel_unsent(alert, held=held, now=now, ledger=ledger)
    fires = "fires" if alert.state == AlertState.FIRING else "does not fire"
    since = f"{alert.flapping_since:%H:%M} UTC" if alert.flapping_since else "lately"
    said = f"Flapping: {alert.flaps} changes since {since} are counted, not told. Now it {fires}."
    owed.tell_update(alert, now=now, said=said, in_place=True, ledger=ledger)


def trace(alert: Alert, case: Case) -> None:
    """Put how the pass went into the alert; the caller saves."""
    alert.decisions, alert.last_pass = tracing.gates(case.decisions), tracing.last_pass(case)


def event_of(alert: Alert, case: Case, now: datetime, actor: Actor) -> AlertEvent:
    """Return the line the change adds to the story of the alert."""
    reason = case.observation.reason or (case.outcome.reason if case.outcome else "")
    if case.worsened:
        reason = ": ".join(filter(None, (reason, alert.annotations.get("summary", ""))))
    return _event(alert, str(case.change), now, actor, reason, tracing.kept(alert))


def refresh(alert: Alert, seen: Observation) -> None:
    """Take over what a running alert may change without a new version: the value, and when it would time out."""
    if seen.seen is not Seen.FIRING:
        return
    alert.value, alert.ends_at = seen.value, seen.ends_at
    alert.annotations = dict(seen.annotations)


def apply(alert: Alert, case: Case, now: datetime) -> None:
    """Put the outcome of a change into the alert; the caller saves."""
    after, seen = case.outcome.after, case.observation  # type: ignore[union-attr]
    alert.state, alert.episode, alert.repeat_no = after.state.value, after.episode, after.repeat_no
    alert.recent_fires_ms = [round(at * 1000) for at in after.recent_fires]
    alert.flapping_since, alert.flapping_until = _moment(after.flapping_since), _moment(after.flapping_until)
    alert.flaps, alert.resolved_at = after.flaps, _moment(after.resolved_at)
    alert.quiet, alert.version, alert.updated_at = after.quiet, alert.version + 1, now
    if case.begins:
        _begins(alert, case, now)
    if case.change is Change.STARTED:
        alert.started_at = now
    if case.worsened:
        alert.severity, alert.threshold = after.severity, seen.threshold
        alert.evidence = dict(seen.evidence) or alert.evidence
        # Another policy begins: its messages get keys of their own.
        alert.repeat_no += case.policy is not None
    if case.gives_back:
        free(alert)
    alert.stale_since = now if case.change is Change.BECAME_UNKNOWN else None
    if case.change is Change.RESOLVED:
        alert.resolved_cause = (seen.cause or ResolvedCause.RECOVERED).value
        alert.resolved_because = (seen.reason or CAUSE_WORDS[alert.resolved_cause])[:200]
    wake(alert)
    trace(alert, case)


def _moment(at: float | None) -> datetime | None:
    return clock.at_seconds(at) if at is not None else None


def _begins(alert: Alert, case: Case, now: datetime) -> None:
    seen = case.observation
    if not case.counted:
        # A new fire is nobody's yet; while it flaps, whoever has it keeps it. A snooze lasts until its end.
        alert.fired_at, alert.acked_at, alert.acked_by, alert.ack_reason, alert.ack_until = now, None, "", "", None
    alert.resolved_because, alert.resolved_cause = "", ""
    alert.severity, alert.labels, alert.threshold = seen.severity, dict(seen.labels), seen.threshold
    alert.rule_id, alert.source_id, alert.evidence = seen.rule_id, seen.source_id, dict(seen.evidence)
    alert.generator_url, alert.ends_at = seen.generator_url, seen.ends_at
    if not case.counted:
        alert.context, alert.context_at = {}, None


def free(alert: Alert) -> None:
    """Take an alert from whoever acknowledged or snoozed it; the caller saves."""
    alert.acked_at, alert.acked_by, alert.ack_reason, alert.ack_until = None, "", "", None
    alert.snoozed_until, alert.snoozed_by = None, ""


def wake(alert: Alert) -> None:
    """Note when the console has to look at the alert by itself; the caller saves."""
    is_open = alert.state in (AlertState.FIRING, AlertState.UNKNOWN)
    ends = [alert.snoozed_until, alert.flapping_until, alert.ack_until if is_open and alert.acked_at else None]
    alert.wake_at = min((at for at in ends if at is not None), default=None)


def event(
    alert: Alert,
    *,
    kind: str,
    now: datetime,
    actor: Actor,
    reason: str = "",
    ledger: Ledger = TABLES,
    **data: Any,
) -> AlertEvent:
    """Append to the story of an alert."""
    row = _event(alert, kind, now, actor, reason, data)
    ledger.tell(row)
    return row


def _event(alert: Alert, kind: str, now: datetime, actor: Actor, reason: str, data: dict[str, Any]) -> AlertEvent:
    return AlertEvent(
        alert=alert, episode=alert.episode, at=now, kind=kind, reason=reason, data=data,
        actor_kind=actor.kind, actor=actor.label,
    )  # fmt: skip


def ring_alert(alert: Alert) -> None:
    """Tell open pages that the alert changed."""
    TABLES.changed(alert)


def _begin(alert: Alert, case: Case, now: datetime, ledger: Ledger) -> None:
    if case.begins and (alert.episode > 1 or alert.repeat_no):
        held = Held(Why.FIRES_AGAIN, "it fired again before this was sent")
        owed.cancel_unsent(alert, held=held, now=now, kinds=["resolve"], ledger=ledger)
    if case.policy is None or case.escalate_from is None:
        return
    started_at = clock.at_seconds(case.escalate_from)
    ledger.arm(escalation_of(alert, case.policy, started_at=started_at, told=case.notify_step is not None))
    if case.notify_step is not None:
        rows = tell_step(alert, snapshot(case.policy), step=0, now=now, kind=NotificationKind.FIRE, ledger=ledger)
        withheld(case, rows)


def withheld(case: Case, rows: Sequence[Notification]) -> bool:
    """Add to the trace why nobody is told of a step that is due; return whether it had to be."""
    if case.notify_step is None or case.policy is None:
        return False
    held = tracing.held_of(rows, wanted=len(case.policy.steps[case.notify_step].channels))
    if held is not None and case.why is Why.TOLD:
        case.decisions.append(Decision(tracing.STAGES.get(held.why, "tell"), held.why.value, held.text, held.why))
    return held is not None


def snapshot(policy: PolicyFacts) -> dict[str, Any]:
    """Return a policy as the escalation keeps it."""
    steps = [
        {"delay_seconds": s.delay_seconds, "channels": list(s.channels), "recipients": list(s.recipients)}
        for s in policy.steps
    ]
    return {"id": policy.id, "name": policy.name, "version": policy.version, "steps": steps}


def escalation_of(alert: Alert, policy: PolicyFacts, *, started_at: datetime, told: bool) -> Escalation:
    """Return the policy at step 0, or at step 1 where step 0 is told in the same transaction."""
    delays = [step.delay_seconds for step in policy.steps]
    ahead = escalation.step_due_at(delays, 1 if told else 0, started_at.timestamp())
    over = ahead.index is None
    return Escalation(
        alert=alert, episode=alert.episode,
        repeat_no=alert.repeat_no, policy_snapshot=snapshot(policy), started_at=started_at,
        step=len(delays) if ahead.index is None else ahead.index, due_at=clock.at_seconds(ahead.due_at),
        state=EscalationState.DONE.value if over else EscalationState.ACTIVE.value,
        stopped_because="" if delays else "the policy has no steps",
        lease_token=None, attempts=0, last_error="",
    )  # fmt: skip


def rearm(alert: Alert, *, now: datetime, ledger: Ledger = TABLES) -> bool:
    """Begin the episode's policy again at step 0, under new keys; return False where it had none."""
    alert.repeat_no += 1
    return ledger.rearm(
        alert, repeat_no=alert.repeat_no, step=0, started_at=now, due_at=now, state=EscalationState.ACTIVE.value,
        stopped_because="", lease_token=None, attempts=0, last_error="",
    )  # fmt: skip


def tell_step(
    alert: Alert,
    policy: dict[str, Any],
    *,
    step: int,
    now: datetime,
    kind: NotificationKind,
    ledger: Ledger = TABLES,
) -> list[Notification]:
    """Owe the messages of one step; return them, with those that are not sent."""
    plan = policy["steps"][step]
    channels = ledger.channels(plan["channels"])
    return owed.owe(
        alert, channels, kind=kind, step=step, now=now,
        policy_version=f"{policy['id']}:{policy['version']}", recipients=plan["recipients"], ledger=ledger,
    )  # fmt: skip


def conclude(alert: Alert, *, now: datetime, ledger: Ledger = TABLES) -> int:
    """Stop the escalation of an ended episode and owe the news to every channel that was, or may have been, told.

    Return to how many.
    """
    held = Held(Why.RESOLVED, f"the alert was resolved ({alert.resolved_because}) before this was sent")
    stop_escalation(alert, because="the alert was resolved", ledger=ledger)
    channels = ledger.told(alert)
    owed.cancel_unsent(alert, held=held, now=now, ledger=ledger)
    return len(owed.owe(alert, channels, kind=NotificationKind.RESOLVE, step=0, now=now, ledger=ledger))


def stop_escalation(alert: Alert, *, because: str, ledger: Ledger = TABLES) -> None:
    """Stop the steps ahead of the running episode."""
    ledger.stop(alert, because)
