"""Evaluates rule groups on their grid: lease a group, its rules in order, one transaction a label set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

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
from alerts.rules.queries import compiled, selectors_of
from alerts.services.decide import BATCH, observe

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)
FAILURES_BEFORE_ALERT = 2
NO_DATA = "its data stopped coming"
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
        with outbox.kept(groups[0], read_clock=read_clock):
            _evaluate_group(groups[0], now, ends_at)
        WORK.labels(kind="evaluate", hand=hand).inc()
    return True


def _evaluate_group(group: RuleGroup, now: datetime, ends_at: float) -> None:
    began = monotonic()
    last = group.last_evaluated_at.timestamp() if group.last_evaluated_at else None
    ticks = engine.ticks_due(last, now.timestamp(), group.interval_seconds)
    for tick in ticks.evaluate:
        at = clock.at_seconds(tick)
        EVALUATION_LAG.labels(group=group.name).observe(max(0.0, now.timestamp() - tick))
        # Rules this tick has already had, by a hand that ran out of time or died, are not evaluated again.
        for rule in group.rules.exclude(last_evaluated_at__gte=at).order_by("position", "name"):
            if not outbox.fence(group).exists():
                return  # Slept through the lease; whoever holds it now does the rest.
            if monotonic() > ends_at:
                outbox.finish(group, due_at=now, last_evaluated_at=group.last_evaluated_at)
                return
            _evaluate_rule(rule, at, group)
        group.last_evaluated_at = at
    outbox.finish(
        group, last_evaluated_at=group.last_evaluated_at, missed=group.missed + ticks.missed,
        due_at=clock.at_seconds(ticks.next_at),
    )  # fmt: skip
    EVALUATION_SECONDS.labels(group=group.name).observe(monotonic() - began)


def _evaluate_rule(rule: Rule, at: datetime, group: RuleGroup) -> None:
    if not rule.enabled:
        _retire(rule, at)
        return
    try:
        with transaction.atomic():
            tick = Tick(rule, compiled(rule), at)
            rows = asking.instant(tick.query.query, tick.at_ms)
        missing = _apply(tick, rows, silent_since=at - timedelta(seconds=2 * group.interval_seconds))
    except RULE_ERRORS as error:
        log.warning("rule.unknown", rule=rule.name, error=str(error))
        _unknown(rule, at, f"{type(error).__name__}: {error}")
        EVALUATIONS.labels(group=group.name, result="error").inc()
        return
    if rule.failed_evaluations >= FAILURES_BEFORE_ALERT:
        observe(_not_evaluated(rule, Seen.CLEAR), now=at)
    _told_of_silence(rule, missing, at)
    health = RuleHealth.UNKNOWN if missing else RuleHealth.OK
    Rule.objects.filter(pk=rule.pk).update(
        health=health.value, last_evaluated_at=at, last_error=NO_DATA if missing else "", failed_evaluations=0
    )
    EVALUATIONS.labels(group=group.name, result="ok").inc()


def _told_of_silence(rule: Rule, missing: int, at: datetime) -> None:
    """Raise the rule's own alert while data of it is missing, and end it when it is back or given up."""
    if missing:
        observe(_without_data(rule, Seen.FIRING, missing), now=at)
    elif rule.last_error == NO_DATA:
        observe(_without_data(rule, Seen.CLEAR), now=at)


def _without_data(rule: Rule, seen: Seen, missing: int = 0) -> Observation:
    return Observation(
        name="RuleWithoutData", labels={"rule": rule.name, "component": "console"}, seen=seen,
        severity=Severity.HIGH.value, rule_id=rule.pk, value=float(missing),
        annotations={
            "summary": f"{missing} alerts of {rule.name} can no longer be told: their data stopped coming",
            "runbook": "Is the sender alive? Look at its log and at the refused requests on the Setup page.",
        },
        reason="" if seen is Seen.FIRING else "its data is back, or was given up",
    )  # fmt: skip


def _apply(tick: Tick, rows: list[asking.Row], silent_since: datetime) -> int:
    """Apply an answer; return of how many alerts the data has been missing since that time."""
    rule = tick.rule
    states = {state.fingerprint: state for state in rule.states.all()}
    holding: dict[str, tuple[RuleState, asking.Row]] = {}
    for row in rows:
        labels = {**row.labels, **rule.labels, "severity": rule.severity}
        print_of = fingerprint(rule.name, labels)
        known = states.get(print_of) or RuleState(rule=rule, fingerprint=print_of, labels=labels)
        holding[print_of] = (known, row)
    evidence = Evidence(tick)
    _in_batches([partial(_holds, tick, *holding[key], evidence) for key in sorted(holding)])
    gone = [states[key] for key in sorted(states) if key not in holding]
    return _ended(tick, gone, silent_since) if gone else 0


