"""One transaction per decision: alert, event, escalation and notifications commit together or not at all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import structlog
from django.db import DataError, IntegrityError, transaction
from django.db.models import Max

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, doorbell, live
from alerts import pipeline
from alerts.engine import escalation
from alerts.engine.episodes import Change, Episode, Seen, Windows
from alerts.engine.fingerprint import fingerprint
from alerts.engine.states import AlertState, EscalationState, NotificationKind
from alerts.models import Alert, AlertEvent, Channel, Escalation, Notification, Policy
from alerts.pipeline import Case, Observation, PolicyFacts, Step
from alerts.services import owed

WINDOWS = Windows()
BATCH = 100
log = structlog.get_logger(__name__)
SYSTEM = Actor(kind="system", label="console")


@dataclass
class Routes:
    """The channels and policies as they were at the first question; one for each transaction."""

    @cached_property
    def channels(self) -> list[Channel]:
        """Return the channels that are on."""
        return list(Channel.objects.filter(enabled=True).order_by("name"))

    @cached_property
    def policies(self) -> list[Policy]:
        """Return the policies that are on, with their steps."""
        rows = Policy.objects.filter(enabled=True).prefetch_related("steps__channels")
        return list(rows.order_by("position", "name"))


def observe(
    observation: Observation,
    *,
    now: datetime,
    actor: Actor = SYSTEM,
    windows: Windows = WINDOWS,
    routes: Routes | None = None,
) -> Change:
    """Apply one observation; the row lock on the alert makes concurrent ones queue."""
    print_of = fingerprint(observation.name, observation.labels)
    with transaction.atomic():
        alert = _locked(print_of, observation, now)
        if alert is None:
            return Change.NONE
        running = alert.state in (AlertState.FIRING, AlertState.UNKNOWN)
        case = Case(
            observation=observation, known=_episode(alert, now), now=now.timestamp(), windows=windows,
            policies=[] if running else policies_for(observation, routes or Routes()),
            last_told_at=_last_told_at(alert, observation),
        )  # fmt: skip
        pipeline.run(case)
        _record(alert, case, now, actor)
    return case.change


def observe_many(observations: Iterable[Observation], *, now: datetime, actor: Actor = SYSTEM) -> int:
    """Apply up to a hundred at a time in one transaction, each in its savepoint; return how many could not be.

    In the order of the fingerprints, so that two batches with the same alerts queue and do not deadlock.
    """
    ordered = sorted(observations, key=lambda seen: fingerprint(seen.name, seen.labels))
    failed = 0
    for start in range(0, len(ordered), BATCH):
        with transaction.atomic():
            routes = Routes()
            failed += sum(not _tried(seen, now, actor, routes) for seen in ordered[start : start + BATCH])
    return failed


def _tried(observation: Observation, now: datetime, actor: Actor, routes: Routes) -> bool:
    try:
        observe(observation, now=now, actor=actor, routes=routes)
    except (DataError, IntegrityError, ValueError, TypeError, LookupError) as error:
        log.warning("alert.refused", alert=observation.name, error=str(error))
        return False
    return True


def _locked(print_of: str, observation: Observation, now: datetime) -> Alert | None:
    rows = Alert.objects.select_for_update().filter(fingerprint=print_of)
    found = rows.first()
    if found is not None or observation.seen not in (Seen.FIRING, Seen.PENDING):
        return found
    fresh = Alert(
        fingerprint=print_of, episode=0, name=observation.name, state=AlertState.RESOLVED.value, resolved_at=now,
        severity=observation.severity, labels=dict(observation.labels), started_at=now, updated_at=now, version=0,
    )  # fmt: skip
    Alert.objects.bulk_create([fresh], ignore_conflicts=True)
    return rows.first()


def _episode(alert: Alert, now: datetime) -> Episode:
    # A ready-made alert that was not sent in time had ended in between, though nobody said so.
    lapsed = alert.ends_at is not None and alert.ends_at < now
    return Episode(
        quiet=alert.quiet and not lapsed, state=AlertState(alert.state), episode=alert.episode,
        repeat_no=alert.repeat_no,
        started_at=alert.started_at.timestamp(),
        resolved_at=alert.resolved_at.timestamp() if alert.resolved_at else None,
        recent_fires=tuple(ms / 1000 for ms in alert.recent_fires_ms),
        flapping_until=alert.flapping_until.timestamp() if alert.flapping_until else None,
    )  # fmt: skip


def _last_told_at(alert: Alert, seen: Observation) -> float | None:
    if not alert.episode or not seen.cooldown_seconds or alert.state in (AlertState.FIRING, AlertState.UNKNOWN):
        return None
    told = (
        Notification.objects.filter(alert=alert, kind="fire").exclude(state="cancelled").aggregate(at=Max("created_at"))
    )
    return told["at"].timestamp() if told["at"] else None


def policies_for(observation: Observation, routes: Routes) -> list[PolicyFacts]:
    """Return the policies in order; a channel-less step of the default one means every channel whose filters fit."""
    if observation.seen is not Seen.FIRING:
        return []
    known = pipeline.facts(observation)
    everyone = [str(c.pk) for c in routes.channels if escalation.matches(c.filters, known)]
    return [_facts(policy, everyone if policy.is_default else []) for policy in routes.policies]


def _facts(policy: Policy, everyone: list[str]) -> PolicyFacts:
    ordered = sorted(policy.steps.all(), key=lambda step: (step.delay_seconds, step.position))
    steps = tuple(
        Step(s.delay_seconds, tuple(str(c.pk) for c in s.channels.all()) or tuple(everyone), tuple(s.recipients))
        for s in ordered
    )
    return PolicyFacts(str(policy.pk), policy.name, policy.version, policy.triggers, steps, policy.is_default)


def _record(alert: Alert, case: Case, now: datetime, actor: Actor) -> None:
    _refresh(alert, case.observation)
    if case.outcome is None or case.change is Change.NONE:
        alert.quiet = case.outcome.after.quiet if case.outcome else alert.quiet
        alert.save()
        return
    _apply(alert, case, now)
    if case.change is Change.DISCARDED and not alert.episode:
        alert.delete()
        return
    alert.save()
    if case.change not in (Change.PENDING, Change.DISCARDED):
        event(alert, kind=str(case.change), now=now, actor=actor, reason=_reason(case), decisions=alert.decisions)
        ring_alert(alert)
    if case.begins:
        _begin(alert, case, now)
    elif case.notify_resolved:
        conclude(alert, now=now)


def _reason(case: Case) -> str:
    return case.observation.reason or (case.outcome.reason if case.outcome else "")


def _refresh(alert: Alert, seen: Observation) -> None:
    """Take over what a running alert may change without a new version: the value, and when it would time out."""
    if seen.seen is not Seen.FIRING:
        return
    alert.value, alert.ends_at = seen.value, seen.ends_at
    alert.annotations = dict(seen.annotations)


def _apply(alert: Alert, case: Case, now: datetime) -> None:
    after, seen = case.outcome.after, case.observation  # type: ignore[union-attr]
    alert.state, alert.episode, alert.repeat_no = after.state.value, after.episode, after.repeat_no
    alert.recent_fires_ms = [round(at * 1000) for at in after.recent_fires]
    alert.flapping_until = clock.at_seconds(after.flapping_until) if after.flapping_until else None
    alert.resolved_at = clock.at_seconds(after.resolved_at) if after.resolved_at is not None else None
    alert.decisions = [{"stage": d.stage, "verdict": d.verdict, "reason": d.reason} for d in case.decisions]
    alert.quiet, alert.version, alert.updated_at = after.quiet, alert.version + 1, now
    if case.begins:
        alert.acked_at, alert.acked_by, alert.ack_reason, alert.resolved_because = None, "", "", ""
        alert.severity, alert.labels, alert.threshold = seen.severity, dict(seen.labels), seen.threshold
        alert.rule_id, alert.source_id, alert.evidence = seen.rule_id, seen.source_id, dict(seen.evidence)
        alert.generator_url, alert.ends_at = seen.generator_url, seen.ends_at
    if case.change is Change.STARTED:
        alert.started_at = now
    if case.change is Change.RESOLVED:
        alert.resolved_because = (seen.reason or "recovered")[:200]


def event(alert: Alert, *, kind: str, now: datetime, actor: Actor, reason: str = "", **data: Any) -> AlertEvent:
    """Append to the story of an alert."""
    return AlertEvent.objects.create(
        alert=alert, episode=alert.episode, at=now, kind=kind, reason=reason, data=data,
        actor_kind=actor.kind, actor=actor.label,
    )  # fmt: skip


def ring_alert(alert: Alert) -> None:
    """Tell open pages that the alert changed."""
    for topic in ("alerts", f"alert:{alert.pk}", "overview"):
        live.ring(topic)


def _begin(alert: Alert, case: Case, now: datetime) -> None:
    if alert.episode > 1 or alert.repeat_no:
        owed.cancel_unsent(alert, because="it fired again before this was sent", now=now, kinds=["resolve"])
    if case.policy is None or case.escalate_from is None:
        return
    started_at = clock.at_seconds(case.escalate_from)
    arm(alert, case.policy, started_at=started_at, told=case.notify_step is not None)
    if case.notify_step is not None:
        tell_step(alert, snapshot(case.policy), step=0, now=now, kind=NotificationKind.FIRE)


def snapshot(policy: PolicyFacts) -> dict[str, Any]:
    """Return a policy as the escalation keeps it."""
    steps = [
        {"delay_seconds": s.delay_seconds, "channels": list(s.channels), "recipients": list(s.recipients)}
        for s in policy.steps
    ]
    return {"id": policy.id, "name": policy.name, "version": policy.version, "steps": steps}


def arm(alert: Alert, policy: PolicyFacts, *, started_at: datetime, told: bool) -> None:
    """Start the policy at step 0, or at step 1 where step 0 is told in the same transaction."""
    delays = [step.delay_seconds for step in policy.steps]
    ahead = escalation.step_due_at(delays, 1 if told else 0, started_at.timestamp())
    over = ahead.index is None
    values = {
        "repeat_no": alert.repeat_no, "policy_snapshot": snapshot(policy), "started_at": started_at,
        "step": len(delays) if ahead.index is None else ahead.index, "due_at": clock.at_seconds(ahead.due_at),
        "state": EscalationState.DONE.value if over else EscalationState.ACTIVE.value,
        "stopped_because": "" if delays else "the policy has no steps",
        "lease_token": None, "attempts": 0, "last_error": "",
    }  # fmt: skip
    Escalation.objects.bulk_create(
        [Escalation(alert=alert, episode=alert.episode, **values)],
        update_conflicts=True, unique_fields=["alert", "episode"], update_fields=list(values),
    )  # fmt: skip


def rearm(alert: Alert, *, now: datetime) -> bool:
    """Begin the episode's policy again at step 0, under new keys; return False where it had none."""
    alert.repeat_no += 1
    again = Escalation.objects.filter(alert=alert, episode=alert.episode).update(
        repeat_no=alert.repeat_no, step=0, started_at=now, due_at=now, state=EscalationState.ACTIVE.value,
        stopped_because="", lease_token=None, attempts=0, last_error="",
    )  # fmt: skip
    if again:
        doorbell.ring("escalate")
    return bool(again)


