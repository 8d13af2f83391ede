"""What pages that follow a run ask, many times a second: read once for all who watch it in this process.

A run has a version that every change raises. Whoever asks first after a change reads what is new; the others share it,
and what was rendered from it. Nothing here is the truth: a process that forgets everything reads it again.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import DateTimeField, Func

from forge_dashboard import timing
from forge_dashboard.curves import RECORD
from forge_dashboard.models import Curve, CurveChunk, LogLine, PhaseRun, Run
from forge_dashboard.selectors.runs import RunDetail, RunRow, _bars, elapsed_seconds, run_detail, shown_state

KEPT_RUNS = 24
KEPT_LINES = 1_000
LINES_AT_ONCE = 500
FRESH_SECONDS = 0.05  # Doors ring pages at most so often; what is younger is new enough.
WHOLE_SECONDS = 1.0  # Gates, artifacts and what is usual change seldom: they are read at most so often.
LONGEST_SECONDS = 5.0  # Ages and silence go on without a change.

Record = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class CurveEnd:
    """The end of a curve in the order it came: `first` points lie before the ones kept here."""

    id: int
    phase: str
    name: str
    count: int
    first: int
    records: list[Record]

    def after(self, count: int) -> list[Record] | None:
        """Return what came after the first `count` points, None where that is not kept here."""
        return None if count < self.first or count > self.count else self.records[count - self.first :]


@dataclass(slots=True)
class Seen:
    """A run as it was read at one version.

    `shared` keeps what was made of it for all who ask; `lasting` goes on to later versions until a state changes or the
    whole is read again, which is a second later at most.
    """

    detail: RunDetail
    version: int
    read_at: datetime
    whole_at: float
    asked_at: float
    serial: int = 0
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    curves: dict[int, CurveEnd] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)
    lasting: dict[Any, Any] = field(default_factory=dict)

    @property
    def states(self) -> list[str]:
        """Return the states of the run and of its phases."""
        return [self.detail.state, *(phase.state for phase in self.detail.phases)]

    @property
    def last_line(self) -> int:
        """Return the id of the newest line."""
        return self.lines[-1].pk if self.lines else 0

    def lines_after(self, line_id: int) -> list[LogLine] | None:
        """Return the lines after an id, None where not all of them are kept."""
        if self.lines and len(self.lines) == KEPT_LINES and line_id < self.lines[0].pk:
            return None
        return [line for line in self.lines if line.pk > line_id]


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    seen: Seen | None = None


_places: OrderedDict[UUID, _Place] = OrderedDict()
_places_lock = threading.Lock()


def forget() -> None:
    """Forget everything that was read."""
    with _places_lock:
        _places.clear()


def _place(run_id: UUID) -> _Place:
    with _places_lock:
        place = _places.setdefault(run_id, _Place())
        _places.move_to_end(run_id)
        while len(_places) > KEPT_RUNS:
            _places.popitem(last=False)
        return place


def follow(viewer: Any, run_id: UUID) -> tuple[Seen, bool] | None:
    """Return a run as it stands and whether that may be behind by some moments; None where there is no such run.

    One query where nothing changed.
    """
    now_sql = Func(function="console_now", output_field=DateTimeField())
    found = Run.objects.filter(pk=run_id).values_list("version", now_sql).first()
    if found is None:
        return None
    version, now = found
    place = _place(run_id)
    seen = place.seen
    if seen is not None:
        age = time.monotonic() - seen.asked_at
        if seen.version >= version and age < LONGEST_SECONDS:
            return seen, False
        if age < FRESH_SECONDS:
            return seen, True
    with place.lock:
        if place.seen is not seen and place.seen is not None and place.seen.version >= version:
            return place.seen, False
        place.seen = _read(viewer, run_id, place.seen, now)
        return (place.seen, False) if place.seen else None


def _read(viewer: Any, run_id: UUID, old: Seen | None, now: datetime) -> Seen | None:
    asked, whole_at = time.monotonic(), old.whole_at if old else 0.0
    if old is None or asked - old.whole_at >= WHOLE_SECONDS:
        detail, whole_at = run_detail(viewer, run_id, now=now), asked
    else:
        detail = _moved_on(old.detail, now)
    if detail is None:
        return None
    run = detail.run
    made = Seen(detail, run.version, now, whole_at, asked, serial=old.serial + 1 if old else 0)
    if old is not None:
        made.lines.extend(old.lines)
        if old.whole_at == whole_at and old.states == made.states:
            made.lasting = old.lasting
    made.lines.extend(_lines(run, old))
    made.curves = _curves(run, old.curves if old else {})
    return made


def _moved_on(detail: RunDetail, now: datetime) -> RunDetail | None:
    run = Run.objects.select_related("source").defer("facts", "history").filter(pk=detail.run.pk).first()
    if run is None:
        return None
    phases = list(
        PhaseRun.objects.filter(run=run).defer("facts", "history", "counted").order_by("position", "phase")
    )  # fmt: skip
    elapsed, state = elapsed_seconds(run, now), shown_state(run, now)
    usual = detail.usual.of_run(run)
    left = timing.remaining(elapsed, run.progress, usual) if state == "running" and elapsed is not None else None
    row = RunRow(run, state, _bars(phases), elapsed, usual, left)
    return replace(detail, row=row, run=run, state=state, phases=phases)


def _lines(run: Run, old: Seen | None) -> list[LogLine]:
    rows = LogLine.objects.filter(run=run)
    if old is None:
        return list(rows.order_by("-pk")[:KEPT_LINES])[::-1]
    return list(rows.filter(pk__gt=old.last_line).order_by("pk")[:KEPT_LINES])


def _curves(run: Run, old: dict[int, CurveEnd]) -> dict[int, CurveEnd]:
    counts = dict(Curve.objects.filter(run=run).values_list("pk", "points"))
    grown = [pk for pk, count in counts.items() if pk not in old or old[pk].count != count]
    kept = {pk: end for pk, end in old.items() if pk in counts}
    return kept | {end.id: end for end in _ends(grown)}


def _ends(grown: Iterable[int]) -> Iterable[CurveEnd]:
    ids = list(grown)
    if not ids:
        return
    # Count and chunk come from one statement, so that they agree.
    rows = CurveChunk.objects.filter(curve__in=ids).order_by("curve_id", "-number").distinct("curve_id")
    for pk, phase, name, count, data in rows.values_list(
        "curve_id", "curve__phase", "curve__name", "curve__points", "data"
    ):
        records: list[Any] = np.frombuffer(bytes(data), RECORD).tolist()
        yield CurveEnd(pk, phase, name, count, count - len(records), records)
