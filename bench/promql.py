"""Speed of the PromQL engine over columns in memory: milliseconds a query."""

import time
from collections.abc import Sequence

import numpy as np

from bench.harness import report_from_arguments
from metrics.promql.engine import evaluate
from metrics.promql.types import Matcher, SeriesColumns

QUERIES = [
    "x",
    "rate(x[5m])",
    "sum by (handler) (rate(x[5m]))",
    "avg_over_time(x[5m])",
    "max_over_time(x[1h])",
    "x * on (i) x",
    "topk(5, x)",
    "quantile by (handler) (0.9, x)",
    'count_values("v", x % 10)',
    "histogram_quantile(0.9, sum by (le, handler) (rate(x[5m])))",
]
SERIES, HOURS = 1000, 6
# Measured once on another machine, over HTTP; a peer that runs here is asked by `python -m bench.ingest`.
PEERS = {"Prometheus 2.42": 312.0, "VictoriaMetrics 1.79": 34.6}
START_MS, STEP_MS = 300_000, 60_000


class Everything:
    """A source that answers any selection with the same columns, so that only the engine is timed."""

    def __init__(self, columns: SeriesColumns) -> None:
        """Keep the columns."""
        self.columns = columns

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:  # noqa: ARG002
        """Return everything."""
        return self.columns


def bound_of(number: int) -> str:
    """Return the bucket bound of a series: ten handlers have a hundred buckets each."""
    return "+Inf" if number >= SERIES - 10 else str(number // 10)


def counters(series: int, hours: int) -> SeriesColumns:
    """Make counters scraped together every 15 seconds."""
    times = np.arange(0, hours * 3_600_000 + START_MS, 15_000)
    steps = np.random.default_rng(1).integers(0, 9, (series, times.size))
    labels = [
        {"__name__": "x", "i": str(number), "handler": f"h{number % 10}", "le": bound_of(number)}
        for number in range(series)
    ]
    offsets = np.arange(series + 1) * times.size
    return SeriesColumns(labels, offsets, np.tile(times, series), np.cumsum(steps, axis=1).astype(float).ravel())


def milliseconds(query: str, source: Everything, hours: int, repeats: int) -> float:
    """Return the best of some runs."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        evaluate(query, start_ms=START_MS, end_ms=START_MS + hours * 3_600_000, step_ms=STEP_MS, source=source)
        taken.append((time.perf_counter() - begun) * 1000)
    return min(taken)


def main() -> None:
    """Time each query."""
    report = report_from_arguments("promql", __doc__ or "")
    report.note(f"{SERIES:,} series of 15 s samples in memory, {HOURS} h at 60 s, best of some runs, one core")
    source = Everything(counters(SERIES, HOURS))
    for query in QUERIES:
        report.figure(query, milliseconds(query, source, HOURS, 3 if report.quick else 10), "ms")
    peers = ", ".join(f"{name} {taken:g} ms" for name, taken in PEERS.items())
    report.note(f"sum by (rate) of the same size over HTTP: {peers}")
    report.finish()


if __name__ == "__main__":
    main()
