"""Counters whose samples know since when they count: kernels equal a plain reading of the definition."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.promql.annotations import Annotations
from metrics.promql.engine import evaluate
from metrics.promql.frames import Frame
from metrics.promql.memory import MemorySource
from metrics.promql.nodes import Call
from metrics.promql.operands import Grid, RangeValue
from metrics.promql.ranges.functions import over_range
from metrics.promql.ranges.starting import kernels
from metrics.promql.selection import joined
from metrics.promql.types import STALE_NAN, Limits, SeriesColumns
from metrics.promql.windows.bounds import contiguous, without_stale_markers

RANGE_MS = 50
GRID = Grid(20, 15, 12)
VALUES = st.integers(-40, 400).map(lambda number: number / 8)
# A start is a little before or after its sample, or not known.
SAMPLES = st.tuples(VALUES, st.one_of(st.none(), st.integers(-60, 5)))
ROWS = st.lists(
    st.dictionaries(st.integers(1, 200), SAMPLES, min_size=1, max_size=20).map(
        lambda row: [(at, value, 0 if shift is None else at + shift) for at, (value, shift) in sorted(row.items())]
    ),
    min_size=1,
    max_size=3,
)


def columns_of(rows):
    flat = [sample for row in rows for sample in row]
    return SeriesColumns(
        [{"__name__": "x_total", "i": str(place)} for place in range(len(rows))],
        np.cumsum([0, *(len(row) for row in rows)]),
        np.array([at for at, _, _ in flat], np.int64),
        np.array([value for _, value, _ in flat], np.float64),
        None,
        np.array([start for _, _, start in flat], np.int64),
    )


def is_reset(before, now):
    (at_before, value_before, start_before), (at, value, start) = before, now
    if value < value_before:
        return True
    if start == 0 or start >= at or start < at_before:
        return False
    return start > at_before or (start_before != 0 and start_before < at_before)


def growth(window, end, *, per_second):
    if not window:
        return None
    first_at, first, since = window[0]
    last_at, last, _ = window[-1]
    started = since != 0 and end - RANGE_MS < since < first_at
    if len(window) == 1 and not started:
        return None
    change = last - first + sum(a[1] for a, b in pairwise(window) if is_reset(a, b))
    sampled, spacing = (last_at - first_at) / 1000, (last_at - first_at) / 1000 / max(len(window) - 1, 1)
    before, after = (first_at - (end - RANGE_MS)) / 1000, (end - last_at) / 1000
    after = after if after < spacing * 1.1 else spacing / 2
    if started:
        change, sampled, before = change + first, (last_at - since) / 1000, 0
    else:
        before = before if before < spacing * 1.1 else spacing / 2
        if change > 0 and first >= 0:
            before = min(before, sampled * first / change)
    return change * (sampled + before + after) / sampled / (RANGE_MS / 1000 if per_second else 1)


def newest_growth(window):
    if len(window) < 2:
        return None
    before, now = window[-2:]
    change = now[1] if is_reset(before, now) else now[1] - before[1]
    return change / ((now[0] - before[0]) / 1000)


REFERENCES = {
    "rate": lambda window, end: growth(window, end, per_second=True),
    "increase": lambda window, end: growth(window, end, per_second=False),
    "irate": lambda window, _end: newest_growth(window),
    "resets": lambda window, _end: sum(is_reset(a, b) for a, b in pairwise(window)) if window else None,
}


def evaluated(name, columns, ends_ms=GRID.times_ms):
    notes = Annotations()
    ranged = RangeValue(contiguous(columns), np.zeros(len(columns.labels), np.bool_), ends_ms, RANGE_MS)
    return over_range(Frame(Call(name, ()), GRID, notes, Limits()), ranged, []), notes


@pytest.mark.parametrize("name", sorted(REFERENCES))
@given(rows=ROWS)
@settings(max_examples=80, deadline=None)
def test_a_function_of_counters_equals_its_reference(name, rows):
    vector, _ = evaluated(name, columns_of(rows))
    got = {labels["i"]: row for row, labels in enumerate(vector.labels)}
    for place, row in enumerate(rows):
        for step, end in enumerate(GRID.times_ms.tolist()):
            wanted = REFERENCES[name]([one for one in row if end - RANGE_MS < one[0] <= end], end)
            found = str(place) in got and vector.present[got[str(place)], step]
            assert found == (wanted is not None)
            if wanted is not None:
                assert vector.values[got[str(place)], step] == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(rows=ROWS)
@settings(max_examples=30, deadline=None)
def test_overlaps_are_counted_for_every_series_and_step(rows):
    _, notes = evaluated("rate", columns_of(rows))
    wanted = 0
    for row in rows:
        for end in GRID.times_ms.tolist():
            window = [one for one in row if end - RANGE_MS < one[0] <= end]
            wanted += any(b[2] != 0 and b[2] < a[0] and b[2] != a[2] for a, b in pairwise(window))
    assert sum(note.times for note in notes.warnings.values()) == wanted
    assert evaluated("irate", columns_of(rows))[1].warnings == {}


@given(rows=ROWS)
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_starts_that_are_not_known_change_nothing(name, rows):
    columns = columns_of(rows)
    plain = SeriesColumns(columns.labels, columns.offsets, columns.timestamps_ms, columns.values)
    columns.starts_ms = np.zeros_like(columns.timestamps_ms)
    here, there = evaluated(name, columns)[0], evaluated(name, plain)[0]
    assert here.labels == there.labels
    assert np.array_equal(here.present, there.present)
    assert here.values[here.present] == pytest.approx(there.values[there.present], rel=1e-12, abs=1e-12)


def test_starts_stay_with_their_samples():
    columns = columns_of([[(60, 1.0, 10), (120, STALE_NAN, 70), (180, 3.0, 130)]])
    assert without_stale_markers(columns).starts_ms.tolist() == [10, 130]
    source = MemorySource(columns)
    assert source.select([], 60, 120).starts_ms.tolist() == [10, 70]
    other = SeriesColumns([{"i": "other"}], np.array([0, 1]), np.array([5]), np.array([1.0]))
    assert joined([columns, other]).starts_ms.tolist() == [10, 70, 130, 0]
    assert joined([other]).starts_ms is None
    assert MemorySource(other).select([], 0, 10).starts_ms is None


def test_a_selection_without_series_has_no_start():
    query = {"start_ms": 0, "end_ms": 60, "step_ms": 10, "source": MemorySource(columns_of([[(60, 1.0, 10)]]))}
    assert evaluate("start_timestamp(none)", experimental=True, **query).labels == []
    found = evaluate("start_timestamp(x_total)", experimental=True, **query)
    assert found.labels == [{"i": "0"}]
    assert (found.values[0, -1], found.present[0].tolist()) == (0.01, [False] * 6 + [True])


def test_kernels_are_compiled_beforehand():
    kernels.warm_up()
    assert kernels.growth.signatures
    assert kernels.newest_growth.signatures
