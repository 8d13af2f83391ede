"""Computes a recording rule over the past: ordered once, done in slices by whoever has the lease, stopped by anybody.

A slice and its progress are one commit, so a process that dies costs the slice it was at. The same times again are
written over, so a range may be ordered as often as one likes.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.conf import settings
from django.db import DataError, ProgrammingError, transaction

from aivillage_console.accounts.services import Actor, audit, source_named
from aivillage_console.lib import clock, doorbell, live, outbox
from alerts.engine.states import BackfillState
from alerts.measures import RECORDED, WORK
from alerts.models import RecordingBackfill, Rule
from alerts.models.rules import RuleKind
from alerts.rules.limits import MOST_STEPS
from alerts.services.configuration import Invalid
from alerts.services.labelsets import RULE_ERRORS
from alerts.services.record import SOURCE, at_ms, loaded

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)
# The sweeper evaluates rules as well, which must not wait for the past.
SWEEP_SECONDS = 1.0
LONGEST_STEP_SECONDS = 86_400


@transaction.atomic
def backfill_order(
    rule: Rule, *, start_at: datetime, end_at: datetime, step_seconds: int | None = None, actor: Actor, now: datetime
) -> RecordingBackfill:
    """Have a recording rule computed from one time to another, at the times of its group's grid or of `step_seconds`.

    Raises Invalid with what is wrong by field.
    """
    step = step_seconds or rule.group.interval_seconds
    problems = backfill_problems(rule, start_at, end_at, step, now)
    if problems:
        raise Invalid(problems)
    first, steps = _times(start_at, end_at, step)
    row = RecordingBackfill.objects.create(
        rule=rule, spec=rule.spec, labels=rule.all_labels, start_at=clock.at_seconds(first), step_seconds=step,
        steps=steps, created_by=actor.label, created_at=now, due_at=now,
    )  # fmt: skip
    facts = {"start_at": row.start_at.isoformat(), "end_at": row.end_at.isoformat(), "step_seconds": step}
    audit(actor, "rule.backfill", rule, now=now, after=facts)
    live.ring("setup")
    doorbell.ring("backfill")
    return row


def _times(start_at: datetime, end_at: datetime, step: int) -> tuple[int, int]:
    """Return the first time of the grid in a range, in seconds, and how many there are."""
    first = -(-at_ms(start_at) // (step * 1000)) * step
    return first, (at_ms(end_at) // 1000 - first) // step + 1


def backfill_problems(
    rule: Rule, start_at: datetime, end_at: datetime, step_seconds: int | None, now: datetime
) -> dict[str, str]:
    """Return why a rule cannot be computed over a range, by field; an empty map means it can."""
    if rule.kind != RuleKind.RECORDING:
        return {"rule": f"{rule.name} is a rule of the kind {rule.kind}: only recording rules have a past to compute."}
    step = step_seconds or rule.group.interval_seconds
    found = _range_problems(start_at, end_at, now)
    if not 1 <= step <= LONGEST_STEP_SECONDS:
        return found | {"step_seconds": f"A step is 1 to {LONGEST_STEP_SECONDS} seconds."}
    _, steps = _times(start_at, end_at, step)
    if not found and steps < 1:
        return {"end_at": f"No time of the grid of {step} s lies in this range."}
    if not found and steps > MOST_STEPS:
        return {"step_seconds": f"These are {steps} times; at most {MOST_STEPS} are computed: take a longer step."}
    if not found and rule.backfills.filter(state=BackfillState.DUE).exists():
        return {"rule": "It is being computed over the past already: wait for that, or cancel it."}
    return found


def _range_problems(start_at: datetime, end_at: datetime, now: datetime) -> dict[str, str]:
    oldest = now - timedelta(days=settings.CONFIG.retention_days)
    if end_at < start_at:
        return {"end_at": "The end is before the start."}
    if end_at > now:
        return {"end_at": "The end lies in the future: that is the work of the rule itself."}
    if start_at < oldest:
        return {
            "start_at": f"Samples are kept for {settings.CONFIG.retention_days} days: from {oldest.isoformat()} on."
        }
    return {}


@transaction.atomic
def backfill_cancel(row: RecordingBackfill, *, actor: Actor, now: datetime) -> RecordingBackfill:
    """Stop it after the slice that is being written; what is written stays. One that has ended is left as it is."""
    stored = RecordingBackfill.objects.select_for_update().get(pk=row.pk)
    if stored.state == BackfillState.DUE:
        # Whoever works on it finds the token gone and writes nothing more.
        stored.state, stored.finished_at, stored.lease_token = BackfillState.CANCELLED.value, now, None
        stored.save(update_fields=["state", "finished_at", "lease_token"])
        audit(actor, "rule.backfill_cancel", stored.rule, now=now, after={"steps_done": stored.steps_done})
        live.ring("setup")
    return stored


def backfill_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Work on what was ordered for at most so many seconds; return whether work may remain."""
    ends_at = monotonic() + (min(deadline_seconds, SWEEP_SECONDS) if hand == "sweeper" else deadline_seconds)
    while monotonic() < ends_at:
        rows = outbox.claim(RecordingBackfill.objects.filter(state=BackfillState.DUE), now=read_clock())
        if not rows:
            return False
        with outbox.kept(rows[0], read_clock=read_clock):
            _work(rows[0], read_clock, ends_at)
        WORK.labels(kind="backfill", hand=hand).inc()
    return True


