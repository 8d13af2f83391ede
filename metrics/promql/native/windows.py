"""Windows over series in which histograms stand beside numbers."""

from dataclasses import replace

import numpy as np

from metrics.native_histograms.resets import is_reset
from metrics.promql.native.cells import filled
from metrics.promql.operands import RangeValue
from metrics.promql.types import Bools, Floats, Histograms, Ints, SeriesColumns


def kept(columns: SeriesColumns, chosen: Bools) -> SeriesColumns:
    """Return only the chosen samples of each series; a series without any stays, empty."""
    before = np.concatenate(([0], np.cumsum(chosen, dtype=np.int64)))
    histograms = None if columns.histograms is None else columns.histograms[chosen]
    return SeriesColumns(
        columns.labels,
        before[columns.offsets],
        columns.timestamps_ms[chosen],
        columns.values[chosen],
        histograms,
        None if columns.starts_ms is None else columns.starts_ms[chosen],
    )


def only_numbers(ranged: RangeValue) -> RangeValue:
    """Return the windows without their histograms."""
    columns = ranged.columns
    if columns.histograms is None:
        return ranged
    numbers = kept(columns, ~filled(columns.histograms))
    return replace(ranged, columns=replace(numbers, histograms=None))


def only_histograms(ranged: RangeValue) -> RangeValue:
    """Return the windows without their numbers."""
    columns = ranged.columns
    histograms = np.full(columns.values.size, None, np.object_) if columns.histograms is None else columns.histograms
    return replace(ranged, columns=kept(replace(columns, histograms=histograms), filled(histograms)))


def starts_of_series(columns: SeriesColumns) -> Bools:
    """Tell which samples are the first of their series."""
    first = np.zeros(columns.values.size + 1, dtype=np.bool_)
    first[columns.offsets] = True
    return first[:-1]


def resets_before(columns: SeriesColumns, histograms: Histograms) -> Bools:
    """Tell before which histograms their counter was reset; between a histogram and a number there is no answer."""
    first = starts_of_series(columns)
    flags = np.zeros(columns.values.size, dtype=np.bool_)
    held = filled(histograms)
    for place in np.flatnonzero(held).tolist():
        if not first[place] and held[place - 1]:
            flags[place] = is_reset(histograms[place], histograms[place - 1])
    return flags


def counted_within(flags: Bools, begins: Ints, ends: Ints) -> Floats:
    """Count the flags behind the first sample of each window begins..ends-1 that is not empty."""
    before = np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))
    behind_first = np.minimum(begins + 1, ends)
    counts: Floats = (before[ends] - before[behind_first]).astype(np.float64)
    return counts
