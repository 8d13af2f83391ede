"""Stored metrics of every kind for the tests of Explore."""

from datetime import datetime, timedelta

import numpy as np

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from metrics.domain import Metadata, NewExemplar, SeriesBatch
from metrics.ingest.rows import gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import forget_series, write_series
from metrics.native_histograms.codec import encode
from metrics.native_histograms.model import Histogram, Span
from metrics.store.exemplars import forget_rates
from metrics.store.postgres import STORE

MINUTES = 30


def batch_of(now: datetime) -> SeriesBatch:
    """Return half an hour of a gauge, a counter, a classic histogram, a native one and a summary."""
    end_ms = int(now.timestamp() * 1000) // 60_000 * 60_000
    labels: list[dict[str, str]] = [
        {"__name__": "cpu_usage_percent", "env": "prod", "host": "h1"},
        {"__name__": "cpu_usage_percent", "env": "test", "host": "h2"},
        {"__name__": "errors_total", "env": "prod"},
        *({"__name__": "request_seconds_bucket", "le": le} for le in ("0.1", "0.5", "+Inf")),
        {"__name__": "request_seconds_sum"},
        {"__name__": "request_seconds_count"},
        {"__name__": "native_seconds"},
        {"__name__": "rpc_seconds", "quantile": "0.95"},
    ]
    slopes = (0.0, 0.0, 3.0, 10.0, 15.0, 16.0, 4.0, 16.0, 0.0, 0.0)
    series, times, values, histograms = [], [], [], []
    for minute in range(MINUTES):
        for number, slope in enumerate(slopes):
            series.append(number)
            times.append(end_ms - (MINUTES - 1 - minute) * 60_000)
            values.append(40.0 + number if slope == 0 else slope * minute)
            histograms.append(None)
        n = float(minute + 1)
        histograms[-2] = encode(
            Histogram(0, 3 * n, 5 * n, positive_spans=(Span(0, 3),), positive=(n, n, n), zero_threshold=0.001)
        )
        values[-2] = 3 * n
    column = np.empty(len(histograms), np.object_)
    column[:] = histograms
    exemplar = NewExemplar(3, end_ms - 120_000, 0.05, {"trace_id": "abc123def", "span": "s1"})
    known = [
        Metadata("cpu_usage_percent", "gauge", "", "How busy each CPU is"), Metadata("errors_total", "counter", "", ""),
        Metadata("request_seconds", "histogram", "", "How long requests take"),
        Metadata("native_seconds", "histogram", "", ""), Metadata("rpc_seconds", "summary", "", ""),
    ]  # fmt: skip
    return SeriesBatch(
        labels, np.array(series, np.int64), np.array(times, np.int64), np.array(values), column, [exemplar], known
    )


def store() -> None:
    """Write all of it as one source, into a store that remembers nothing of other tests."""
    forget_series()
    forget_rates()
    STORE.forget()
    at = clock.now()
    source = Source.objects.create(name="shop", created_at=at - timedelta(days=1))
    write_series(batch_of(at), source_id=source.pk, gate=gate(), window=Window.at(at, backfill=False), now=at)
