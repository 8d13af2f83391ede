"""How many series a metric has and which label makes them, from the catalogue in memory."""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.domain import METRIC_NAME_LABEL
from metrics.promql.types import Matcher
from metrics.store.catalogue import Catalogue, Found

Hashes = npt.NDArray[np.uint64]
# What a metric would have without a label is found by sorting its series once a label: beyond this many, of the first.
MOST_COMPARED = 200_000
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True, slots=True)
class MetricSize:
    """A metric, its series, the number of values each of its labels has, and how many series have the label."""

    name: str
    metric_id: int
    series: int
    labels: dict[str, int]
    having: dict[str, int]


@dataclass(frozen=True, slots=True)
class LabelShare:
    """One label of a metric: its values, the most frequent of them, and how many series there were without it.

    `new` of its values came within the day; they are what makes series come and go.
    """

    name: str
    values: int
    series: int
    without: int
    new: int
    top: list[tuple[str, int]]

    def factor(self, series: int) -> float:
        """Return how many series each series without this label became."""
        return series / max(1, self.without)


@dataclass(frozen=True, slots=True)
class MetricLabels:
    """The labels of a metric, the one that makes the most series first; `compared` of its series were looked at."""

    series: int
    compared: int
    labels: list[LabelShare]


def metric_sizes(catalogue: Catalogue) -> list[MetricSize]:
    """Return the size of every metric of a refreshed catalogue."""
    return [_size(catalogue, found) for found in catalogue.find(())]


def _size(catalogue: Catalogue, found: Found) -> MetricSize:
    # Counted again only when a series came: a metric that loses one has new columns.
    kept = found.columns.counted
    if isinstance(kept, MetricSize) and kept.series == found.rows.size:
        return kept
    labels: dict[str, int] = {}
    having: dict[str, int] = {}
    for label in list(found.columns.labels):
        codes = catalogue.codes(found, label)
        if values := int(np.count_nonzero(np.unique(codes))):
            labels[label], having[label] = values, int(np.count_nonzero(codes))
    size = MetricSize(found.columns.name, found.columns.metric_id, int(found.rows.size), labels, having)
    found.columns.counted = size
    return size


def metric_labels(
    catalogue: Catalogue, name: str, *, limit: int, first_new_id: int | None = None
) -> MetricLabels | None:
    """Return the labels of one metric with their most frequent values, None where it has no series.

    Ids of one metric grow: from `first_new_id` on they are of this day.
    """
    matching = catalogue.find([Matcher(METRIC_NAME_LABEL, "=", name)])
    if not matching:
        return None
    found = matching[0]
    compared = min(int(found.rows.size), MOST_COMPARED)
    columns = {label: catalogue.codes(found, label) for label in list(found.columns.labels)}
    hashes = {label: _hashed(codes[:compared], place) for place, (label, codes) in enumerate(columns.items(), 1)}
    whole = np.zeros(compared, np.uint64)
    for part in hashes.values():
        whole += part
    labels = []
    is_new = np.zeros(found.ids.size, np.bool_) if first_new_id is None else found.ids >= first_new_id
    for label, codes in columns.items():
        texts, counts = catalogue.value_counts(found, label)
        top = heapq.nsmallest(limit, zip(texts, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
        without = int(np.unique(whole - hashes[label]).size)
        new = int(np.count_nonzero(np.setdiff1d(codes[is_new], codes[~is_new])))
        labels.append(LabelShare(label, len(texts), int(np.count_nonzero(codes)), without, new, top))
    kept = sorted((one for one in labels if one.values), key=lambda one: (one.without, -one.values, one.name))
    return MetricLabels(int(found.rows.size), compared, kept)


def _hashed(codes: npt.NDArray[np.int32], place: int) -> Hashes:
    """Return a number for each code of a label that adds up with those of the other labels to one of the whole set."""
    mixed = (codes.astype(np.uint64) + np.uint64(1)) * _SPREAD + np.uint64(place << 33)
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX
    return np.asarray(mixed ^ (mixed >> np.uint64(29)), np.uint64)
