"""Backtests that somebody ordered: a leased row each, worked on in slices, stopped by anybody, kept for some days.

Short ones are done before the order is answered. What a slice has found stays in the memory of the process that found
it; another process that takes the row up begins anew, which costs time and changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.db import DataError, ProgrammingError, transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import clock, doorbell, outbox
from alerts.engine.backtest_totals import as_plain
from alerts.engine.states import BackfillState
from alerts.measures import WORK
from alerts.models import BacktestRun, Rule, RuleGroup
from alerts.rules.validation import rule_problems
from alerts.services.backtest import Clock, NoBacktest, Replay, span_of
from alerts.services.backtest_quiet import Quieting
from alerts.services.configuration import Invalid
from alerts.services.labelsets import RULE_ERRORS

KEPT_DAYS = 7
LONGEST_DAYS = 400
MOST_FIRINGS_KEPT = 2000
MOST_WAITING = 20
# What a process keeps of backtests it had to interrupt.
MOST_PARKED = 4
SLICE_SECONDS = 0.5
SWEEP_SECONDS = 1.0
# What of a rule decides what it would have done.
FIELDS = (
    "kind", "name", "alert_name", "description", "spec", "severity", "labels", "annotations", "for_seconds",
    "keep_firing_for_seconds", "window_seconds", "cooldown_seconds",
)  # fmt: skip
log = structlog.get_logger(__name__)
_parked: dict[UUID, Replay] = {}
_lock = Lock()


def backtest_order(
    rule: Rule,
    *,
    start_at: datetime,
    end_at: datetime,
    actor: Actor,
    now: datetime,
    quieting: Quieting = "then",
    zone: str = "",
) -> BacktestRun:
    """Have a rule, stored or a draft, tried on the past; raises Invalid with what is wrong by field."""
    problems = backtest_problems(rule, start_at, end_at, zone, now)
    if problems:
        raise Invalid(problems)
    stored = not rule._state.adding
    with transaction.atomic():
        row = BacktestRun.objects.create(
            rule=rule if stored else None, name=rule.name, fields=fields_of(rule), start_at=start_at, end_at=end_at,
            quieting=quieting, zone=zone, created_by=actor.label, created_at=now, due_at=now,
        )  # fmt: skip
        facts = {"rule": rule.name, "start_at": start_at.isoformat(), "end_at": end_at.isoformat()}
        audit(actor, "backtest.create", row, now=now, after=facts)
        doorbell.ring("backfill")
    return row


def fields_of(rule: Rule) -> dict[str, Any]:
    """Return a rule as a backtest keeps it."""
    return {name: getattr(rule, name) for name in FIELDS} | {
        "id": str(rule.pk), "group": str(rule.group_id), "version": rule.version,
    }  # fmt: skip


def rule_from(fields: Mapping[str, Any]) -> Rule:
    """Return a rule as it was kept; raises NoBacktest where its group is gone."""
    group = RuleGroup.objects.filter(pk=fields["group"]).first()
    if group is None:
        raise NoBacktest("The rule's group is gone, and with it how often the rule is evaluated.")
    known = {name: value for name, value in fields.items() if name in FIELDS}
    return Rule(pk=UUID(str(fields["id"])), group=group, version=fields.get("version") or 1, **known)


def backtest_problems(rule: Rule, start_at: datetime, end_at: datetime, zone: str, now: datetime) -> dict[str, str]:
    """Return why a rule cannot be tried on a range, by field; an empty map means it can."""
    found = rule_problems({name: getattr(rule, name) for name in FIELDS})
    if end_at <= start_at:
        found["end_at"] = "The end is not after the start."
    elif end_at > now + timedelta(minutes=1):
        found["end_at"] = "The end lies in the future."
    elif end_at - start_at > timedelta(days=LONGEST_DAYS):
        found["start_at"] = f"At most {LONGEST_DAYS} days are tried at once."
    if zone and not _is_zone(zone):
        found["zone"] = f"{zone[:60]!r} is no time zone; write one like Europe/Berlin."
    if not found:
        try:
            span_of(rule, start_at, end_at)
        except NoBacktest as error:
            found["rule"] = str(error)
    if not found and BacktestRun.objects.filter(state=BackfillState.DUE).count() >= MOST_WAITING:
        found["rule"] = f"{MOST_WAITING} backtests are waiting already: wait for them, or cancel some."
    return found


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True


@transaction.atomic
def backtest_cancel(row: BacktestRun, *, actor: Actor, now: datetime) -> BacktestRun:
    """Stop a backtest; one that has ended is left as it is."""
    waiting = BacktestRun.objects.filter(pk=row.pk, state=BackfillState.DUE)
    # Whoever works on it finds the token gone.
    if waiting.update(state=BackfillState.CANCELLED.value, finished_at=now, lease_token=None):
        audit(actor, "backtest.cancel", row, now=now, after={"progress": row.progress})
    row.refresh_from_db()
    return row


def backtests_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Work on what was ordered for at most so many seconds; return whether work may remain."""
    ends_at = monotonic() + (min(deadline_seconds, SWEEP_SECONDS) if hand == "sweeper" else deadline_seconds)
    while monotonic() < ends_at:
        rows = outbox.claim(BacktestRun.objects.filter(state=BackfillState.DUE), now=read_clock())
        if not rows:
            return False
        _work(rows[0], read_clock, ends_at)
        WORK.labels(kind="backtest", hand=hand).inc()
    return True


