"""Evaluates rule groups on their grid: lease a group, its rules in order, one transaction a label set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import structlog
from django.db import transaction

from aivillage_console.lib import clock, outbox
from aivillage_console.lib.templating import Values, render
from alerts.engine import rules as engine
from alerts.engine.episodes import Seen
from alerts.engine.fingerprint import fingerprint
from alerts.engine.states import RuleStateName, Severity
from alerts.engine.threshold import Compiled
from alerts.measures import EVALUATION_LAG, EVALUATION_SECONDS, EVALUATIONS, WORK
from alerts.models import Rule, RuleGroup, RuleState
from alerts.models.rules import RuleHealth
from alerts.pipeline import Observation
from alerts.rules import asking
from alerts.rules.queries import compiled
from alerts.services.decide import observe

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)
FAILURES_BEFORE_ALERT = 2
# What a bad rule or a bad sample can raise; a lost database is not among them and ends the round.
RULE_ERRORS = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError, ImportError)


@dataclass(frozen=True, slots=True)
class Tick:
    """One rule at one grid time."""

    rule: Rule
    query: Compiled
    at: datetime

    @property
    def at_ms(self) -> int:
        """Return the grid time as queries count."""
        return round(self.at.timestamp() * 1000)


def evaluate_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Evaluate due groups for at most so many seconds; return whether groups may remain."""
    ends_at = monotonic() + deadline_seconds
    while monotonic() < ends_at:
        now = read_clock()
        groups = outbox.claim(RuleGroup.objects.filter(enabled=True), now=now)
        if not groups:
            return False
        _evaluate_group(groups[0], now, read_clock)
        WORK.labels(kind="evaluate", hand=hand).inc()
    return True


def _evaluate_group(group: RuleGroup, now: datetime, read_clock: Clock) -> None:
    began = monotonic()
    last = group.last_evaluated_at.timestamp() if group.last_evaluated_at else None
    ticks = engine.ticks_due(last, now.timestamp(), group.interval_seconds)
    for tick in ticks.evaluate:
        at = clock.at_seconds(tick)
        EVALUATION_LAG.labels(group=group.name).observe(max(0.0, now.timestamp() - tick))
        for rule in group.rules.order_by("position", "name"):
            if not outbox.renew(group, now=read_clock()):
                return  # Slept through the lease; whoever holds it now does the rest.
            _evaluate_rule(rule, at, group.name)
        group.last_evaluated_at = at
    outbox.finish(
        group, last_evaluated_at=group.last_evaluated_at, missed=group.missed + ticks.missed,
        due_at=clock.at_seconds(ticks.next_at),
    )  # fmt: skip
    EVALUATION_SECONDS.labels(group=group.name).observe(monotonic() - began)


def _evaluate_rule(rule: Rule, at: datetime, group_name: str) -> None:
    if not rule.enabled:
        _retire(rule, at)
        return
    try:
        with transaction.atomic():
            tick = Tick(rule, compiled(rule), at)
            rows = asking.instant(tick.query.query, tick.at_ms)
        _apply(tick, rows)
    except RULE_ERRORS as error:
        log.warning("rule.unknown", rule=rule.name, error=str(error))
        _unknown(rule, at, f"{type(error).__name__}: {error}")
        EVALUATIONS.labels(group=group_name, result="error").inc()
        return
    if rule.failed_evaluations >= FAILURES_BEFORE_ALERT:
        observe(_not_evaluated(rule, Seen.CLEAR), now=at)
    Rule.objects.filter(pk=rule.pk).update(
        health=RuleHealth.OK.value, last_evaluated_at=at, last_error="", failed_evaluations=0
    )
    EVALUATIONS.labels(group=group_name, result="ok").inc()


def _apply(tick: Tick, rows: list[asking.Row]) -> None:
    rule = tick.rule
    states = {state.fingerprint: state for state in rule.states.all()}
    seen: set[str] = set()
    for row in rows:
        labels = {**row.labels, **rule.labels, "severity": rule.severity}
        print_of = fingerprint(rule.name, labels)
        seen.add(print_of)
        state = states.get(print_of) or RuleState(rule=rule, fingerprint=print_of, labels=labels)
        _holds(tick, state, row)
    gone = [state for print_of, state in states.items() if print_of not in seen]
    if gone:
        _ended(tick, gone)


def _standing(state: RuleState) -> engine.Standing:
    return engine.Standing(
        RuleStateName(state.state or "inactive"),
        *(at.timestamp() if at else None for at in (state.active_at, state.fired_at, state.last_true_at)),
    )


def _timers(rule: Rule) -> engine.Timers:
    return engine.Timers(rule.for_seconds, rule.keep_firing_for_seconds)


