"""Functions over windows in which there are histograms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from metrics.native_histograms.arithmetic import IncompatibleSchemas
from metrics.native_histograms.equality import equal
from metrics.native_histograms.model import Histogram
from metrics.native_histograms.resets import is_reset
from metrics.native_histograms.sums import Gathering, Mean, Sum, collide
from metrics.promql.annotations import Annotations
from metrics.promql.frames import Frame, argument_place
from metrics.promql.labels import NAME
from metrics.promql.native.cells import filled, no_histograms, places
from metrics.promql.native.dense_rates import rates_at_once
from metrics.promql.native.extending import at_instant, extended
from metrics.promql.native.notes import AGGREGATION, Speaker
from metrics.promql.native.rates import Edges, Run, extrapolated, instantaneous
from metrics.promql.native.windows import (
    counted_within,
    only_histograms,
    only_numbers,
    resets_before,
    starts_of_series,
)
from metrics.promql.nodes import Call, Place
from metrics.promql.operands import RangeValue, VectorValue
from metrics.promql.types import Bools, Histograms, Ints, SeriesColumns
from metrics.promql.windows.bounds import Windows, wide_windows, windows_over
from metrics.promql.windows.starts import restarts

# Evaluates the function over windows of numbers and returns every series, those without an answer too.
OverNumbers: TypeAlias = Callable[[RangeValue], VectorValue]
OfWindow: TypeAlias = Callable[["Mixed", int, int, Speaker], Histogram | None]
# Answers some windows of one series.
OfSeries: TypeAlias = Callable[["Mixed", int, list[int], Speaker], list[Histogram | None]]

EITHER = frozenset(
    {"count_over_time", "present_over_time", "absent_over_time", "ts_of_first_over_time", "ts_of_last_over_time"}
)
SAMPLES = frozenset({"first_over_time", "last_over_time"})
STEPS = frozenset({"changes", "resets"})
SUMS: dict[str, type[Sum] | type[Mean]] = {"sum_over_time": Sum, "avg_over_time": Mean}
EXTRAPOLATED = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
LAST_TWO = {"irate": True, "idelta": False}


@dataclass(slots=True)
class Mixed:
    """The windows of one call: all samples of a series, and where each window begins and ends among them."""

    frame: Frame[Call]
    ranged: RangeValue
    columns: SeriesColumns
    histograms: Histograms
    begins: Ints
    ends: Ints

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (series, steps)."""
        return self.begins.shape

    @property
    def counts(self) -> Ints:
        """Return how many samples each window has."""
        return self.ends - self.begins

    def speaker(self, row: int) -> Speaker:
        """Return who speaks for a series."""
        name = self.columns.labels[row].get(NAME, "")
        return Speaker(self.frame.notes, argument_place(self.frame, 0), name)


def _mixed(frame: Frame[Call], ranged: RangeValue) -> Mixed:
    columns = ranged.columns
    histograms = no_histograms(columns.values.shape) if columns.histograms is None else columns.histograms
    windows = windows_of(ranged)
    lo = windows.lo
    if ranged.smoothing and frame.node.name in STEPS:
        # A change is counted from the last sample before the window on.
        inside = windows_over(columns, ranged.ends_ms, ranged.range_ms)
        lo = np.maximum(inside.lo - 1, windows.lo)
    base = columns.offsets[:-1, None]
    return Mixed(frame, ranged, columns, histograms, base + lo[windows.row], base + windows.hi[windows.row])


def windows_of(ranged: RangeValue) -> Windows:
    """Return the windows, wider ones where the selector asks for it."""
    return wide_windows(ranged) if ranged.smoothing else windows_over(ranged.columns, ranged.ends_ms, ranged.range_ms)


def over_histograms(frame: Frame[Call], ranged: RangeValue, over_numbers: OverNumbers) -> VectorValue:
    """Evaluate a range function where some samples are histograms."""
    name = frame.node.name
    if name in EITHER:
        return over_numbers(replace(ranged, columns=replace(ranged.columns, histograms=None)))
    everything = _mixed(frame, ranged)
    if name in SAMPLES:
        return _sample(everything, over_numbers, last=name == "last_over_time")
    if name in STEPS:
        return _steps(everything, over_numbers)
    if name in LAST_TWO:
        return _last_two(everything, over_numbers)
    numbers, native = only_numbers(ranged), _mixed(frame, only_histograms(ranged))
    plain = over_numbers(numbers)
    windows = windows_of(numbers)
    both = (windows.counts > 0) & (native.counts > 0)
    if name in SUMS:
        return _beside(plain, both, native, _one_by_one(_gathered(SUMS[name])))
    if name in EXTRAPOLATED:
        return _beside(plain, both, native, _extrapolated(EXTRAPOLATED[name]))
    _tell_ignored(native, both)
    return plain


