"""Functions of counters over windows of numbers whose start times are known."""

import numpy as np

from metrics.promql.frames import Frame, argument_place
from metrics.promql.labels import NAME
from metrics.promql.native.notes import quoted
from metrics.promql.native.windows import counted_within
from metrics.promql.nodes import Call
from metrics.promql.operands import RangeValue, VectorValue
from metrics.promql.ranges.starting import kernels
from metrics.promql.types import Bools, Floats, Ints, SeriesColumns
from metrics.promql.windows.bounds import Windows, windows_over
from metrics.promql.windows.starts import falls, overlaps

GROWTH = {"rate": True, "increase": False}
OF_COUNTERS = frozenset({*GROWTH, "irate", "resets"})
OVERLAP = "sample has start time that overlaps with previous sample timestamp for metric "


def over_started(frame: Frame[Call], ranged: RangeValue) -> VectorValue:
    """Evaluate rate, increase, irate or resets; every series has a row."""
    name, columns = frame.node.name, ranged.columns
    windows = windows_over(columns, ranged.ends_ms, ranged.range_ms)
    counts = windows.counts
    out, present = np.zeros(counts.shape), np.zeros(counts.shape, dtype=np.bool_)
    rows = (windows.row, windows.lo, windows.hi)
    offsets, times, values = columns.offsets, columns.timestamps_ms, columns.values
    if name == "resets":
        out, present = resets_counted(columns, windows), counts > 0
    elif name == "irate":
        kernels.newest_growth(offsets, times, values, _so_far(columns), *rows, out)
        present = counts > 1
    else:
        starts = np.zeros(values.size, np.int64) if columns.starts_ms is None else columns.starts_ms
        edges = (ranged.ends_ms, ranged.range_ms)
        kernels.growth(offsets, times, starts, values, _so_far(columns), *rows, *edges, GROWTH[name], out, present)
    return VectorValue(columns.labels, out, present, np.ones(len(counts), dtype=np.bool_))


def resets_counted(columns: SeriesColumns, windows: Windows) -> Floats:
    """Count the resets in each window."""
    return _counted(falls(columns), columns, windows)


def tell_of_overlaps(frame: Frame[Call], ranged: RangeValue, vector: VectorValue) -> None:
    """Warn of samples that count time another start has counted already; `vector` has a row for every series."""
    columns = ranged.columns
    if columns.starts_ms is None or ranged.smoothing or frame.node.name not in GROWTH:
        return
    windows = windows_over(columns, ranged.ends_ms, ranged.range_ms)
    seen: Bools = (_counted(overlaps(columns), columns, windows) > 0) & vector.present
    if bool((ranged.ends_ms == ranged.ends_ms[0]).all()):
        # All steps ask about one instant, which is one question.
        seen = seen[:, :1]
    for row in np.flatnonzero(seen.any(axis=1)).tolist():
        text = OVERLAP + quoted(columns.labels[row].get(NAME, ""))
        frame.notes.warn_often(text, argument_place(frame, 0), int(seen[row].sum()))


def _counted(flags: Bools, columns: SeriesColumns, windows: Windows) -> Floats:
    base = columns.offsets[:-1, None]
    return counted_within(flags, base + windows.lo[windows.row], base + windows.hi[windows.row])


def _so_far(columns: SeriesColumns) -> Ints:
    return np.cumsum(falls(columns), dtype=np.int64)
