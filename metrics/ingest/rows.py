"""The record kind `metrics`: one JSON row is one sample."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from metrics.domain import METRIC_NAME_LABEL, BadSeries, Metadata, Rejection, fingerprint, series_labels
from metrics.ingest.limits import Gate
from metrics.ingest.metadata import metadata_store
from metrics.ingest.windows import Window
from metrics.ingest.writer import LIMITED, OUT_OF_WINDOW, SERIES_IDS, store_samples
from metrics.registry import IngestContext, RecordKind
from metrics.store.columns import Samples

LabelValue = str | bool | int | float


class MetricRow(msgspec.Struct, forbid_unknown_fields=True):
    """One sample as the SDK sends it."""

    name: str
    value: float
    type: Literal["counter", "gauge", "histogram", "summary", "untyped"] = "untyped"
    labels: dict[str, LabelValue] = {}
    timestamp_ms: int | None = None
    unit: str = ""
    help: str = ""


def _label_text(value: LabelValue) -> str:
    # Python would write True; every other sender of booleans writes true.
    return str(value).lower() if isinstance(value, bool) else str(value)


def row_labels(row: MetricRow) -> dict[str, str]:
    """Return the label set of a row; raises BadSeries."""
    if not row.name:
        raise BadSeries("the metric name is empty")
    reserved = next((name for name in row.labels if name.startswith("__")), None)
    if reserved is not None:
        raise BadSeries(f"the label name {reserved[:40]!r} is reserved")
    if not math.isfinite(row.value):
        raise BadSeries("the value is not a finite number")
    return series_labels([(METRIC_NAME_LABEL, row.name), *((n, _label_text(v)) for n, v in row.labels.items())])


_gates: list[Gate] = []


def gate() -> Gate:
    """Return this process's limits."""
    if not _gates:
        _gates.append(Gate())
    return _gates[0]


def reset_gate() -> None:
    """Read the limits again at the next request."""
    _gates.clear()


def write_rows(rows: Sequence[tuple[int, Any]], context: IngestContext) -> list[Rejection]:
    """Store the rows that are good; returns the others with their reasons."""
    window = Window.at(context.now, backfill=context.backfill)
    now_ms = int(context.now.timestamp() * 1000)
    rejected: list[Rejection] = []
    labels: dict[bytes, dict[str, str]] = {}
    kept: list[tuple[int, bytes, int, float]] = []
    for number, row in rows:
        time_ms = now_ms if row.timestamp_ms is None else row.timestamp_ms
        try:
            if not window.low_ms <= time_ms <= window.high_ms:
                raise BadSeries(OUT_OF_WINDOW)
            named = row_labels(row)
        except BadSeries as error:
            rejected.append(Rejection(number, str(error)))
            continue
        key = fingerprint(named)
        labels[key] = named
        kept.append((number, key, time_ms, row.value))
    ids, limit = SERIES_IDS.resolve(labels, source_id=context.source_id, gate=gate(), now=context.now)
    rejected.extend(Rejection(number, limit) for number, key, _, _ in kept if key not in ids)
    stored = [(ids[key], time_ms, value) for _, key, time_ms, value in kept if key in ids]
    _append(stored, window)
    metadata_store(_declared(rows))
    return rejected


def _append(stored: Sequence[tuple[int, int, float]], window: Window) -> None:
    if stored:
        ids, times, values = zip(*stored, strict=True)
        columns = Samples(np.array(ids, np.int64), np.array(times, np.int64), np.array(values, np.float64))
        store_samples(columns, window)


def _declared(rows: Sequence[tuple[int, Any]]) -> list[Metadata]:
    found = {
        (row.name, row.type, row.unit[:64], row.help[:4_096])
        for _, row in rows
        if row.type != "untyped" and row.name and "\0" not in row.name + row.unit + row.help and len(row.name) <= 1_000
    }
    return [Metadata(*entry) for entry in sorted(found)]


METRICS = RecordKind("metrics", "ingest:metrics", MetricRow, write_rows)


def reasons_of(rejected: Sequence[Rejection]) -> Counter[str]:
    """Return how many rows each reason cost."""
    return Counter(rejection.reason for rejection in rejected)


def all_limited(rejected: Sequence[Rejection], rows: int) -> str | None:
    """Return the limit when it alone is why nothing was stored."""
    if rejected and len(rejected) == rows and all(one.reason.startswith(LIMITED) for one in rejected):
        return rejected[0].reason
    return None