def backtest_now(row: BacktestRun, *, seconds: float, read_clock: Clock = clock.now) -> BacktestRun:
    """Work on one backtest for at most so many seconds, unless somebody else does; return how it stands then."""
    rows = outbox.claim(BacktestRun.objects.filter(pk=row.pk, state=BackfillState.DUE), now=read_clock())
    if rows:
        _work(rows[0], read_clock, monotonic() + seconds)
    row.refresh_from_db()
    return row


def _work(row: BacktestRun, read_clock: Clock, ends_at: float) -> None:
    with outbox.kept(row, read_clock=read_clock):
        try:
            replay = _taken(row)
            while not replay.advance(until=min(ends_at, monotonic() + SLICE_SECONDS)):
                if not outbox.fence(row).update(progress=replay.progress):
                    return  # It was cancelled, or the lease is lost.
                if monotonic() >= ends_at:
                    _park(row, replay)
                    outbox.finish(row, due_at=read_clock())
                    return
        except (NoBacktest, *RULE_ERRORS, DataError, ProgrammingError) as error:
            log.warning("backtest.failed", rule=row.name, error=str(error))
            outbox.fail(
                row, error=str(error), due_at=row.due_at, state=BackfillState.FAILED.value, finished_at=read_clock()
            )
            return
        result = as_plain(
            replay.found(row.start_at, row.end_at, zone=ZoneInfo(row.zone) if row.zone else None),
            most_firings=MOST_FIRINGS_KEPT,
        )
        outbox.finish(
            row, state=BackfillState.DONE.value, progress=1.0, result=result, finished_at=read_clock(), last_error=""
        )


def _taken(row: BacktestRun) -> Replay:
    """Return the backtest where this process left it, or a new one."""
    with _lock:
        parked = _parked.pop(row.pk, None)
    if parked is not None:
        return parked
    rule = rule_from(row.fields)
    return Replay(rule, span_of(rule, row.start_at, row.end_at), quieting=row.quieting)  # type: ignore[arg-type]


def _park(row: BacktestRun, replay: Replay) -> None:
    with _lock:
        while len(_parked) >= MOST_PARKED:
            _parked.pop(next(iter(_parked)))
        _parked[row.pk] = replay


def backtests_retain(*, now: datetime) -> int:
    """Drop what is older than some days."""
    return BacktestRun.objects.filter(created_at__lt=now - timedelta(days=KEPT_DAYS)).delete()[0]
