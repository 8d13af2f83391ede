"""Queries: at a moment, over a range, of exemplars."""

from typing import Any

import numpy as np
import orjson

from metrics import selectors
from metrics.compat.answers import CUT, Asked, data_answer, endpoint
from metrics.compat.parameters import (
    bad,
    duration_ms,
    limit_of,
    lookback_ms,
    moment_ms,
    span_ms,
    time_ms,
)
from metrics.compat.rendering import envelope, query_data
from metrics.ingest.arrival import ARRIVAL
from metrics.promql.types import Limits, QueryError, QueryResult
from metrics.wire.answers.numbers import value_texts

MAX_STEPS = 11_000
# Prometheus counts intervals, the engine counts moments.
RANGE_LIMITS = Limits(max_steps=MAX_STEPS + 1)
LOOKBACK_MS = 300_000
TIMEOUT_MS = 15_000
STATS = ("", "true", "all")


def now_ms() -> int:
    """Return the time without asking PostgreSQL for it each time."""
    return int(ARRIVAL.now().timestamp() * 1000)


def _options(asked: Asked) -> dict[str, Any]:
    values = asked.values
    timeout_ms = duration_ms(values, "timeout", TIMEOUT_MS)
    return {
        "viewer": asked.viewer,
        "lookback_ms": lookback_ms(values, LOOKBACK_MS),
        "timeout_seconds": timeout_ms / 1000,
        "work": selectors.QueryWork() if values.get("stats") else None,
    }


def _of_the_query(error: QueryError) -> QueryError:
    """Say which parameter it is that cannot be read."""
    if error.kind != "bad_data" or str(error).startswith("invalid parameter"):
        return error
    named = bad("query", str(error))
    named.position = error.position
    return named


@endpoint("GET", "POST")
def query(asked: Asked) -> bytes:
    """GET or POST /api/v1/query."""
    values = asked.values
    limit = limit_of(values)
    at_ms = time_ms(values, "time", 0) if values.get("time") else now_ms()
    options = _options(asked)
    try:
        result = selectors.instant_query(values.get("query", ""), at_ms=at_ms, **options)
    except QueryError as error:
        raise _of_the_query(error) from None
    return _rendered(asked, result, options["work"], instant=True, limit=limit)


@endpoint("GET", "POST")
def query_range(asked: Asked) -> bytes:
    """GET or POST /api/v1/query_range."""
    values = asked.values
    limit = limit_of(values)
    start_ms, end_ms = moment_ms(values, "start"), moment_ms(values, "end")
    if end_ms < start_ms:
        raise bad("end", "end timestamp must not be before start time")
    step_ms = duration_ms(values, "step")
    if step_ms <= 0:
        raise bad("step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
    if (end_ms - start_ms) // step_ms > MAX_STEPS:
        raise QueryError(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution"
            " (?step=XX)",
            kind="bad_data",
        )
    options = _options(asked)
    grid: dict[str, Any] = {"start_ms": start_ms, "end_ms": end_ms, "step_ms": step_ms, "limits": RANGE_LIMITS}
    try:
        result = selectors.range_query(values.get("query", ""), **grid, **options)
    except QueryError as error:
        raise _of_the_query(error) from None
    return _rendered(asked, result, options["work"], instant=False, limit=limit)


def _rendered(
    asked: Asked, result: QueryResult, work: selectors.QueryWork | None, *, instant: bool, limit: int
) -> bytes:
    data, cut = query_data(result, instant=instant, limit=limit)
    warnings = [*result.warnings, CUT] if cut else list(result.warnings)
    if work is not None:
        data = data[:-1] + b',"stats":' + orjson.dumps(_stats(work)) + b"}"
        word = asked.values.get("stats", "")
        if word not in STATS:
            warnings.append(
                f'value "{word[:40]}" for parameter "stats" is deprecated and will be rejected in the next major'
                ' release, use "true" or "all"'
            )
    return envelope(data, warnings, result.infos)


def _stats(work: selectors.QueryWork) -> dict[str, Any]:
    inner, waited = work.evaluation_seconds, work.queue_seconds
    timings = {
        "evalTotalTime": inner,
        "resultSortTime": 0,
        "queryPreparationTime": work.reading_seconds,
        "innerEvalTime": max(inner - work.reading_seconds, 0.0),
        "execQueueTime": waited,
        "execTotalTime": inner + waited,
    }
    return {"timings": timings, "samples": {"totalQueryableSamples": work.samples, "peakSamples": work.peak_samples}}


@endpoint("GET", "POST")
def query_exemplars(asked: Asked) -> bytes:
    """GET or POST /api/v1/query_exemplars."""
    values = asked.values
    start_ms, end_ms = span_ms(values)
    if end_ms < start_ms:
        raise QueryError("end timestamp must not be before start timestamp", kind="bad_data")
    found = selectors.exemplars_of(values.get("query", ""), start_ms=start_ms, end_ms=end_ms, viewer=asked.viewer)
    return data_answer(
        [
            {
                "seriesLabels": labels,
                "exemplars": [
                    {"labels": row.labels, "value": shown, "timestamp": row.timestamp_ms / 1000}
                    for row, shown in zip(rows, _texts([row.value for row in rows]), strict=True)
                ],
            }
            for labels, rows in found
        ]
    )


def _texts(values: list[float]) -> list[str]:
    return [text.decode() for text in value_texts(np.array(values, np.float64))]
