"""Where a run stands, told from what was said about it, in whatever order and however often it was said. Pure.

What is remembered of a run or a phase is a `Record`: per field the newest value, and the newest words about its state.
Both are joins: taking an event in twice, or two events the other way round, gives the same record. Everything people
see is then derived from records alone, so it cannot depend on the order either.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forge_dashboard import catalogue
from forge_dashboard.failures import headline

HISTORY_KEPT = 64
ACTIVE = frozenset({"running", "paused"})
# Which word wins within one millisecond.
RANKS = {
    "pending": 0, "queued": 1, "paused": 2, "running": 3, "skipped": 4, "succeeded": 5, "cancelled": 6, "failed": 7,
}  # fmt: skip
RUN_FIELDS = (
    "name", "model", "model_size", "config", "owner", "tags", "wandb_url", "parent", "phases",
    "reporting_interval_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One checked event; phase and state are words of the catalogue."""

    event_id: str
    at_ms: int
    received_ms: int
    kind: str
    phase: str = ""
    state: str = ""
    flag: str = ""
    progress: float | None = None
    step: int | None = None
    total_steps: int | None = None
    message: str = ""
    level: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> list[Any]:
        """What decides which of two values is newer."""
        return [self.at_ms, self.step or 0, self.event_id]


@dataclass(slots=True)
class Record:
    """What is remembered: `facts` by field as [time, step, event, value], `history` as words about the state."""

    facts: dict[str, Any] = field(default_factory=dict)
    history: list[list[Any]] = field(default_factory=list)

    @property
    def spoken_of(self) -> bool:
        """Tell whether anything was ever said."""
        return bool(self.facts or self.history)

    def set(self, name: str, event: Event, value: Any) -> None:
        """Keep a value unless a newer one is known."""
        _keep(self.facts, name, event, value)

    def get(self, name: str, since_ms: int | None = None) -> Any:
        """Return a value, None where there is none from that time on."""
        fact = self.facts.get(name)
        return None if fact is None or (since_ms is not None and fact[0] < since_ms) else fact[3]


def _keep(facts: dict[str, Any], name: str, event: Event, value: Any) -> None:
    known = facts.get(name)
    if known is None or event.key > known[:3]:
        facts[name] = [*event.key, value]


def _seen(record: Record, event: Event) -> None:
    facts = record.facts
    facts["last_ms"] = max(facts.get("last_ms", event.at_ms), event.at_ms)
    if event.kind not in ("run", "phase"):
        facts["active_ms"] = min(facts.get("active_ms", event.at_ms), event.at_ms)


def _said(record: Record, event: Event) -> None:
    if not event.state:
        return
    word = [event.at_ms, RANKS[event.state], event.event_id, event.state, event.flag, event.received_ms,
            headline(event.error)]  # fmt: skip
    if word[:3] not in [known[:3] for known in record.history]:
        record.history = sorted(heapq.nlargest(HISTORY_KEPT, [*record.history, word]))


def take_in(run: Record, phases: dict[str, Record], events: Iterable[Event]) -> None:
    """Remember what the events say about a run and its phases."""
    for event in events:
        _seen(run, event)
        record = run
        if event.phase:
            record = phases.setdefault(event.phase, Record())
            _seen(record, event)
        if event.kind in ("run", "phase", "progress"):
            _said(record, event)
        _measured(record, event)
        if event.kind == "run":
            for name in RUN_FIELDS:
                if event.data.get(name) not in (None, "", [], {}):
                    run.set(name, event, event.data[name])


def _measured(record: Record, event: Event) -> None:
    if event.kind in ("run", "phase", "progress"):
        told = {"message": event.message, "error": event.error, "warnings": event.data.get("warnings")}
        for name, value in told.items():
            if value:
                record.set(name, event, value)
    for name in ("progress", "step", "total_steps"):
        value = getattr(event, name)
        if value is not None and event.kind in ("phase", "progress"):
            record.set(name, event, value)
    if event.metrics and event.kind != "gate":
        known = record.facts.setdefault("metrics", {})
        for name, value in event.metrics.items():
            _keep(known, name, event, value)