def tell_step(alert: Alert, policy: dict[str, Any], *, step: int, now: datetime, kind: NotificationKind) -> int:
    """Owe the messages of one step; return how many channels are told."""
    plan = policy["steps"][step]
    channels: Sequence[Channel] = list(Channel.objects.filter(pk__in=plan["channels"], enabled=True))
    owed.owe(
        alert, channels, kind=kind, step=step, now=now,
        policy_version=f"{policy['id']}:{policy['version']}", recipients=plan["recipients"],
    )  # fmt: skip
    return len(channels)


def conclude(alert: Alert, *, now: datetime) -> None:
    """Stop the escalation of an ended episode and owe the news to every channel that was, or may have been, told."""
    because = f"the alert was resolved ({alert.resolved_because}) before this was sent"
    stop_escalation(alert, because="the alert was resolved")
    told = Notification.objects.filter(alert=alert, episode=alert.episode, kind__in=["fire", "repeat"])
    tried = told.filter(attempts__gt=0, channel__isnull=False).values_list("channel_id", flat=True)
    channels = Channel.objects.filter(pk__in=set(tried), enabled=True)
    owed.cancel_unsent(alert, because=because, now=now)
    owed.owe(alert, list(channels), kind=NotificationKind.RESOLVE, step=0, now=now)


def stop_escalation(alert: Alert, *, because: str) -> None:
    """Stop the steps ahead of the running episode."""
    running = Escalation.objects.filter(alert=alert, state=EscalationState.ACTIVE.value)
    running.update(state=EscalationState.STOPPED.value, stopped_because=because[:300], lease_token=None)
