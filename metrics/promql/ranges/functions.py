"""Functions over a range vector, by name."""

import numpy as np

from metrics.promql.frames import Frame
from metrics.promql.native.cells import numbers_of
from metrics.promql.native.ranges import over_histograms
from metrics.promql.nodes import Call
from metrics.promql.operands import RangeValue, ScalarValue, VectorValue
from metrics.promql.ranges import kernels
from metrics.promql.ranges.extending.windows import over_extended, refuse_unsafe
from metrics.promql.ranges.remarks import tell_of_numbers
from metrics.promql.ranges.starting.windows import OF_COUNTERS, over_started, tell_of_overlaps
from metrics.promql.types import Bools, Floats, QueryError
from metrics.promql.windows.bounds import Windows, windows_over

STATISTICS = {
    "sum_over_time": kernels.SUM,
    "avg_over_time": kernels.AVG,
    "count_over_time": kernels.COUNT,
    "last_over_time": kernels.LAST,
    "first_over_time": kernels.FIRST,
    "stdvar_over_time": kernels.STDVAR,
    "stddev_over_time": kernels.STDDEV,
    "mad_over_time": kernels.MAD,
    "quantile_over_time": kernels.QUANTILE,
    "changes": kernels.CHANGES,
    "resets": kernels.RESETS,
}
EXTREMES = {"min_over_time": False, "max_over_time": True}
INSTANTS = {
    "ts_of_max_over_time": kernels.TS_OF_MAX,
    "ts_of_min_over_time": kernels.TS_OF_MIN,
    "ts_of_last_over_time": kernels.TS_OF_LAST,
    "ts_of_first_over_time": kernels.TS_OF_FIRST,
}
CHANGE_OVER_WINDOW = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}
CHANGE_AT_END = {"irate": True, "idelta": False}
REGRESSIONS = {"deriv": False, "predict_linear": True}
KEEPS_NAME = frozenset({"last_over_time", "first_over_time"})
RANGE_FUNCTIONS = frozenset(
    {*STATISTICS, *EXTREMES, *INSTANTS, *CHANGE_OVER_WINDOW, *CHANGE_AT_END, *REGRESSIONS}
    | {"present_over_time", "absent_over_time", "double_exponential_smoothing"}
)


def over_range(frame: Frame[Call], ranged: RangeValue, scalars: list[ScalarValue]) -> VectorValue:
    """Evaluate one range function; `scalars` are its other arguments in order."""
    refuse_unsafe(ranged.smoothing, frame.node.name)
    if ranged.columns.histograms is None:
        vector = _over_numbers(frame, ranged, scalars)
    else:
        vector = over_histograms(frame, ranged, lambda part: _over_numbers(frame, part, scalars))
    tell_of_overlaps(frame, ranged, vector)
    tell_of_numbers(frame, numbers_of(vector).answered(), scalars)
    return vector.answered()


def _over_numbers(frame: Frame[Call], ranged: RangeValue, scalars: list[ScalarValue]) -> VectorValue:
    """Evaluate over windows of numbers; every series has a row."""
    if ranged.smoothing:
        return over_extended(frame, ranged)
    name = frame.node.name
    if ranged.columns.starts_ms is not None and name in OF_COUNTERS:
        return over_started(frame, ranged)
    windows = windows_over(ranged.columns, ranged.ends_ms, ranged.range_ms)
    out = np.zeros((len(windows.row), windows.lo.shape[1]))
    needed = _fill(frame, ranged, [scalar.values for scalar in scalars], windows, out)
    drops: Bools = ranged.drops_name if name in KEEPS_NAME else np.ones(len(out), dtype=np.bool_)
    return VectorValue(ranged.columns.labels, out, windows.holding(needed), drops)


def _fill(frame: Frame[Call], ranged: RangeValue, numbers: list[Floats], windows: Windows, out: Floats) -> int:
    """Fill `out` and return how many samples a window needs."""
    name, grid = frame.node.name, frame.grid
    columns, at = ranged.columns, (windows.row, windows.lo, windows.hi)
    offsets, times, values = columns.offsets, columns.timestamps_ms, columns.values
    if name in EXTREMES:
        kernels.sliding_extremes(EXTREMES[name], offsets, values, *at, out)
        return 1
    if name in STATISTICS:
        parameters = numbers[0] if numbers else np.zeros(grid.count)
        kernels.reduce_windows(STATISTICS[name], parameters, offsets, values, *at, out)
        return 1
    if name in INSTANTS:
        kernels.window_instants(INSTANTS[name], offsets, times, values, *at, out)
        return 1
    if name in CHANGE_OVER_WINDOW:
        counter, per_second = CHANGE_OVER_WINDOW[name]
        edges = (ranged.ends_ms, ranged.range_ms)
        kernels.extrapolated(offsets, values, *at, *windows.times, *edges, counter, per_second, out)
        return 2
    if name in CHANGE_AT_END:
        kernels.instantaneous(offsets, times, values, *at, CHANGE_AT_END[name], out)
        return 2
    if name in REGRESSIONS:
        ahead = numbers[0] if numbers else np.zeros(grid.count)
        kernels.regressions(offsets, times, values, *at, grid.times_ms, ahead, REGRESSIONS[name], out)
        return 2
    if name == "double_exponential_smoothing":
        level, trend = numbers
        if bool((windows.counts > 0).any()):
            _refuse_bad_factors(level, trend)
        kernels.smoothed(offsets, values, *at, level, trend, out)
        return 2
    out[:] = 1.0
    return 1


def _refuse_bad_factors(level: Floats, trend: Floats) -> None:
    for what, short, factor in (("smoothing", "sf", level), ("trend", "tf", trend)):
        outside = factor[(factor <= 0) | (factor >= 1)]
        if outside.size:
            raise QueryError(f"invalid {what} factor. Expected: 0 < {short} < 1, got: {outside[0]:f}")
