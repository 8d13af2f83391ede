"""What the expression of a recording rule answers, as the series that are to be written.

Loads the query kernels, so it is imported by name and only where rules are evaluated (`alerts.rules.asking`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.rules.limits import MOST_SERIES
from metrics.domain import METRIC_NAME_LABEL, SeriesBatch
from metrics.native_histograms import codec
from metrics.promql.types import STALE_NAN, QueryResult
from metrics.selectors import range_query

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grid:
    """The times that are asked about, both ends included; `lead` asks one step earlier too, to see what ends."""

    start_ms: int
    end_ms: int
    step_ms: int
    lead: bool = False


def computed(spec: Mapping[str, Any], labels: Mapping[str, str], grid: Grid) -> SeriesBatch:
    """Return the samples of a rule on a grid, with stale markers where a series of it ends inside.

    Raises ValueError (QueryError) where it cannot be answered.
    """
    begin_ms = grid.start_ms - grid.step_ms * grid.lead
    result = range_query(str(spec["expr"]), start_ms=begin_ms, end_ms=grid.end_ms, step_ms=grid.step_ms)
    over_time = ("matrix",) if grid.step_ms and result.range_vector is None else ()
    if result.type not in ("vector", "scalar", *over_time):
        raise ValueError(f"a recording rule needs a vector or a number, not a {result.type}")
    present = np.asarray(result.present, np.bool_)
    if not present.size:
        return _batch([], result, present, np.empty(0, np.int64), skip=0)
    most = int(np.max(present.sum(axis=0)))
    limit = min(int(spec.get("limit") or MOST_SERIES), MOST_SERIES)
    if most > limit:
        raise ValueError(f"it answers {most} series; at most {limit} are recorded: aggregate, or raise `limit`")
    names, series = _named([_labels(str(spec["record"]), labels, each) for each in result.labels or [{}]])
    return _batch(names, result, present, series, skip=int(grid.lead))


def _labels(record: str, own: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    joined = {**found, METRIC_NAME_LABEL: record, **own}
    return {name: joined[name] for name in sorted(joined) if joined[name]}


def _named(labels: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], npt.NDArray[np.int64]]:
    """Return the different label sets, and for each row the place of its own."""
    places: dict[tuple[tuple[str, str], ...], int] = {}
    series = [places.setdefault(tuple(each.items()), len(places)) for each in labels]
    return [dict(key) for key in places], np.array(series, np.int64)


def _batch(
    names: list[dict[str, str]], result: QueryResult, present: Bools, series: npt.NDArray[np.int64], *, skip: int
) -> SeriesBatch:
    held = np.zeros((len(names), result.timestamps_ms.size), np.int64)
    np.add.at(held, series, present)
    if held.size and int(np.max(held)) > 1:
        raise ValueError("several results have the same labels once the rule's own are on them")
    ended = [(row, place) for place in range(max(skip, 1), held.shape[1])
             for row in np.flatnonzero((held[:, place - 1] > 0) & (held[:, place] == 0)).tolist()]  # fmt: skip
    rows, places = np.nonzero(present)
    kept = places >= skip
    rows, places = rows[kept], places[kept]
    values, histograms = _values(result, rows, places)
    stale_rows, stale_places = (np.array([pair[side] for pair in ended], np.int64) for side in (0, 1))
    if histograms is not None:
        histograms = np.concatenate([histograms, np.full(stale_rows.size, None, object)])
    return SeriesBatch(
        labels=names,
        sample_series=np.concatenate([series[rows] if rows.size else np.empty(0, np.int64), stale_rows]),
        timestamps_ms=result.timestamps_ms[np.concatenate([places, stale_places])],
        values=np.concatenate([values, np.full(stale_rows.size, STALE_NAN)]),
        histograms=histograms,
    )


def _values(
    result: QueryResult, rows: npt.NDArray[np.intp], places: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.object_] | None]:
    """Return the numbers, and the histograms as the store keeps them, None where there are none."""
    values = np.ascontiguousarray(result.values[rows, places], np.float64)
    if result.histograms is None:
        return values, None
    found = result.histograms[rows, places]
    packed = np.full(found.size, None, object)
    for place, histogram in enumerate(found):
        if histogram is not None:
            packed[place], values[place] = codec.encode(histogram), histogram.count
    return values, packed


def named_samples(samples: Sequence[tuple[Mapping[str, str], float]], at_ms: int) -> SeriesBatch:
    """Return a batch of one sample for each label set, all at one time."""
    size = len(samples)
    return SeriesBatch(
        labels=[{name: labels[name] for name in sorted(labels)} for labels, _ in samples],
        sample_series=np.arange(size, dtype=np.int64),
        timestamps_ms=np.full(size, at_ms, np.int64),
        values=np.array([value for _, value in samples], np.float64),
    )


def nothing() -> SeriesBatch:
    """Return a batch without samples."""
    no_numbers = np.empty(0, np.int64)
    return SeriesBatch([], no_numbers, no_numbers, np.empty(0))