@dataclass(slots=True)
class Attempt:
    """One try at a run or a phase. `seen_ms` is when the console heard of its end, `begun_seen_ms` of its beginning."""

    state: str
    started_ms: int | None = None
    begun_seen_ms: int | None = None
    ended_ms: int | None = None
    seen_ms: int | None = None
    flag: str = ""
    error: str = ""
    implied: bool = False

    @property
    def duration_seconds(self) -> float | None:
        """Return how long it took."""
        if self.started_ms is None or self.ended_ms is None:
            return None
        return max(0, self.ended_ms - self.started_ms) / 1000


def attempts(record: Record, ends_of_run: Sequence[Sequence[Any]] = ()) -> list[Attempt]:
    """Return the tries in order. A run that ends ends the phases at work in it, unless they say so themselves."""
    words = [(word, False) for word in record.history]
    began = record.facts.get("active_ms")
    if began is not None and not _told_before(record, began):
        words.append(([began, RANKS["running"], "", "running", "", began, ""], False))
    words += [(list(word), True) for word in ends_of_run]
    found: list[Attempt] = []
    for word, implied in sorted(words, key=lambda pair: (pair[0][0], pair[0][1], pair[1], pair[0][2])):
        _fold(found, word, implied)
    return found


def _told_before(record: Record, at_ms: int) -> bool:
    """Tell whether words about the state explain what happened then; else it is the first sign of work."""
    return any(
        word[0] <= at_ms if word[3] == "running" else word[0] < at_ms and word[3] in catalogue.TERMINAL
        for word in record.history
    )


def _fold(found: list[Attempt], word: Sequence[Any], implied: bool) -> None:
    at_ms, _, _, state, flag, seen_ms, error = word
    last = found[-1] if found else None
    over = last is not None and last.state in catalogue.TERMINAL
    if state in catalogue.TERMINAL:
        if implied and (last is None or last.state not in ACTIVE):
            return
        if over and last is not None and not (last.implied and not implied):
            return
        if last is None:
            found.append(last := Attempt(state))
        last.state, last.ended_ms, last.seen_ms, last.flag, last.error = state, at_ms, seen_ms, flag, error
        last.implied = implied
    elif state == "running":
        if last is None or over:
            found.append(last := Attempt(state))
        last.state = state
        if last.started_ms is None:
            last.started_ms, last.begun_seen_ms = at_ms, seen_ms
    elif last is None:
        found.append(Attempt(state))
    elif not over:
        last.state = state


@dataclass(slots=True, kw_only=True)
class PhaseView:
    """A phase as people see it."""

    state: str
    progress: float | None
    step: int | None
    total_steps: int | None
    message: str
    metrics: dict[str, Any]
    warnings: list[str]
    error: str
    attempts: list[Attempt]
    last_ms: int | None

    @property
    def last(self) -> Attempt:
        """Return the present try."""
        return self.attempts[-1] if self.attempts else Attempt(self.state)


@dataclass(slots=True, kw_only=True)
class RunView:
    """A run as people see it."""

    state: str
    progress: float | None
    current_phase: str
    message: str
    error: str
    started_ms: int | None
    ended_ms: int | None
    planned: list[str]
    fields: dict[str, Any]
    phases: dict[str, PhaseView]
    positions: dict[str, int]


def _progress(record: Record, state: str, since_ms: int | None) -> float | None:
    if state == "succeeded":
        return 1.0
    told, step, total = record.get("progress", since_ms), record.get("step", since_ms), record.get("total_steps")
    if step is not None and total and (told is None or record.facts["step"][:3] > record.facts["progress"][:3]):
        return min(1.0, float(step) / float(total))
    return None if told is None else float(told)