def _tell_ignored(native: Mixed, both: Bools) -> None:
    for row in np.flatnonzero(both.any(axis=1)).tolist():
        speaker = native.speaker(row)
        speaker.ignored_histograms()
        speaker.speak()


def _beside(plain: VectorValue, both: Bools, native: Mixed, of_series: OfSeries) -> VectorValue:
    """Put histograms beside numbers; a window with both has no answer."""
    out = no_histograms(native.shape)
    for row, steps in _rows((native.counts > 0) & ~both):
        speaker = native.speaker(row)
        for step, answer in zip(steps, of_series(native, row, steps, speaker), strict=True):
            out[row, step] = answer
        speaker.speak()
    for row in np.flatnonzero(both.any(axis=1)).tolist():
        speaker = native.speaker(row)
        speaker.mixed_types()
        speaker.speak()
    held = filled(out)
    return VectorValue(plain.labels, plain.values, (plain.present & ~both) | held, plain.drops_name, out)


def _rows(mask: Bools) -> Iterator[tuple[int, list[int]]]:
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        yield row, np.flatnonzero(mask[row]).tolist()


def _one_by_one(of_window: OfWindow) -> OfSeries:
    return lambda native, row, steps, speaker: [of_window(native, row, step, speaker) for step in steps]


def _gathered(kind: type[Sum] | type[Mean]) -> OfWindow:
    def of_window(native: Mixed, row: int, step: int, speaker: Speaker) -> Histogram | None:
        points = native.histograms[native.begins[row, step] : native.ends[row, step]].tolist()
        gathering: Gathering = kind(points[0])
        try:
            for point in points[1:]:
                gathering.add(point)
        except IncompatibleSchemas:
            speaker.mixed_schemas(alone=False)
            return None
        if collide(gathering.hints):
            speaker.hints_collide(AGGREGATION)
        if gathering.bounds_differ:
            speaker.bounds_reconciled(AGGREGATION)
        return gathering.result(compact=False)

    return of_window


def _extrapolated(how: tuple[bool, bool]) -> OfSeries:
    counter, per_second = how

    def of_series(native: Mixed, row: int, steps: list[int], speaker: Speaker) -> list[Histogram | None]:
        begin, end = (int(place) for place in native.columns.offsets[row : row + 2])
        points, times = native.histograms[begin:end].tolist(), native.columns.timestamps_ms[begin:end]
        first, last = native.begins[row, steps] - begin, native.ends[row, steps] - 1 - begin
        ends_ms = native.ranged.ends_ms[steps]
        starts = native.columns.starts_ms if counter and not native.ranged.smoothing else None
        if not native.ranged.smoothing and starts is None:
            enough = last > first
            windows = (first[enough], last[enough], ends_ms[enough])
            found = rates_at_once(points, times, windows, (native.ranged.range_ms, counter, per_second), speaker)
            if found is not None:
                answers = iter(found)
                return [next(answers) if one else None for one in enough.tolist()]
        resets = [False] * len(points)
        if counter:
            resets[1:] = [is_reset(point, before) for before, point in pairwise(points)]
        since = np.zeros(len(points), np.int64) if starts is None else starts[begin:end]
        if starts is not None:
            resets = (restarts(native.columns)[begin:end] | np.array(resets, np.bool_)).tolist()
        return [
            _stretched(
                native.ranged,
                Run(points[low : high + 1], resets[low : high + 1], times[low : high + 1].tolist(), int(since[low])),
                Edges(at - native.ranged.range_ms, at, counter, per_second),
                speaker,
            )
            for low, high, at in zip(first.tolist(), last.tolist(), ends_ms.tolist(), strict=True)
        ]

    return of_series


def _stretched(ranged: RangeValue, run: Run, edges: Edges, speaker: Speaker) -> Histogram | None:
    if ranged.smoothing:
        return extended(run, edges, speaker, smoothed=ranged.smoothing == "smoothed")
    return extrapolated(run, edges, speaker)