def _in_batches(decisions: Sequence[Callable[[], object]]) -> None:
    """Commit up to a hundred decisions together, each in its savepoint; one that cannot be made sinks no other."""
    failures: list[Exception] = []
    for start in range(0, len(decisions), BATCH):
        with transaction.atomic():
            for decide in decisions[start : start + BATCH]:
                try:
                    with transaction.atomic():
                        decide()
                except (*RULE_ERRORS, DataError, IntegrityError) as error:
                    log.warning("rule.decision", error=str(error))
                    failures.append(error)
    if failures:
        raise RuntimeError(f"{len(failures)} label sets could not be decided; the first: {failures[0]}")


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


def _holds(tick: Tick, state: RuleState, row: asking.Row, evidence: "Evidence") -> None:
    before = _standing(state)
    after = engine.seen_true(before, tick.at.timestamp(), _timers(tick.rule))
    state.last_value = row.value
    shown = evidence.of(row) if after.fires and not before.fires else {}
    _keep(state, after, tick.at)
    seen = Seen.FIRING if after.fires else Seen.PENDING
    observe(_observation(tick.rule, state, seen, tick.query, shown), now=tick.at)


class Evidence:
    """What a rule saw before it fired; asked for once a tick, however many label sets begin to fire."""

    def __init__(self, tick: Tick) -> None:
        """Ask nothing yet."""
        self._tick = tick
        self._window_seconds = max(tick.rule.window_seconds, tick.rule.for_seconds * 2, 600)
        self._columns: dict[frozenset[tuple[str, str]], dict[str, list[float]]] | None = None

    def of(self, row: asking.Row) -> dict[str, object]:
        """Return the query, its threshold and the values of one label set."""
        query = self._tick.query
        if self._columns is None:
            left = query.expression or query.query
            self._columns = asking.histories(left, end_ms=self._tick.at_ms, window_seconds=self._window_seconds)
        columns = self._columns.get(frozenset(row.labels.items()), asking.NO_HISTORY)
        return {
            "query": query.query, "expression": query.expression, "operator": query.operator,
            "threshold": query.threshold if query.operator else None, "window_seconds": self._window_seconds,
            "evaluated_at": self._tick.at.isoformat(), "series_labels": dict(row.labels), **columns,
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


def _ended(tick: Tick, gone: list[RuleState], silent_since: datetime) -> int:
    presence = _presence(tick) if any(state.fired_at for state in gone) else None
    _in_batches([partial(_end, tick, state, presence) for state in gone])
    still = [state for state in gone if state.pk and state.state == RuleStateName.UNKNOWN]
    return sum(state.last_true_at is not None and state.last_true_at <= silent_since for state in still)


def _end(tick: Tick, state: RuleState, presence: "Presence | None") -> None:
    before = _standing(state)
    if before.fires and presence is not None and not presence.tells(state.fingerprint):
        _lose(tick.rule, state, tick.at, tick.query, NO_DATA)
        return
    after = engine.seen_false(before, tick.at.timestamp(), _timers(tick.rule))
    _keep(state, after, tick.at)
    if after.state is RuleStateName.INACTIVE:
        reason = presence.cause if before.fires and presence is not None else ""
        observe(_observation(tick.rule, state, Seen.CLEAR, tick.query, {}, reason), now=tick.at)


def _lose(rule: Rule, state: RuleState, at: datetime, query: Compiled | None, reason: str) -> None:
    """Call a label set unknown, and give it up once it has been so for too long."""
    before = _standing(state)
    silent_seconds = at.timestamp() - (before.last_true_at or at.timestamp())
    if silent_seconds >= settings.CONFIG.unknown_expires_seconds:
        _keep(state, engine.Standing(), at)
        observe(_observation(rule, state, Seen.CLEAR, query, {}, "expired"), now=at)
        return
    _keep(state, engine.not_seen(before), at)
    if before.fires:
        observe(_observation(rule, state, Seen.UNKNOWN, query, {}, reason), now=at)


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the data a query is about still comes; `prints` is None where only all of it together can be told."""

    any_data: bool
    prints: frozenset[str] | None
    cause: str

    def tells(self, print_of: str) -> bool:
        """Say whether a label set that is gone has data, so that its condition is over."""
        return print_of in self.prints if self.prints is not None else self.any_data


def _presence(tick: Tick) -> Presence:
    rule, left = tick.rule, tick.query.expression
    if left:
        rows = asking.instant(left, tick.at_ms)
        prints = (fingerprint(rule.name, {**r.labels, **rule.labels, "severity": rule.severity}) for r in rows)
        return Presence(bool(rows), frozenset(prints), "recovered")
    # No left side to ask: as long as any series the query reads has fresh samples, a gone label set is no longer true.
    asked = selectors_of(tick.query.query)
    fresh = not asked or any(asking.instant(f"count({each})", tick.at_ms) for each in asked)
    return Presence(fresh, None, "no longer true")


def _unknown(rule: Rule, at: datetime, error: str) -> None:
    failed = rule.failed_evaluations + 1
    with transaction.atomic():
        Rule.objects.filter(pk=rule.pk).update(
            health=RuleHealth.UNKNOWN.value, last_error=error[:2000], last_evaluated_at=at, failed_evaluations=failed
        )
        for state in rule.states.order_by("fingerprint"):
            _lose(rule, state, at, None, "the rule's query failed")
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
