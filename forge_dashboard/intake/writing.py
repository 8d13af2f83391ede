"""Writes a batch: few queries whatever the number of rows, and the same rows whatever the order of the batches.

Two batches that touch the same runs take turns: runs are made and then locked in the order of their names, and nothing
is locked before that, so two batches never wait for each other in a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction

from aivillage_console.lib import live
from alerts.services import hurry
from forge_dashboard.intake import inside
from forge_dashboard.intake.counting import Tell, tellings
from forge_dashboard.intake.rows import THINGS, BadRow, EventRow, checked
from forge_dashboard.intake.standing import save, stand
from forge_dashboard.models import PhaseRun, PipelineEvent, Run
from forge_dashboard.reducer import Event, Record, run_view, take_in
from metrics.domain import Rejection
from metrics.registry import IngestContext

MAX_EVENTS = 250_000
# Beyond the bound points and lines are refused; where the run stands is told on.
SPARE_EVENTS = 10_000
STANDING = frozenset({"run", "phase", "gate"})
MAX_PHASES = 64
MAX_METRIC_NAMES = 500
MAX_THINGS = 5_000
MAX_RUNS_IN_BATCH = 500
MAX_RUNS_A_DAY = 5_000
Numbered = tuple[int, Event]


@dataclass(slots=True)
class Touched:
    """One run of a batch: its rows in the tables and what the batch says of it."""

    run: Run
    events: list[Numbered]
    phases: dict[str, PhaseRun] = field(default_factory=dict)

    @property
    def new(self) -> list[Event]:
        """Return the events that are to be taken in."""
        return [event for _, event in self.events]


def write_events(rows: Sequence[tuple[int, EventRow]], context: IngestContext) -> list[Rejection]:
    """Take in what is new and good; returns the others with their reasons. Runs inside the transaction of its batch."""
    refused: list[Rejection] = []
    touched = _touched(_checked(rows, context, refused), context, refused)
    _leave_out_known(touched)
    _load_phases(touched)
    for one in touched:
        one.events = _Room(one).fitting(refused)
    changed = [one for one in touched if one.events]
    if changed:
        _write(changed, context.now)
    return refused


def _checked(
    rows: Sequence[tuple[int, EventRow]], context: IngestContext, refused: list[Rejection]
) -> dict[str, dict[str, Numbered]]:
    now_ms = int(context.now.timestamp() * 1000)
    found: dict[str, dict[str, Numbered]] = {}
    for number, row in rows:
        try:
            event = checked(row, now_ms, backfill=context.backfill)
        except BadRow as error:
            refused.append(Rejection(number, str(error)))
            continue
        if row.run_id not in found and len(found) >= MAX_RUNS_IN_BATCH:
            text = f"a batch may speak of {MAX_RUNS_IN_BATCH} runs: send this row in another"
            refused.append(Rejection(number, text))
            continue
        found.setdefault(row.run_id, {}).setdefault(row.event_id, (number, event))
    return found


def _touched(good: dict[str, dict[str, Numbered]], context: IngestContext, refused: list[Rejection]) -> list[Touched]:
    names = sorted(good)
    of_source = Run.objects.filter(source_id=context.source_id)
    if len(names) == 1:
        # Most batches speak of one run that is there: who locks nothing else cannot wait in a circle.
        only = of_source.select_for_update(no_key=True).filter(external_id=names[0]).first()
        if only is not None:
            return [Touched(only, list(good[names[0]].values()))]
    known = set(of_source.filter(external_id__in=names).values_list("external_id", flat=True)) if names else set()
    missing = [name for name in names if name not in known]
    day_ago = context.now - timedelta(days=1)
    if missing and of_source.filter(created_at__gte=day_ago)[:MAX_RUNS_A_DAY].count() >= MAX_RUNS_A_DAY:
        text = f"limit: a source may begin {MAX_RUNS_A_DAY} runs a day"
        refused.extend(Rejection(number, text) for name in missing for number, _ in good[name].values())
        missing = []
    if missing:
        Run.objects.bulk_create([_begun(name, context) for name in missing], ignore_conflicts=True)
    locked = of_source.filter(external_id__in=names).order_by("external_id").select_for_update(no_key=True)
    return [Touched(run, list(good[run.external_id].values())) for run in locked] if names else []


def _begun(name: str, context: IngestContext) -> Run:
    at = context.now
    return Run(source_id=context.source_id, external_id=name, created_at=at, last_event_at=at)


def _leave_out_known(touched: list[Touched]) -> None:
    # A run nobody spoke of before has no events, so nothing is asked about it.
    old = [one for one in touched if one.run.event_count]
    if not old:
        return
    ids = [event.event_id for one in old for event in one.new]
    rows = PipelineEvent.objects.filter(run__in=[one.run.pk for one in old], event_id__in=ids)
    known = set(rows.values_list("run_id", "event_id"))
    for one in old:
        one.events = [pair for pair in one.events if (one.run.pk, pair[1].event_id) not in known]


def _load_phases(touched: list[Touched]) -> None:
    by_run = {one.run.pk: one for one in touched if one.events}
    if by_run:
        for phase in PhaseRun.objects.filter(run__in=list(by_run)):
            by_run[phase.run_id].phases[phase.phase] = phase


class _Room:
    """What a run may still hold."""

    def __init__(self, one: Touched) -> None:
        self._one = one
        self._events, self._things = one.run.event_count, one.run.thing_count
        self._phases = set(one.phases)
        facts = {"": one.run.facts, **{name: row.facts for name, row in one.phases.items()}}
        self._names = {(phase, name) for phase, known in facts.items() for name in known.get("metrics", {})}

    def fitting(self, refused: list[Rejection]) -> list[Numbered]:
        """Return the events there is room for."""
        kept: list[Numbered] = []
        for number, event in self._one.events:
            reason = self._too_much(event)
            if reason:
                refused.append(Rejection(number, reason))
            else:
                kept.append((number, event))
        return kept

    def _too_much(self, event: Event) -> str:
        names = {(event.phase, name) for name in event.metrics} if event.kind != "gate" else set()
        if self._events >= MAX_EVENTS + (SPARE_EVENTS if event.kind in STANDING else 0):
            return f"the run has {MAX_EVENTS} events, no more are taken: begin another run, or send fewer"
        if event.kind in THINGS and self._things >= MAX_THINGS:
            return f"the run has told of {MAX_THINGS} artifacts, gates and checkpoints, no more are taken"
        if event.phase and event.phase not in self._phases and len(self._phases) >= MAX_PHASES:
            return f"the run has {MAX_PHASES} phases, no more are taken"
        if len(self._names | names) > MAX_METRIC_NAMES:
            return f"the run has {MAX_METRIC_NAMES} metrics, no more names are taken"
        self._events += 1
        self._things += event.kind in THINGS
        self._names |= names
        self._phases |= {event.phase} - {""}
        return ""


def _write(touched: list[Touched], now: datetime) -> None:
    shown: list[PhaseRun] = []
    gone: list[int] = []
    tells: list[Tell] = []
    failing = False
    before = [_listed(one.run) for one in touched]
    for one in touched:
        record = Record(one.run.facts, one.run.history)
        records = {name: Record(row.facts, row.history) for name, row in one.phases.items()}
        take_in(record, records, one.new)
        change = stand(one.run, one.phases, record, records, run_view(record, records), one.new)
        failing = failing or change.failing
        tells += tellings(one.run, change.phases, now)
        shown += change.phases
        gone += change.gone
    told = [(one.run, one.new) for one in touched]
    inside.store(told)
    save([one.run for one in touched], shown, gone)
    runs = [one.run for one in touched]
    _ring(runs, tells, failing=failing, listed=before != [_listed(run) for run in runs])


def _listed(run: Run) -> tuple[object, ...]:
    """Return what lists show of a run, as coarsely as they show it."""
    progress = None if run.progress is None else round(run.progress * 100)
    return run.event_count > 0, run.state, run.name, run.model, run.owner, run.current_phase, progress


def _ring(runs: Sequence[Run], tells: list[Tell], *, failing: bool, listed: bool) -> None:
    for run in runs:
        live.ring(f"run:{run.pk}")
    # Lines and points come many a second and change nothing on the pages of many runs.
    for topic in ("forge", "overview") if listed or failing or tells else ():
        live.ring(topic)
    if failing:
        hurry("phase_failed")
    if tells:
        transaction.on_commit(lambda: [tell() for tell in tells], robust=True)
