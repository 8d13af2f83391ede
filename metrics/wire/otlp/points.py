"""Data points of each type to rows."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metrics.domain import METRIC_NAME_LABEL, NewExemplar
from metrics.promql.types import STALE_NAN
from metrics.wire.otlp.attributes import number_text, texts_of
from metrics.wire.otlp.histograms import MAX_BUCKETS, native_of
from metrics.wire.otlp.labels import Origin
from metrics.wire.otlp.naming import BadName
from metrics.wire.otlp.rows import BadPoint, Rows, Translation

Point = Any
Labels = dict[str, str]
NO_RECORDED_VALUE = 1
MAX_EXEMPLAR_CHARACTERS = 128
OUT_OF_WINDOW = "timestamp outside the window of this door"


@dataclass(frozen=True, slots=True)
class Family:
    """The metric the points belong to."""

    name: str
    origin: Origin
    translation: Translation
    is_delta: bool = False
    is_monotonic: bool = False

    def since_ms(self, point: Point) -> int | None:
        """Return the moment since when a delta counts, None for what is no delta."""
        return point.start_time_unix_nano // 1_000_000 if self.is_delta else None


Write = Callable[[Rows, Family, Point, int, Labels], None]


def points_write(rows: Rows, family: Family, points: Sequence[Point], write: Write) -> None:
    """Add the rows of these points; those that are bad are counted with their reason."""
    for point in points:
        rows.points += 1
        try:
            time_ms = point.time_unix_nano // 1_000_000
            if not family.translation.low_ms <= time_ms <= family.translation.high_ms:
                raise BadPoint(OUT_OF_WINDOW)
            labels = family.origin.labels(point.attributes)
            if point.flags & NO_RECORDED_VALUE:
                _stale(rows, family, point, time_ms, labels)
            else:
                write(rows, family, point, time_ms, labels)
        except (BadPoint, BadName) as error:
            rows.refused[str(error)] += 1


def number(rows: Rows, family: Family, point: Point, time_ms: int, labels: Labels) -> None:
    """Take a point of a gauge or a sum."""
    value = _value_of(point)
    if family.is_delta:
        _check_delta(value, family.is_monotonic)
    labels[METRIC_NAME_LABEL] = family.name
    since = family.since_ms(point)
    row = rows.add(labels, time_ms, value, delta_from_ms=since)
    _exemplars(rows, point, time_ms, lambda _: row)


def _value_of(point: Point) -> float:
    kind = point.WhichOneof("value")
    if kind is None:
        raise BadPoint("a data point has no value")
    return float(getattr(point, kind))


def _check_delta(value: float, monotonic: bool) -> None:
    if not math.isfinite(value):
        raise BadPoint("a delta is not a finite number")
    if monotonic and value < 0:
        raise BadPoint("a delta of a monotonic sum is negative")


def histogram(rows: Rows, family: Family, point: Point, time_ms: int, labels: Labels) -> None:
    """Take a point with explicit bounds: `_bucket`, `_sum` and `_count`."""
    bounds, counts = _checked_buckets(point)
    if family.is_delta:
        _check_delta(point.sum, monotonic=False)
    total, buckets = 0, []
    for bound, count in zip(bounds, counts, strict=False):
        total += count
        buckets.append((number_text(bound), float(total)))
    buckets.append(("+Inf", float(point.count)))
    first, since = len(rows.labels), family.since_ms(point)
    for bound_text, value in buckets:
        rows.add(_named(labels, family, "_bucket", le=bound_text), time_ms, value, delta_from_ms=since)
    if point.HasField("sum"):
        rows.add(_named(labels, family, "_sum"), time_ms, point.sum, delta_from_ms=since)
    rows.add(_named(labels, family, "_count"), time_ms, float(point.count), delta_from_ms=since)
    _exemplars(rows, point, time_ms, lambda value: first + bisect_left(bounds, value))


def _checked_buckets(point: Point) -> tuple[Sequence[float], Sequence[int]]:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if len(bounds) >= MAX_BUCKETS:
        raise BadPoint(f"a histogram has {len(bounds) + 1} buckets, at most {MAX_BUCKETS} are taken")
    if counts and len(counts) != len(bounds) + 1:
        raise BadPoint(f"a histogram has {len(bounds)} bounds and {len(counts)} bucket counts, one more is needed")
    if not all(map(math.isfinite, bounds)) or any(low >= high for low, high in itertools.pairwise(bounds)):
        raise BadPoint("the bounds of a histogram are not finite numbers that rise")
    if counts and sum(counts) != point.count:
        raise BadPoint("the buckets of a histogram add up to another number than its count")
    return (bounds, counts) if counts else ([], [])


def exponential(rows: Rows, family: Family, point: Point, time_ms: int, labels: Labels) -> None:
    """Take a point of an exponential histogram: one native histogram."""
    native = native_of(point)
    if family.is_delta:
        _check_delta(native.sum, monotonic=False)
    labels[METRIC_NAME_LABEL] = family.name
    row = rows.add_histogram(labels, time_ms, native, delta_from_ms=family.since_ms(point))
    _exemplars(rows, point, time_ms, lambda _: row)


def summary(rows: Rows, family: Family, point: Point, time_ms: int, labels: Labels) -> None:
    """Take a point of a summary: quantiles, `_sum` and `_count`."""
    if len(point.quantile_values) > MAX_BUCKETS:
        raise BadPoint(f"a summary has {len(point.quantile_values)} quantiles, at most {MAX_BUCKETS} are taken")
    for one in point.quantile_values:
        rows.add(_named(labels, family, "", quantile=number_text(one.quantile)), time_ms, one.value)
    rows.add(_named(labels, family, "_sum"), time_ms, point.sum)
    rows.add(_named(labels, family, "_count"), time_ms, float(point.count))


def _named(labels: Mapping[str, str], family: Family, suffix: str, **more: str) -> Labels:
    return {**labels, **more, METRIC_NAME_LABEL: family.name + suffix}


def _stale(rows: Rows, family: Family, point: Point, time_ms: int, labels: Labels) -> None:
    """Mark the series of a point that had nothing to record."""
    names = point.DESCRIPTOR.fields_by_name
    if "explicit_bounds" in names:
        bounds = [*map(number_text, point.explicit_bounds[:MAX_BUCKETS]), "+Inf"]
        series = [_named(labels, family, "_bucket", le=bound) for bound in bounds]
        series += [_named(labels, family, "_sum"), _named(labels, family, "_count")]
    elif "quantile_values" in names:
        quantiles = [number_text(one.quantile) for one in point.quantile_values[:MAX_BUCKETS]]
        series = [_named(labels, family, "", quantile=quantile) for quantile in quantiles]
        series += [_named(labels, family, "_sum"), _named(labels, family, "_count")]
    else:
        series = [_named(labels, family, "")]
    for named in series:
        rows.add(named, time_ms, STALE_NAN)


def _exemplars(rows: Rows, point: Point, time_ms: int, place: Callable[[float], int]) -> None:
    for one in point.exemplars:
        kind = one.WhichOneof("value")
        if kind is not None:
            value = float(getattr(one, kind))
            at_ms = one.time_unix_nano // 1_000_000 or time_ms
            rows.exemplars.append(NewExemplar(place(value), at_ms, value, _exemplar_labels(one)))


def _exemplar_labels(one: Any) -> Labels:
    labels = {"trace_id": one.trace_id.hex(), "span_id": one.span_id.hex()}
    labels = {name: text for name, text in labels.items() if text.strip("0")}
    others = texts_of(one.filtered_attributes)
    both = {**others, **labels}
    fits = sum(len(name) + len(text) for name, text in both.items()) <= MAX_EXEMPLAR_CHARACTERS
    return both if fits else labels
