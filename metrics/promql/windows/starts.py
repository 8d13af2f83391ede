"""What start times of samples tell: where a counter began anew, and where two samples count the same time."""

import numpy as np

from metrics.promql.types import Bools, SeriesColumns


def restarts(columns: SeriesColumns) -> Bools:
    """Tell before which samples the counter began anew by its start times; never before the first of a series."""
    out = np.zeros(columns.values.size, dtype=np.bool_)
    if columns.starts_ms is not None and out.size > 1:
        start, at = columns.starts_ms[1:], columns.timestamps_ms[1:]
        start_before, before = columns.starts_ms[:-1], columns.timestamps_ms[:-1]
        # A start at the sample or behind it says nothing, as zero does.
        known = (start != 0) & (start < at)
        # Deltas begin where the sample before ended. So does a sample after one that did not know its start.
        follows = (start == before) & (start_before != 0) & (start_before < before)
        out[1:] = known & ((start > before) | follows)
        out[_firsts(columns)] = False
    return out


def overlaps(columns: SeriesColumns) -> Bools:
    """Tell which samples count from before the one before them on, but from another start than that one."""
    out = np.zeros(columns.values.size, dtype=np.bool_)
    if columns.starts_ms is not None and out.size > 1:
        start, start_before = columns.starts_ms[1:], columns.starts_ms[:-1]
        out[1:] = (start != 0) & (start < columns.timestamps_ms[:-1]) & (start != start_before)
        out[_firsts(columns)] = False
    return out


def falls(columns: SeriesColumns) -> Bools:
    """Tell before which numbers their counter was reset: by start times, or because it fell."""
    out = restarts(columns)
    if out.size > 1:
        fell = np.zeros(out.size, dtype=np.bool_)
        fell[1:] = columns.values[1:] < columns.values[:-1]
        fell[_firsts(columns)] = False
        out |= fell
    return out


def _firsts(columns: SeriesColumns) -> Bools:
    first = np.zeros(columns.values.size + 1, dtype=np.bool_)
    first[columns.offsets] = True
    return first[:-1]
