"""Range functions over windows that reach beyond their edges: `anchored` and `smoothed` selectors.

The samples of such a range begin a look-back before the window; those of a smoothed one end a look-back after it.
"""

import numpy as np

from metrics.promql.frames import Frame
from metrics.promql.nodes import Call
from metrics.promql.operands import RangeValue, VectorValue
from metrics.promql.ranges import kernels as plain
from metrics.promql.ranges.extending import kernels
from metrics.promql.ranges.starting.windows import resets_counted
from metrics.promql.types import Ints, QueryError, SeriesColumns
from metrics.promql.windows.bounds import Windows, wide_windows, windows_over

SAFE = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}
CHANGES = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
STEPS = {"changes": plain.CHANGES, "resets": plain.RESETS}


def refuse_unsafe(smoothing: str, name: str) -> None:
    """Refuse a function that cannot deal with samples outside its window."""
    if smoothing and name not in SAFE[smoothing]:
        safe = ", ".join(SAFE[smoothing])
        raise QueryError(f"{smoothing} modifier can only be used with: {safe} - not with {name}")


def over_extended(frame: Frame[Call], ranged: RangeValue) -> VectorValue:
    """Evaluate a function over anchored or smoothed windows of numbers; every series has a row."""
    name = frame.node.name
    if name in STEPS:
        return _steps(name, ranged)
    wide = wide_windows(ranged)
    counter, per_second = CHANGES[name]
    out, present = np.zeros(wide.counts.shape), np.zeros(wide.counts.shape, dtype=np.bool_)
    columns = ranged.columns
    kernels.changes(
        columns.offsets, columns.timestamps_ms, columns.values, wide.row, wide.lo, wide.hi, ranged.ends_ms,
        ranged.range_ms, ranged.smoothing == "smoothed", counter, per_second, out, present,
    )  # fmt: skip
    return VectorValue(columns.labels, out, present, np.ones(len(columns.labels), dtype=np.bool_))


def _steps(name: str, ranged: RangeValue) -> VectorValue:
    """Count changes or resets from the last sample before the window on."""
    columns = ranged.columns
    wide, inside = wide_windows(ranged), windows_over(columns, ranged.ends_ms, ranged.range_ms)
    lo = np.maximum(inside.lo - 1, wide.lo)
    out = np.zeros(inside.counts.shape)
    nothing = np.zeros(ranged.ends_ms.size)
    if name == "resets" and columns.starts_ms is not None:
        out = resets_counted(columns, Windows(inside.row, lo, inside.hi))
    else:
        plain.reduce_windows(STEPS[name], nothing, columns.offsets, columns.values, inside.row, lo, inside.hi, out)
    return VectorValue(columns.labels, out, inside.counts > 0, np.ones(len(columns.labels), dtype=np.bool_))


def stretched(ranged: RangeValue) -> SeriesColumns:
    """Return the samples of the first window with one at each of its edges, as a query for the range shows it."""
    columns, end = ranged.columns, int(ranged.ends_ms[0])
    wide = wide_windows(ranged)
    labels, times, values = [], [], []
    for row, names in enumerate(columns.labels):
        begin = int(columns.offsets[row])
        span = slice(begin + int(wide.lo[wide.row[row], 0]), begin + int(wide.hi[wide.row[row], 0]))
        at, held = kernels.stretched(
            columns.timestamps_ms[span], columns.values[span], end - ranged.range_ms, end,
            ranged.smoothing == "smoothed",
        )  # fmt: skip
        if at.size:
            labels.append(names)
            times.append(at)
            values.append(held)
    sizes = [0, *(part.size for part in times)]
    return SeriesColumns(
        labels,
        np.cumsum(sizes).astype(np.int64),
        np.concatenate([*times, np.empty(0, np.int64)]),
        np.concatenate([*values, np.empty(0)]),
    )


def interpolated(columns: SeriesColumns, ends_ms: Ints, lookback_ms: int) -> VectorValue:
    """Return the value between the samples around each step, as a smoothed selector of an instant does."""
    wide = windows_over(columns, ends_ms + lookback_ms, 2 * lookback_ms)
    out, present = np.zeros(wide.counts.shape), np.zeros(wide.counts.shape, dtype=np.bool_)
    kernels.between(
        columns.offsets, columns.timestamps_ms, columns.values, wide.row, wide.lo, wide.hi, ends_ms, out, present
    )
    return VectorValue(columns.labels, out, present, np.zeros(len(columns.labels), dtype=np.bool_))