def _work(row: RecordingBackfill, read_clock: Clock, ends_at: float) -> None:
    while _slice(row, read_clock):
        if monotonic() > ends_at:
            outbox.finish(row, due_at=read_clock())
            return


def _slice(row: RecordingBackfill, read_clock: Clock) -> bool:
    """Compute and write the next times; return whether more are ahead and the lease still holds."""
    steps = min(row.slice_steps, row.steps - row.steps_done)
    first = at_ms(row.start_at) + row.steps_done * row.step_seconds * 1000
    step_ms = row.step_seconds * 1000
    grid = loaded("alerts.rules.recording.Grid")(first, first + (steps - 1) * step_ms, step_ms, True)
    try:
        batch = loaded("alerts.rules.recording.computed")(row.spec, row.labels, grid)
        return _write(row, batch, steps, read_clock())
    except (*RULE_ERRORS, DataError, ProgrammingError) as error:
        return _failed(row, steps, f"{type(error).__name__}: {error}", read_clock())


def _write(row: RecordingBackfill, batch: object, steps: int, now: datetime) -> bool:
    with transaction.atomic():
        if not outbox.fence(row).select_for_update().exists():
            return False
        appended = loaded("metrics.services.result_append")(batch, source=source_named(SOURCE), now=now)
        row.steps_done, row.samples = row.steps_done + steps, row.samples + appended.samples
        kept = {"steps_done": row.steps_done, "samples": row.samples, "last_error": appended.refused or row.last_error}
        if row.steps_done < row.steps:
            outbox.fence(row).update(**kept)
        else:
            outbox.finish(row, **kept, state=BackfillState.DONE.value, finished_at=now)
    RECORDED.labels(work="backfill").inc(appended.samples)
    live.ring("setup")
    return row.steps_done < row.steps


def _failed(row: RecordingBackfill, steps: int, error: str, now: datetime) -> bool:
    """Try fewer times at once, for a query may be too large for a slice; where one is too many, give up."""
    log.warning("backfill.slice", rule=str(row.rule_id), steps=steps, error=error)
    if steps > 1:
        row.slice_steps = max(1, steps // 4)
        return bool(outbox.fence(row).update(slice_steps=row.slice_steps, last_error=error[:2000]))
    outbox.fail(row, error=error, due_at=now, state=BackfillState.FAILED.value, finished_at=now)
    live.ring("setup")
    return False
