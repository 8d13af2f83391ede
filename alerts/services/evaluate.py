"""Evaluates rule groups on their grid: lease a group, its rules in order, one transaction a label set."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from time import monotonic

import structlog
from django.db import DataError, ProgrammingError, transaction
from django.db.models import QuerySet

from aivillage_console.lib import clock, outbox
from alerts.engine import rules as engine
from alerts.engine.episodes import Seen
from alerts.engine.states import Severity
from alerts.measures import EVALUATION_LAG, EVALUATION_SECONDS, EVALUATIONS, WORK
from alerts.models import Rule, RuleGroup
from alerts.models.rules import RuleHealth, RuleKind
from alerts.pipeline import Observation
from alerts.rules.kinds import ASKED_KINDS
from alerts.services.answers import answer
from alerts.services.decide import observe
from alerts.services.dynamic import due_thresholds
from alerts.services.health_kept import HealthKept
from alerts.services.held import FOLLOWS, NO_DATA
from alerts.services.hurrying import give_back
from alerts.services.labelsets import RULE_ERRORS, Tick, apply, lose, retire
from alerts.services.ledger import TABLES, Ledger
from alerts.services.record import record, recording_end
from alerts.services.telling import standing_record

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)
FAILURES_BEFORE_ALERT = 2
# Rules that are read, and whose health is kept, by one statement.
ROUND = 50


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
    missed = ticks.missed
    for tick in ticks.evaluate:
        EVALUATION_LAG.labels(group=group.name).observe(max(0.0, now.timestamp() - tick))
        at = clock.at_seconds(tick)
        if not _evaluate_rules(group, group.rules.all(), at, ends_at):
            _out_of_time(group, now)
            return
        standing_record(group, at)
        group.last_evaluated_at, group.missed, missed = at, group.missed + missed, 0
    if group.hurry_asked_at is not None:
        if not _evaluate_rules(group, group.rules.filter(kind__in=ASKED_KINDS.slots), now, ends_at, on_grid=False):
            _out_of_time(group, now)
            return
        group.hurry_done_at = now
    took_seconds = monotonic() - began
    if ticks.evaluate:
        group.evaluation_seconds = took_seconds
    give_back(group, next_at=clock.at_seconds(ticks.next_at), now=now)
    EVALUATION_SECONDS.labels(group=group.name).observe(took_seconds)


def _evaluate_rules(
    group: RuleGroup, rules: QuerySet[Rule], at: datetime, ends_at: float, *, on_grid: bool = True
) -> bool:
    """Evaluate the rules that have not had this time yet, in order; return False where time or lease ran out."""
    # Rules this tick has already had, by a hand that ran out of time or died, are not evaluated again, but for a few
    # of the last round: to see a time twice changes nothing.
    waiting = rules.exclude(last_evaluated_at__gte=at).order_by("position", "name")
    ids = list(waiting.values_list("pk", flat=True))
    for start in range(0, len(ids), ROUND):
        if monotonic() > ends_at or not outbox.fence(group).exists():
            return False
        # Read afresh each round: what people change meanwhile is seen soon.
        found = rules.filter(pk__in=ids[start : start + ROUND]).prefetch_related("states").order_by("position", "name")
        if not _evaluate_round(group, list(found), at, ends_at, on_grid=on_grid):
            return False
    return True


def _evaluate_round(group: RuleGroup, rules: list[Rule], at: datetime, ends_at: float, *, on_grid: bool) -> bool:
    """Evaluate some rules and keep together how they fare; return False where time ran out."""
    with HealthKept() as ledger:
        for rule in rules:
            if monotonic() > ends_at:
                return False
            rule.group = group
            _evaluate_rule(rule, at, group, ledger, on_grid=on_grid)
    return True


def _out_of_time(group: RuleGroup, now: datetime) -> None:
    """Leave the rest to the next hand; where the lease is lost, somebody has it already and nothing is written."""
    outbox.finish(group, due_at=now, last_evaluated_at=group.last_evaluated_at, missed=group.missed)


def _evaluate_rule(rule: Rule, at: datetime, group: RuleGroup, ledger: HealthKept, *, on_grid: bool) -> None:
    if not rule.enabled:
        _switched_off(rule, at)
        return
    ok = judge(rule, at, partial(_asked, rule, at, group), on_grid=on_grid, ledger=ledger)
    EVALUATIONS.labels(group=group.name, result="ok" if ok else "error").inc()


def judge(
    rule: Rule,
    at: datetime,
    asked: Callable[[], tuple[int, str]],
    *,
    on_grid: bool = True,
    ledger: Ledger = TABLES,
) -> bool:
    """Evaluate a rule and keep how that ended, and the alerts about it; `asked` returns what `standing_of` does."""
    began = monotonic()
    try:
        missing, complaint = asked()
    except (*RULE_ERRORS, DataError, ProgrammingError) as error:
        log.warning("rule.unknown", rule=rule.name, error=str(error))
        if on_grid:  # How often it failed is counted in intervals.
            _unknown(rule, at, f"{type(error).__name__}: {error}", ledger)
        return False
    if rule.failed_evaluations >= FAILURES_BEFORE_ALERT:
        observe(_not_evaluated(rule, Seen.CLEAR), now=at, ledger=ledger)
    _told_of_silence(rule, missing, at, ledger)
    ledger.keep_health(
        rule, health=(RuleHealth.UNKNOWN if complaint else RuleHealth.OK).value, last_evaluated_at=at,
        last_error=complaint[:2000], failed_evaluations=0, evaluation_seconds=monotonic() - began,
    )  # fmt: skip
    return True


def _asked(rule: Rule, at: datetime, group: RuleGroup) -> tuple[int, str]:
    """Evaluate a rule; return how many alerts miss their data, and what is wrong though it could be evaluated."""
    if rule.kind == RuleKind.RECORDING:
        return 0, record(rule, at)
    with transaction.atomic():
        tick = Tick(rule, at, answer(rule, at, thresholds=due_thresholds))
    return standing_of(tick, group)


def standing_of(tick: Tick, group: RuleGroup) -> tuple[int, str]:
    """Apply an answer; return how many alerts miss their data, and what to say of that."""
    missing = apply(tick, silent_since=tick.at - timedelta(seconds=2 * group.interval_seconds))
    missing = 0 if tick.answer.no_data == FOLLOWS else missing
    return missing, NO_DATA if missing else tick.answer.complaint


def _switched_off(rule: Rule, at: datetime) -> None:
    retire(rule, at)
    if rule.kind == RuleKind.RECORDING:
        recording_end([rule], at)


def _told_of_silence(rule: Rule, missing: int, at: datetime, ledger: Ledger) -> None:
    """Raise the rule's own alert while data of it is missing, and end it when it is back or given up."""
    if missing:
        observe(_without_data(rule, Seen.FIRING, missing), now=at, ledger=ledger)
    elif rule.last_error == NO_DATA:
        observe(_without_data(rule, Seen.CLEAR), now=at, ledger=ledger)


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


def _unknown(rule: Rule, at: datetime, error: str, ledger: Ledger) -> None:
    failed = rule.failed_evaluations + 1
    with ledger.together():
        ledger.keep_health(
            rule, health=RuleHealth.UNKNOWN.value, last_error=error[:2000], last_evaluated_at=at,
            failed_evaluations=failed,
        )  # fmt: skip
        for state in sorted(ledger.states(rule), key=attrgetter("fingerprint")):
            lose(rule, state, at, "the rule's query failed", ledger=ledger)
        if failed >= FAILURES_BEFORE_ALERT:
            observe(_not_evaluated(rule, Seen.FIRING, error), now=at, ledger=ledger)


def _not_evaluated(rule: Rule, seen: Seen, error: str = "") -> Observation:
    return Observation(
        name="RuleNotEvaluated", labels={"rule": rule.name, "component": "console"}, seen=seen,
        severity=Severity.HIGH.value, rule_id=rule.pk,
        annotations={"summary": f"{rule.name} cannot be evaluated", "description": error[:500]},
        reason="" if seen is Seen.FIRING else "the rule is evaluated again",
    )  # fmt: skip
