"""Functions that read numbers from histograms."""

from collections.abc import Callable

import numpy as np

from metrics.native_histograms.model import Histogram
from metrics.native_histograms.reading import NanNote, deviation, fraction, mean, quantile, variance
from metrics.native_histograms.text import general
from metrics.promql.annotations import INVALID_QUANTILE, Annotations
from metrics.promql.labels import NAME
from metrics.promql.native.cells import histograms_of, places
from metrics.promql.native.notes import for_metric
from metrics.promql.nodes import Place
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Floats

READINGS: dict[str, Callable[[Histogram], float]] = {
    "histogram_count": lambda histogram: histogram.count,
    "histogram_sum": lambda histogram: histogram.sum,
    "histogram_avg": mean,
    "histogram_stddev": deviation,
    "histogram_stdvar": variance,
}
NAN_NOTES = {
    NanNote.UNKNOWN: "input to histogram_quantile has NaN observations, result is NaN",
    NanNote.SKEWED: "input to histogram_quantile has NaN observations, result is skewed higher",
}
NAN_IN_FRACTION = "input to histogram_fraction has NaN observations, which are excluded from all fractions"


def warn_of_bad_quantiles(notes: Annotations, q: Floats, place: Place) -> None:
    """Say which quantiles there cannot be."""
    for value in np.unique(q[~((q >= 0) & (q <= 1))]).tolist():
        notes.warn(f"{INVALID_QUANTILE}, got {general(value)}", place)


def native_quantiles(notes: Annotations, q: Floats, vector: VectorValue, cells: Bools, place: Place) -> VectorValue:
    """Return the quantile q of each histogram among the cells."""
    values = np.zeros(cells.shape)
    histograms = histograms_of(vector)
    for row, step in places(cells):
        values[row, step], note = quantile(float(q[step]), histograms[row, step])
        if note in NAN_NOTES:
            notes.inform(NAN_NOTES[note] + for_metric(vector.labels[row].get(NAME, "")), place)
    return VectorValue(vector.labels, values, cells, np.ones(len(vector.labels), dtype=np.bool_))


def native_fractions(
    notes: Annotations, limits: tuple[Floats, Floats], vector: VectorValue, cells: Bools, place: Place
) -> VectorValue:
    """Return the share of each histogram's observations between two values."""
    values = np.zeros(cells.shape)
    histograms = histograms_of(vector)
    for row, step in places(cells):
        lower, upper = (float(limit[step]) for limit in limits)
        values[row, step], some_are_nan = fraction(lower, upper, histograms[row, step])
        if some_are_nan:
            notes.inform(NAN_IN_FRACTION + for_metric(vector.labels[row].get(NAME, "")), place)
    return VectorValue(vector.labels, values, cells, np.ones(len(vector.labels), dtype=np.bool_))
