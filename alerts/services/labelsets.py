"""Carries the label sets of a rule through their state machine, one transaction a label set."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from aivillage_console.lib import clock
from alerts.engine import rules as engine
from alerts.engine.episodes import Change, Seen
from alerts.engine.reasons import ResolvedCause
from alerts.engine.severity import worse
from alerts.engine.states import AlertState, RuleStateName
from alerts.models import Alert, Rule, RuleState
from alerts.pipeline import Observation
from alerts.rules.texts import annotations_of
from alerts.services.decide import SYSTEM, event, observe
from alerts.services.held import NO_DATA, Answer, Held, Presence
from alerts.services.ledger import TABLES, Ledger

log = structlog.get_logger(__name__)
# What a rule may say of label sets without data, so that they stay as they are.
STAYS = ("keep", "alert")
TAKEN_FOR_OK = "its data stopped coming, which its rule takes for an end"
# What a bad rule or a bad sample can raise; a lost database is not among them and ends the round.
RULE_ERRORS = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError, ImportError)


@dataclass(frozen=True, slots=True)
class Tick:
    """One rule, asked at one time, and its answer; `settled` are label sets that hold and of which nothing is new."""

    rule: Rule
    at: datetime
    answer: Answer
    ledger: Ledger = TABLES
    settled: Container[str] = ()

    def observed(
        self, state: RuleState, seen: Seen, held: Held | None = None, *, show: bool = False, reason: str = ""
    ) -> Observation:
        """Return what was seen of one label set."""
        shown = self.answer.evidence(held) if show and held is not None and self.ledger.shows else {}
        return observed(
            self.rule, state, seen, held, at=self.at, evidence=shown, reason=reason, threshold=self.answer.threshold
        )  # fmt: skip


def observed(
    rule: Rule,
    state: RuleState,
    seen: Seen,
    held: Held | None = None,
    *,
    at: datetime,
    evidence: Mapping[str, object] | None = None,
    reason: str = "",
    threshold: float | None = None,
) -> Observation:
    """Return an observation of a label set; what the row says comes before what its rule says."""
    severity = held.severity if held else rule.severity
    # Templates see the labels as the query found them; what the rule adds is there where the query has nothing.
    labels = {**state.labels, **(held.found if held else {})}
    annotations = annotations_of(rule, labels, state.last_value, severity, at)
    return Observation(
        name=rule.alertname, labels=state.labels, seen=seen, severity=severity, value=state.last_value,
        annotations={**annotations, **(held.annotations if held else {})},
        threshold=held.threshold if held and held.threshold is not None else threshold,
        evidence=evidence or {}, rule_id=rule.pk, rule_version=rule.version,
        cooldown_seconds=rule.cooldown_seconds, reason=reason,
    )  # fmt: skip


def apply(tick: Tick, *, silent_since: datetime) -> int:
    """Apply an answer; return of how many alerts the data has been missing since that time."""
    states = {state.fingerprint: state for state in tick.ledger.states(tick.rule)}
    holding = {held.fingerprint: held for held in tick.answer.held}
    _in_batches(tick.ledger, [
        partial(_holds, tick, states.get(key) or _fresh(tick.rule, holding[key]), holding[key])
        for key in sorted(holding)
    ])  # fmt: skip
    gone = [states[key] for key in sorted(states) if key not in holding and key not in tick.settled]
    return _ended(tick, gone, silent_since) if gone else 0


def _fresh(rule: Rule, held: Held) -> RuleState:
    return RuleState(rule=rule, fingerprint=held.fingerprint, labels=dict(held.labels))


def _in_batches(ledger: Ledger, decisions: Sequence[Callable[[], object]]) -> None:
    """Commit a batch of decisions together, each in its savepoint; one that cannot be made sinks no other."""
    failures: list[Exception] = []
    size = ledger.routes().batch_size if len(decisions) > 1 else 1
    for start in range(0, len(decisions), size):
        with ledger.together():
            for decide in decisions[start : start + size]:
                try:
                    with ledger.together():
                        decide()
                except (*RULE_ERRORS, DataError, IntegrityError) as error:
                    log.warning("rule.decision", error=str(error))
                    failures.append(error)
    if failures:
        raise RuntimeError(f"{len(failures)} label sets could not be decided; the first: {failures[0]}")


def _standing(state: RuleState) -> engine.Standing:
    return engine.Standing(
        RuleStateName(state.state or "inactive"),
        *(
            at.timestamp() if at else None
            for at in (state.active_at, state.fired_at, state.last_true_at, state.kept_since_at)
        ),
    )


def _timers(rule: Rule) -> engine.Timers:
    return engine.Timers(rule.for_seconds, rule.keep_firing_for_seconds)


def _keep(state: RuleState, after: engine.Standing, at: datetime, ledger: Ledger) -> None:
    if after.state is RuleStateName.INACTIVE:
        ledger.drop_state(state)
        return
    moments = [
        clock.at_seconds(t) if t is not None else None
        for t in (after.active_at, after.fired_at, after.last_true_at, after.kept_since)
    ]
    state.active_at, state.fired_at, state.last_true_at, state.kept_since_at = moments
    state.state, state.last_evaluated_at = after.state.value, at
    ledger.keep_state(state)


def _holds(tick: Tick, state: RuleState, held: Held) -> None:
    before, was = _standing(state), state.severity
    after = engine.seen_true(before, tick.at.timestamp(), _timers(tick.rule))
    state.last_value, state.rule_version, state.severity = held.value, tick.rule.version, held.severity
    _keep(state, after, tick.at, tick.ledger)
    seen = Seen.FIRING if after.fires else Seen.PENDING
    begins = after.fires and not before.fires
    shown = begins or tick.answer.shows_at_once or worse(held.severity, was)
    change = observe(tick.observed(state, seen, held, show=shown, reason=held.reason), now=tick.at, ledger=tick.ledger)
    if tick.answer.graded and change is Change.NONE and before.fires and was not in ("", held.severity):
        _graded(tick, state, was)


def _graded(tick: Tick, state: RuleState, was: str) -> None:
    """Say in the story of an alert that it is at another level, though that is no news to those who were told."""
    alert = tick.ledger.alert(state.fingerprint)
    if alert is None:
        return
    rose = worse(state.severity, was)
    said = f"from {was} to {state.severity}, the value is {state.last_value:g}"
    reason = said if rose else f"{said}; the alert stays {alert.severity}, the worst it was"
    event(alert, kind="rose" if rose else "eased", now=tick.at, actor=SYSTEM, reason=reason, ledger=tick.ledger)
    tick.ledger.changed(alert)


def _ended(tick: Tick, gone: list[RuleState], silent_since: datetime) -> int:
    asked = tick.answer.no_data in STAYS or any(state.fired_at for state in gone)
    presence = tick.answer.presence() if asked else None
    _in_batches(tick.ledger, [partial(_end, tick, state, presence) for state in gone])
    still = [state for state in gone if state.pk and state.state == RuleStateName.UNKNOWN]
    return sum(state.last_true_at is not None and state.last_true_at <= silent_since for state in still)


def _end(tick: Tick, state: RuleState, presence: Presence | None) -> None:
    if state.rule_version not in (0, tick.rule.version):
        because = f"the rule was edited: version {tick.rule.version} does not hold for it"
        over(tick.rule, state, tick.at, because, ResolvedCause.RULE_EDITED, ledger=tick.ledger)
        return
    before = _standing(state)
    without_data = presence is not None and not presence.tells(state.fingerprint)
    if without_data and tick.answer.no_data in STAYS:
        _stays(tick, state)
        return
    if without_data and before.fires and tick.answer.no_data != "ok":
        lose(tick.rule, state, tick.at, NO_DATA, threshold=tick.answer.threshold, ledger=tick.ledger)
        return
    after = engine.seen_false(before, tick.at.timestamp(), _timers(tick.rule))
    _keep(state, after, tick.at, tick.ledger)
    if after.state is RuleStateName.INACTIVE:
        reason = presence.cause_of(state.labels) if before.fires and presence is not None else ""
        seen = tick.observed(state, Seen.CLEAR, reason=TAKEN_FOR_OK if without_data and before.fires else reason)
        seen = replace(seen, cause=ResolvedCause.VANISHED) if without_data else seen
        observe(seen, now=tick.at, ledger=tick.ledger)


def _stays(tick: Tick, state: RuleState) -> None:
    """Leave a label set without data as it stands, until it is given up."""
    before = _standing(state)
    if _silent_seconds(before, tick.at) >= settings.CONFIG.unknown_expires_seconds:
        lose(tick.rule, state, tick.at, NO_DATA, threshold=tick.answer.threshold, ledger=tick.ledger)
        return
    if before.state is RuleStateName.UNKNOWN:
        # The rule could not be evaluated in between; now it can, and says that it stays.
        _keep(state, engine.known_again(before), tick.at, tick.ledger)
        if before.fires:
            observe(tick.observed(state, Seen.FIRING, reason=NO_DATA), now=tick.at, ledger=tick.ledger)


def _silent_seconds(before: engine.Standing, at: datetime) -> float:
    return at.timestamp() - (before.last_true_at or at.timestamp())


def lose(
    rule: Rule,
    state: RuleState,
    at: datetime,
    reason: str,
    *,
    threshold: float | None = None,
    ledger: Ledger = TABLES,
) -> None:
    """Call a label set unknown, and give it up once it has been so for too long."""
    before = _standing(state)
    if _silent_seconds(before, at) >= settings.CONFIG.unknown_expires_seconds:
        _keep(state, engine.Standing(), at, ledger)
        expired = observed(rule, state, Seen.CLEAR, at=at, reason="expired", threshold=threshold)
        observe(replace(expired, cause=ResolvedCause.EXPIRED), now=at, ledger=ledger)
        return
    _keep(state, engine.not_seen(before), at, ledger)
    if before.fires:
        unknown = observed(rule, state, Seen.UNKNOWN, at=at, reason=reason, threshold=threshold)
        observe(unknown, now=at, ledger=ledger)


def retire(rule: Rule, at: datetime, because: str = "its rule was switched off") -> None:
    """End what a rule has open once it is switched off."""
    for state in rule.states.all():
        with transaction.atomic():
            over(rule, state, at, because, ResolvedCause.RULE_OFF)


def end_all(rule: Rule, at: datetime, because: str) -> None:
    """End every alert of a rule that is switched off or goes, also those that say that it could not be evaluated."""
    retire(rule, at, because)
    for alert in Alert.objects.filter(rule=rule).exclude(state=AlertState.RESOLVED.value).order_by("fingerprint"):
        ended = Observation(
            name=alert.name, labels=alert.labels, seen=Seen.CLEAR, severity=alert.severity, rule_id=rule.pk,
            rule_version=rule.version, reason=because, cause=ResolvedCause.RULE_OFF,
        )  # fmt: skip
        observe(ended, now=at)


def over(
    rule: Rule, state: RuleState, at: datetime, because: str, cause: ResolvedCause, *, ledger: Ledger = TABLES
) -> None:
    """End a label set by what was done to its rule, whatever the rule calls its alerts now."""
    alert = ledger.alert(state.fingerprint)
    ended = observed(rule, state, Seen.CLEAR, at=at, reason=because)
    name = alert.name if alert is not None else ended.name
    ledger.drop_state(state)
    observe(replace(ended, name=name, cause=cause), now=at, ledger=ledger)