def phase_view(phase: str, record: Record, ends_of_run: Sequence[Sequence[Any]] = ()) -> PhaseView:
    """Return a phase as its record, and the ends of its run, tell."""
    tries = attempts(record, ends_of_run)
    last = tries[-1] if tries else Attempt("pending")
    # What an earlier try reached says nothing about this one.
    since_ms = last.started_ms if len(tries) > 1 else None
    facts = record.facts.get("metrics", {})
    metrics = {name: fact[3] for name, fact in sorted(facts.items()) if since_ms is None or fact[0] >= since_ms}
    warnings = [last.flag] if last.flag else []
    warnings += ["unreported_end"] if last.implied and last.state == "succeeded" else []
    warnings += [str(text) for text in record.get("warnings", since_ms) or []]
    if last.state == "succeeded":
        warnings += [f"not met: {text}" for text in catalogue.shortfalls(phase, metrics)]
    return PhaseView(
        state=last.state, progress=_progress(record, last.state, since_ms), step=record.get("step", since_ms),
        total_steps=record.get("total_steps"), message=record.get("message", since_ms) or "", metrics=metrics,
        warnings=warnings, error=(record.get("error", since_ms) or "") if last.state == "failed" else "",
        attempts=tries, last_ms=record.facts.get("last_ms"),
    )  # fmt: skip


def run_view(run: Record, records: Mapping[str, Record]) -> RunView:
    """Return a run and its phases as their records tell."""
    ends = [word for word in run.history if word[3] in catalogue.TERMINAL]
    planned = [str(name) for name in run.get("phases") or []]
    spoken = [name for name, record in records.items() if record.spoken_of]
    positions = catalogue.positions(planned, spoken)
    phases = {name: phase_view(name, records.get(name) or Record(), ends) for name in positions}
    state, started_ms, ended_ms = _standing(run, planned, phases)
    return RunView(
        state=state, progress=_share(phases), current_phase=_current(phases, positions), started_ms=started_ms,
        ended_ms=ended_ms, planned=planned, phases=phases, positions=positions,
        message=run.get("message") or "", error=(run.get("error") or "") if state == "failed" else "",
        fields={name: run.get(name) for name in RUN_FIELDS},
    )  # fmt: skip


def _standing(run: Record, planned: list[str], phases: Mapping[str, PhaseView]) -> tuple[str, int | None, int | None]:
    tries = attempts(run)
    last = tries[-1] if tries else Attempt("queued")
    begun = [one.started_ms for view in phases.values() for one in view.attempts if one.started_ms is not None]
    started_ms = last.started_ms if last.started_ms is not None else min(begun, default=None)
    if last.state in catalogue.TERMINAL or last.state == "paused" or any(word[3] == "running" for word in run.history):
        return last.state, started_ms, last.ended_ms
    if planned and all(view.state in catalogue.TERMINAL for view in phases.values()):
        # Nobody spoke of the run itself, but all that was planned is over.
        ended = [view.last.ended_ms for view in phases.values() if view.last.ended_ms is not None]
        return _outcome(phases), started_ms, max(ended, default=None)
    return ("running" if begun or last.state == "running" else "queued"), started_ms, None


def _outcome(phases: Mapping[str, PhaseView]) -> str:
    states = {view.state for view in phases.values()}
    return next((state for state in ("failed", "cancelled") if state in states), "succeeded")


def _share(phases: Mapping[str, PhaseView]) -> float | None:
    if not phases:
        return None
    done = [1.0 if view.state == "skipped" else view.progress or 0.0 for view in phases.values()]
    return sum(done) / len(done)


def _current(phases: Mapping[str, PhaseView], positions: Mapping[str, int]) -> str:
    for wanted in (("running",), ("paused",), ("failed",)):
        found = [name for name, view in phases.items() if view.state in wanted]
        if found:
            return max(found, key=lambda name: (phases[name].last.started_ms or 0, positions[name]))
    return ""
