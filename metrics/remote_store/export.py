"""Raw samples as VictoriaMetrics exports them, a series a line; and selectors as it reads them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from metrics.promql.types import STALE_NAN, Matcher, SeriesColumns

EVERYTHING = '{__name__!=""}'
# What JSON has no number for.
WORDS = {"Infinity": np.inf, "-Infinity": -np.inf, "NaN": np.nan, None: STALE_NAN}


def selector(matchers: Sequence[Matcher]) -> str:
    """Return matchers as the text of a selector."""
    if not matchers:
        return EVERYTHING
    inner = ",".join(f"{one.name}{one.op}{orjson.dumps(one.value).decode()}" for one in matchers)
    return "{" + inner + "}"


def _read(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # Older versions write the infinities as words, which are no JSON; labels come before them.
        head, start, rest = line.rpartition(b'"values":[')
        values, end, tail = rest.partition(b"]")
        quoted = values.replace(b"+Inf", b'"Infinity"').replace(b"-Inf", b'"-Infinity"')
        return orjson.loads(head + start + quoted + end + tail)


def _line(line: bytes) -> tuple[dict[str, str], np.ndarray, np.ndarray]:
    found = _read(line)
    values = found["values"]
    try:
        numbers = np.array(values, np.float64)
    except ValueError:
        numbers = np.array([WORDS.get(one, one) if one is None or isinstance(one, str) else one for one in values])
    numbers = numbers.astype(np.float64)
    missing = [place for place, one in enumerate(values) if one is None] if bool(np.isnan(numbers).any()) else []
    numbers[missing] = STALE_NAN
    return dict(sorted(found["metric"].items())), np.array(found["timestamps"], np.int64), numbers


def columns_of(body: bytes, t_min_ms: int, t_max_ms: int) -> SeriesColumns:
    """Return an export as columns: series by their labels, samples by time, of one time the one that came last."""
    parts = sorted((_line(line) for line in body.splitlines() if line), key=lambda part: tuple(part[0].items()))
    labels, times, values = [], [np.empty(0, np.int64)], [np.empty(0)]
    for names, given_at, given in parts:
        order = np.argsort(given_at, kind="stable")
        at, numbers = given_at[order], given[order]
        keep = (at >= t_min_ms) & (at <= t_max_ms)
        keep[:-1] &= at[1:] != at[:-1]
        if bool(keep.any()):
            labels.append(names)
            times.append(at[keep])
            values.append(numbers[keep])
    offsets = np.cumsum([part.size for part in times], dtype=np.int64)
    return SeriesColumns(labels, offsets, np.concatenate(times), np.concatenate(values))
