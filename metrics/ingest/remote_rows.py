"""From the columns of a remote-write request, of either version, to stored samples, histograms and exemplars."""

from contextlib import nullcontext
from datetime import datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.db import transaction

from metrics.domain import BadSeries, NewExemplar, NewSeries
from metrics.ingest.exemplars import exemplars_write
from metrics.ingest.limits import Gate
from metrics.ingest.metadata import metadata_store
from metrics.ingest.windows import Window
from metrics.ingest.writer import SERIES_IDS, Written, samples_store
from metrics.native_histograms import codec
from metrics.promql.types import STALE_NAN
from metrics.store.columns import Samples, concatenate
from metrics.wire import kernels, messages
from metrics.wire.remote_write import WriteColumns
from metrics.wire.series_table import SeriesTable

Ints = npt.NDArray[np.int64]


def write_columns(
    columns: WriteColumns,
    table: SeriesTable,
    *,
    source_id: UUID,
    gate: Gate,
    window: Window,
    now: datetime,
) -> Written:
    """Store the good part of a request, all of it or nothing; the rest is counted by reason.

    A request with nothing but samples of known series may share its commit with others.
    """
    metadata_store(columns.metadata())
    written = Written()
    histograms = _histograms(columns, written)
    exemplars = _exemplars(columns, written)
    unknown = np.flatnonzero(columns.series_ids < 0)
    with transaction.atomic() if unknown.size or histograms is not None or exemplars else nullcontext():
        if unknown.size:
            _resolve(columns, table, unknown, written, source_id=source_id, gate=gate, now=now)
        samples = Samples(columns.series_ids[columns.sample_series], columns.timestamps_ms, columns.values)
        if unknown.size:
            samples = samples.take(samples.series_ids >= 0)
        if histograms is not None:
            samples = concatenate([samples, _placed(histograms, columns)])
        samples_store(samples, window, written)
        stored, refused = exemplars_write(exemplars, columns.series_ids, window=window)
    written.exemplars += stored
    written.refused += refused
    return written


def _resolve(
    columns: WriteColumns,
    table: SeriesTable,
    unknown: Ints,
    written: Written,
    *,
    source_id: UUID,
    gate: Gate,
    now: datetime,
) -> None:
    counts = np.bincount(columns.sample_series, minlength=columns.series_ids.size)
    counts += np.bincount(columns.parts.series, minlength=columns.series_ids.size)
    labels: dict[bytes, NewSeries] = {}
    keys: dict[int, bytes] = {}
    found, reasons = columns.new_series(unknown)
    for place, reason in reasons.items():
        written.refused[reason] += max(1, int(counts[unknown[place]]))
    for series, one, rows in zip(unknown.tolist(), found, counts[unknown].tolist(), strict=True):
        # Metadata alone makes no series.
        if one is not None and rows:
            keys[series], labels[one[0]] = one
    ids, limit = SERIES_IDS.resolve(labels, source_id=source_id, gate=gate, now=now)
    for series, key in keys.items():
        columns.series_ids[series] = ids.get(key, -1)
        if key not in ids:
            written.refused[limit] += int(counts[series])
    rows = np.array([row for row in keys if columns.series_ids[row] >= 0 and columns.series_cacheable[row]], np.int64)
    learnt = (columns.series_low[rows], columns.series_high[rows], columns.series_ids[rows])
    transaction.on_commit(lambda: table.add(*learnt))


def _histograms(columns: WriteColumns, written: Written) -> Samples | None:
    """Return the good histograms by the number of their series in the request, None where there is none."""
    rows: list[tuple[int, int, float, bytes | None]] = []
    for series, start, end in columns.parts.rows(kernels.HISTOGRAM):
        try:
            time_ms, made = messages.histogram(columns.raw[start:end])
        except BadSeries as error:
            written.refused[str(error)] += 1
            continue
        rows.append(
            (series, time_ms, STALE_NAN, None) if made is None else (series, time_ms, made.count, codec.encode(made))
        )
    if not rows:
        return None
    histograms = np.empty(len(rows), np.object_)
    histograms[:] = [row[3] for row in rows]
    return Samples(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        histograms,
    )


def _placed(histograms: Samples, columns: WriteColumns) -> Samples:
    ids = columns.series_ids[histograms.series_ids]
    placed = Samples(ids, histograms.timestamps_ms, histograms.values, histograms.histograms)
    return placed.take(ids >= 0)


def _exemplars(columns: WriteColumns, written: Written) -> list[NewExemplar]:
    rows = []
    for series, start, end in columns.parts.rows(kernels.EXEMPLAR):
        try:
            time_ms, value, pairs = columns.exemplar(start, end)
        except BadSeries as error:
            written.refused[str(error)] += 1
            continue
        rows.append(NewExemplar(series, time_ms, value, dict(pairs)))
    return rows
