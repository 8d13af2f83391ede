"""Exponential histograms of OpenTelemetry as native histograms."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from metrics.native_histograms.layout import side_of
from metrics.native_histograms.model import MAX_SCHEMA, MIN_SCHEMA, Histogram
from metrics.native_histograms.validation import InvalidHistogram, validate_sent
from metrics.wire.otlp.rows import BadPoint

MAX_BUCKETS = 2_000
# What a sender means who names no threshold: the smallest that Prometheus' own clients use.
DEFAULT_ZERO_THRESHOLD = 1e-128
# The indices a bucket of finite numbers can have at schema 8, with room for those senders round.
MAX_INDEX = 1 << 20
Buckets = dict[int, float]


def native_of(point: Any) -> Histogram:
    """Return the histogram of a data point; raises BadPoint."""
    if point.scale < MIN_SCHEMA:
        raise BadPoint(f"an exponential histogram has the scale {point.scale}, the least that is taken is {MIN_SCHEMA}")
    down = max(0, point.scale - MAX_SCHEMA)
    positive, negative = _buckets(point.positive, down), _buckets(point.negative, down)
    total = point.zero_count + sum(positive.values()) + sum(negative.values())
    if total != point.count:
        raise BadPoint("the buckets of an exponential histogram add up to another number than its count")
    made = Histogram(
        point.scale - down, float(point.count), point.sum, _threshold(point.zero_threshold),
        float(point.zero_count), *side_of(positive, compact=True), *side_of(negative, compact=True),
    )  # fmt: skip
    try:
        validate_sent(made, whole=True)
    except InvalidHistogram as error:
        raise BadPoint(str(error)) from None
    return made


def _threshold(sent: float) -> float:
    if not math.isfinite(sent) or sent < 0:
        raise BadPoint("the zero threshold of an exponential histogram is not a number from 0")
    return sent or DEFAULT_ZERO_THRESHOLD


def _buckets(side: Any, down: int) -> Buckets:
    """Return the filled buckets by Prometheus' index, which is one more: there a bucket ends at its bound."""
    counts: Sequence[int] = side.bucket_counts
    if len(counts) > MAX_BUCKETS:
        raise BadPoint(f"a histogram has {len(counts)} buckets, at most {MAX_BUCKETS} are taken")
    if not counts:
        return {}
    if abs(side.offset >> down) > MAX_INDEX:
        raise BadPoint("the buckets of an exponential histogram lie beyond all numbers")
    found: Buckets = {}
    for index in np.flatnonzero(np.array(counts, np.uint64)).tolist():
        place = ((side.offset + index) >> down) + 1
        found[place] = found.get(place, 0.0) + counts[index]
    return found
