"""Words and limits of the metrics app that several rooms share; no Django, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

METRIC_NAME_LABEL = "__name__"
MAX_LABELS = 40
MAX_NAME_BYTES = 1_024
MAX_VALUE_BYTES = 2_048
FINGERPRINT_BYTES = 16
METRIC_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row (or series) that was not stored, and why."""

    row: int
    reason: str
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a sender declared about a metric family."""

    family: str
    type: str
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class NewExemplar:
    """An exemplar as it arrives; `series` is the place of its labels in the batch."""

    series: int
    timestamp_ms: int
    value: float
    labels: dict[str, str]


@dataclass(slots=True)
class SeriesBatch:
    """What a decoded request or scrape brings: label sets (with `__name__`) and the samples that point at them.

    `histograms` is None where every sample is a number; else each element is the bytes of
    metrics.native_histograms.codec or None, and the value of a histogram is its count.
    """

    labels: list[dict[str, str]]
    sample_series: npt.NDArray[np.int64]
    timestamps_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    histograms: npt.NDArray[np.object_] | None = None
    exemplars: list[NewExemplar] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)


class BadSeries(ValueError):
    """Labels that cannot name a series."""


def _check_text(kind: str, text: str, limit: int) -> None:
    if len(text.encode()) > limit:
        raise BadSeries(f"{kind} is longer than {limit} bytes: {text[:40]}…")
    if "\0" in text:
        raise BadSeries(f"{kind} holds a NUL character: {text[:40]!r}")


def series_labels(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return sorted labels with a metric name; an empty value means the label is absent.

    Raises BadSeries where the limits or the rules of names are broken.
    """
    labels = dict(sorted(pairs))
    if len(labels) != len(pairs):
        raise BadSeries("a label name is given twice")
    labels = {name: value for name, value in labels.items() if value}
    if len(labels) > MAX_LABELS:
        raise BadSeries(f"{len(labels)} labels, at most {MAX_LABELS} are taken")
    for name, value in labels.items():
        _check_text("a label name", name, MAX_NAME_BYTES)
        _check_text(f"the value of label {name[:40]!r}", value, MAX_VALUE_BYTES)
    if "" in labels:
        raise BadSeries("a label name is empty")
    if METRIC_NAME_LABEL not in labels:
        raise BadSeries("the metric name is missing")
    _check_text("the metric name", labels[METRIC_NAME_LABEL], MAX_NAME_BYTES)
    return labels


def fingerprint(labels: Mapping[str, str]) -> bytes:
    """Return 16 bytes that name a series; labels must be sorted by name."""
    digest = blake2b(digest_size=FINGERPRINT_BYTES)
    for name, value in labels.items():
        # Lengths in front keep ("a", "bc") and ("ab", "c") apart.
        name_bytes, value_bytes = name.encode(), value.encode()
        digest.update(b"%d,%d:" % (len(name_bytes), len(value_bytes)))
        digest.update(name_bytes)
        digest.update(value_bytes)
    return digest.digest()


class NewSeries(NamedTuple):
    """A series as the store wants it: the name of its metric, and all its labels as JSON."""

    metric: str
    labels_json: bytes

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> tuple[bytes, "NewSeries"]:
        """Return the fingerprint and the names of a label set, which must be sorted."""
        return fingerprint(labels), cls(labels[METRIC_NAME_LABEL], orjson.dumps(labels))