def _keep(state: RuleState, after: engine.Standing, at: datetime) -> None:
    if after.state is RuleStateName.INACTIVE:
        if state.pk:
            state.delete()
        return
    moments = [
        clock.at_seconds(t) if t is not None else None for t in (after.active_at, after.fired_at, after.last_true_at)
    ]
    state.active_at, state.fired_at, state.last_true_at = moments
    state.state, state.last_evaluated_at = after.state.value, at
    state.save()


def _holds(tick: Tick, state: RuleState, row: asking.Row) -> None:
    before = _standing(state)
    after = engine.seen_true(before, tick.at.timestamp(), _timers(tick.rule))
    state.last_value = row.value
    evidence = _evidence(tick, row) if after.fires and not before.fires else {}
    with transaction.atomic():
        _keep(state, after, tick.at)
        seen = Seen.FIRING if after.fires else Seen.PENDING
        observe(_observation(tick.rule, state, seen, tick.query, evidence), now=tick.at)


def _evidence(tick: Tick, row: asking.Row) -> dict[str, object]:
    query, rule = tick.query, tick.rule
    window_seconds = max(rule.window_seconds, rule.for_seconds * 2, 600)
    left = query.expression or query.query
    columns = asking.history(left, end_ms=tick.at_ms, window_seconds=window_seconds, labels=row.labels)
    return {
        "query": query.query, "expression": query.expression, "operator": query.operator,
        "threshold": query.threshold if query.operator else None, "window_seconds": window_seconds,
        "evaluated_at": tick.at.isoformat(), "series_labels": dict(row.labels), **columns,
    }  # fmt: skip


def _observation(
    rule: Rule, state: RuleState, seen: Seen, query: Compiled | None, evidence: Mapping[str, object], reason: str = ""
) -> Observation:
    texts = {"description": rule.description, **rule.annotations}
    known = Values(state.labels, state.last_value, {"rule": rule.name, "severity": rule.severity})
    return Observation(
        name=rule.name, labels=state.labels, seen=seen, severity=rule.severity, value=state.last_value,
        annotations={key: render(text, known) for key, text in texts.items() if text},
        threshold=query.threshold if query and query.operator else None,
        evidence=evidence, rule_id=rule.pk, cooldown_seconds=rule.cooldown_seconds, reason=reason,
    )  # fmt: skip


def _ended(tick: Tick, gone: list[RuleState]) -> None:
    still_there = _series_with_data(tick) if any(state.fired_at for state in gone) else None
    for state in gone:
        before = _standing(state)
        has_data = still_there is None or state.fingerprint in still_there
        if before.fires and not has_data:
            after, seen, reason = engine.not_seen(before), Seen.UNKNOWN, "its data stopped coming"
        else:
            after = engine.seen_false(before, tick.at.timestamp(), _timers(tick.rule))
            seen, reason = Seen.CLEAR, "recovered"
        with transaction.atomic():
            _keep(state, after, tick.at)
            if seen is Seen.UNKNOWN or after.state is RuleStateName.INACTIVE:
                reason = reason if before.fires else ""
                observe(_observation(tick.rule, state, seen, tick.query, {}, reason), now=tick.at)


def _series_with_data(tick: Tick) -> set[str] | None:
    """Return the alerts the left side still has values for; None where the query has no left side to ask."""
    if not tick.query.expression:
        return None
    rule = tick.rule
    return {
        fingerprint(rule.name, {**row.labels, **rule.labels, "severity": rule.severity})
        for row in asking.instant(tick.query.expression, tick.at_ms)
    }


def _unknown(rule: Rule, at: datetime, error: str) -> None:
    failed = rule.failed_evaluations + 1
    with transaction.atomic():
        Rule.objects.filter(pk=rule.pk).update(
            health=RuleHealth.UNKNOWN.value, last_error=error[:2000], last_evaluated_at=at, failed_evaluations=failed
        )
        for state in rule.states.all():
            before = _standing(state)
            _keep(state, engine.not_seen(before), at)
            if before.fires:
                observe(_observation(rule, state, Seen.UNKNOWN, None, {}, "the rule's query failed"), now=at)
        if failed >= FAILURES_BEFORE_ALERT:
            observe(_not_evaluated(rule, Seen.FIRING, error), now=at)


def _not_evaluated(rule: Rule, seen: Seen, error: str = "") -> Observation:
    return Observation(
        name="RuleNotEvaluated", labels={"rule": rule.name, "component": "console"}, seen=seen,
        severity=Severity.HIGH.value, rule_id=rule.pk,
        annotations={"summary": f"{rule.name} cannot be evaluated", "description": error[:500]},
        reason="" if seen is Seen.FIRING else "the rule is evaluated again",
    )  # fmt: skip


def _retire(rule: Rule, at: datetime) -> None:
    """End what a rule has open once it is switched off."""
    for state in rule.states.all():
        with transaction.atomic():
            observe(_observation(rule, state, Seen.CLEAR, None, {}, "its rule was switched off"), now=at)
            state.delete()
