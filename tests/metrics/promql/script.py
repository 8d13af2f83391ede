"""A small language for tests of the engine: series as text, answers as dictionaries."""

import numpy as np

from metrics.promql.engine import evaluate
from metrics.promql.memory import MemorySource
from metrics.promql.types import STALE_NAN, QueryResult, SeriesColumns

MINUTE = 60_000
Series = dict[str, list[float | str | None]]


def source_of(series: Series, step_ms: int = MINUTE) -> MemorySource:
    """Build a source: the key is `name a=1 b=2`, None is no sample, "stale" a stale marker."""
    labels, times, values, sizes = [], [], [], [0]
    for text, points in series.items():
        name, *pairs = text.split()
        labels.append({"__name__": name, **dict(pair.split("=") for pair in pairs)})
        kept = [(place * step_ms, point) for place, point in enumerate(points) if point is not None]
        times += [at for at, _ in kept]
        values += [STALE_NAN if point == "stale" else float(point) for _, point in kept]
        sizes.append(len(times))
    return MemorySource(SeriesColumns(labels, np.array(sizes), np.array(times, np.int64), np.array(values, float)))


def named(labels: dict[str, str]) -> str:
    """Write labels the way `source_of` reads them."""
    rest = [f"{name}={value}" for name, value in sorted(labels.items()) if name != "__name__"]
    return " ".join([labels.get("__name__", ""), *rest]).strip()


def at(series: Series, query: str, minute: float = 0, **options: object) -> dict[str, float]:
    """Evaluate at one minute; returns the value by series."""
    result = answer(series, query, minute, minute, **options)
    return {named(labels): float(values[0]) for labels, values in zip(result.labels, result.values, strict=True)}


def answer(series: Series, query: str, start: float, end: float, step: float = 1, **options: object) -> QueryResult:
    """Evaluate over a range of minutes."""
    return evaluate(
        query,
        start_ms=int(start * MINUTE),
        end_ms=int(end * MINUTE),
        step_ms=int(step * MINUTE),
        source=source_of(series),
        experimental=True,
        **options,  # type: ignore[arg-type]
    )


def over(series: Series, query: str, start: float, end: float, step: float = 1) -> dict[str, list[float | None]]:
    """Evaluate over a range; a missing value is None."""
    result = answer(series, query, start, end, step)
    return {
        named(labels): [float(value) if here else None for value, here in zip(values, present, strict=True)]
        for labels, values, present in zip(result.labels, result.values, result.present, strict=True)
    }