def _sample(everything: Mixed, over_numbers: OverNumbers, *, last: bool) -> VectorValue:
    plain = over_numbers(replace(everything.ranged, columns=replace(everything.columns, histograms=None)))
    out = no_histograms(everything.shape)
    for row, step in places(everything.counts > 0):
        place = everything.ends[row, step] - 1 if last else everything.begins[row, step]
        out[row, step] = everything.histograms[place]
    return VectorValue(plain.labels, plain.values, plain.present, plain.drops_name, out)


def _steps(everything: Mixed, over_numbers: OverNumbers) -> VectorValue:
    """Count resets or changes; from a number to a histogram or back is one."""
    columns, held = everything.columns, filled(everything.histograms)
    name = everything.frame.node.name
    flags = resets_before(columns, everything.histograms) if name == "resets" else _changes(everything)
    values = columns.values
    inner = ~starts_of_series(columns)
    inner[:1] = False
    numbers = inner & ~held & ~np.concatenate(([False], held[:-1]))
    before = np.concatenate((values[:1], values[:-1]))
    both_unknown = np.isnan(values) & np.isnan(before)
    differs = values < before if name == "resets" else (values != before) & ~both_unknown
    if name == "resets":
        differs, flags = differs | restarts(columns), flags | restarts(columns)
    flags = np.where(numbers, differs, flags) | (inner & (held != np.concatenate((held[:1], held[:-1]))))
    plain = over_numbers(replace(everything.ranged, columns=replace(columns, histograms=None)))
    counts = counted_within(flags, everything.begins, everything.ends)
    return VectorValue(plain.labels, counts, plain.present, plain.drops_name)


def _changes(everything: Mixed) -> Bools:
    held, first = filled(everything.histograms), starts_of_series(everything.columns)
    flags = np.zeros(held.size, dtype=np.bool_)
    for place in np.flatnonzero(held).tolist():
        if not first[place] and held[place - 1]:
            flags[place] = not equal(everything.histograms[place], everything.histograms[place - 1])
    return flags


def _last_two(everything: Mixed, over_numbers: OverNumbers) -> VectorValue:
    """Evaluate irate and idelta, which look at the last two samples only."""
    plain = over_numbers(replace(everything.ranged, columns=replace(everything.columns, histograms=None)))
    rate = LAST_TWO[everything.frame.node.name]
    columns = everything.columns
    resets = resets_before(columns, everything.histograms) | restarts(columns) if rate else None
    out, dropped = no_histograms(everything.shape), np.zeros(everything.shape, dtype=np.bool_)
    for row, steps in _rows(everything.counts > 1):
        speaker = everything.speaker(row)
        # Prometheus speaks of all arguments here; there is only one.
        for step in steps:
            last = int(everything.ends[row, step]) - 1
            pair = everything.histograms[last - 1 : last + 1].tolist()
            if pair == [None, None]:
                continue
            dropped[row, step] = True
            if None in pair:
                speaker.mixed_types()
                continue
            reset = resets is not None and bool(resets[last])
            times = columns.timestamps_ms[last - 1 : last + 1].tolist()
            out[row, step] = instantaneous(Run(pair, (False, reset), times), speaker, rate=rate)
        speaker.speak()
    held = filled(out)
    return VectorValue(plain.labels, plain.values, (plain.present & ~dropped) | held, plain.drops_name, out)


def smoothed_instants(notes: Annotations, place: Place, ranged: RangeValue, over_numbers: OverNumbers) -> VectorValue:
    """Return for each step the sample between those around it; a window with both kinds has no answer."""
    if ranged.columns.histograms is None:
        return over_numbers(ranged)
    numbers, natives = only_numbers(ranged), only_histograms(ranged)
    plain, windows = over_numbers(numbers), windows_of(natives)
    both = (windows_of(numbers).counts > 0) & (windows.counts > 0)
    columns, out = natives.columns, no_histograms(both.shape)
    histograms = no_histograms((0,)) if columns.histograms is None else columns.histograms
    for row, steps in _rows(windows.counts > 0):
        speaker = Speaker(notes, place, columns.labels[row].get(NAME, ""))
        base, of = int(columns.offsets[row]), int(windows.row[row])
        for step in steps:
            if both[row, step]:
                speaker.mixed_types()
                continue
            part = slice(base + int(windows.lo[of, step]), base + int(windows.hi[of, step]))
            run = Run(histograms[part].tolist(), (), columns.timestamps_ms[part].tolist())
            out[row, step] = at_instant(run, int(ranged.ends_ms[step]), speaker)
        speaker.speak()
    return VectorValue(plain.labels, plain.values, (plain.present & ~both) | filled(out), plain.drops_name, out)
