"""Query results as Prometheus' JSON: the numbers of a whole answer are written at once, not one by one."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import orjson

from metrics.promql.annotations import cut_to_most
from metrics.promql.types import Histograms, QueryResult
from metrics.wire.answers.histograms import histogram_json
from metrics.wire.answers.numbers import Bools, Ints, point_texts, time_texts, value_texts


def _series(labels: dict[str, str], points: bytes | memoryview, histograms: bytes) -> Iterator[bytes | memoryview]:
    """Yield a series in pieces: points are copied once, into the answer."""
    yield b'{"metric":' + orjson.dumps(labels)
    if points or not histograms:
        yield b',"values":['
        yield points
        yield b"]"
    yield b',"histograms":[' + histograms + b"]}" if histograms else b"}"


def _histogram_points(times_ms: Ints, column: Histograms) -> bytes:
    chosen = [place for place, histogram in enumerate(column) if histogram is not None]
    times = time_texts(times_ms[chosen]) if chosen else []
    points = [
        b"[" + time + b"," + histogram_json(column[place]) + b"]" for time, place in zip(times, chosen, strict=True)
    ]
    return b",".join(points)


def _numbers_of(present: Bools, histograms: Histograms | None) -> Bools:
    if histograms is None:
        return present
    return present & np.equal(histograms, None).astype(np.bool_)


def _matrix(result: QueryResult, rows: Sequence[int]) -> Iterator[bytes | memoryview]:
    if not rows:
        return
    everything = len(rows) == len(result.labels)
    present = result.present if everything else result.present[list(rows)]
    values = result.values if everything else result.values[list(rows)]
    histograms = None if result.histograms is None else result.histograms[list(rows)]
    texts = point_texts(result.timestamps_ms, values, _numbers_of(present, histograms))
    for place, (row, points) in enumerate(zip(rows, texts, strict=True)):
        shown = b""
        if histograms is not None:
            cells = np.where(present[place], histograms[place], None)
            shown = _histogram_points(result.timestamps_ms, cells)
        if place:
            yield b","
        yield from _series(result.labels[row], points, shown)


def _ranges(result: QueryResult, limit: int) -> Iterator[bytes | memoryview]:
    columns = result.range_vector
    if columns is None:
        return
    for index, labels in enumerate(columns.labels[:limit] if limit else columns.labels):
        part = slice(int(columns.offsets[index]), int(columns.offsets[index + 1]))
        times, values = columns.timestamps_ms[part], columns.values[part]
        column = None if columns.histograms is None else columns.histograms[part]
        numbers = _numbers_of(np.ones(values.size, np.bool_), column)
        points = point_texts(times, values[None, :], numbers[None, :])[0]
        if index:
            yield b","
        yield from _series(labels, points, b"" if column is None else _histogram_points(times, column))


def _vector(result: QueryResult, rows: Sequence[int]) -> Iterator[bytes]:
    time = time_texts(result.timestamps_ms[:1])[0]
    values = value_texts(result.values[list(rows), 0])
    for place, (text, row) in enumerate(zip(values, rows, strict=True)):
        histogram = None if result.histograms is None else result.histograms[row, 0]
        if histogram is None:
            point = b',"value":[' + time + b',"' + text + b'"]'
        else:
            point = b',"histogram":[' + time + b"," + histogram_json(histogram) + b"]"
        yield (b',{"metric":' if place else b'{"metric":') + orjson.dumps(result.labels[row]) + point + b"}"


def _scalar(result: QueryResult) -> tuple[bytes, ...]:
    return time_texts(result.timestamps_ms[:1])[0], b',"', value_texts(result.values[0, :1])[0], b'"'


def _listed(result: QueryResult, kind: str, limit: int) -> tuple[Iterator[bytes | memoryview], bool]:
    """Return the series of an answer in pieces, at most `limit` of them, and whether there were more."""
    items: Iterator[bytes | memoryview]
    if result.range_vector is not None:
        total, items = len(result.range_vector.labels), _ranges(result, limit)
    else:
        rows = np.flatnonzero(result.present.any(axis=1)).tolist() if result.labels else []
        total = len(rows)
        items = (_vector if kind == "vector" else _matrix)(result, rows[:limit] if limit else rows)
    return items, bool(limit) and total > limit


def query_data(result: QueryResult, *, instant: bool, limit: int) -> tuple[bytes, bool]:
    """Return (the `data` member of an answer, whether the limit cut it)."""
    kind = result.type if instant else "matrix"
    cut = False
    if kind == "string":
        time = time_texts(result.timestamps_ms[:1])[0]
        body: Iterable[bytes | memoryview] = (time, b",", orjson.dumps(result.string_value or ""))
    elif kind == "scalar":
        body = _scalar(result)
    else:
        body, cut = _listed(result, kind, limit)
    return b"".join((b'{"resultType":"', kind.encode(), b'","result":[', *body, b"]}")), cut


def envelope(data: bytes, warnings: Sequence[str], infos: Sequence[str] = ()) -> bytes:
    """Return a successful answer."""
    more = b',"warnings":' + orjson.dumps(cut_to_most(list(warnings), "warning")) if warnings else b""
    if infos:
        more += b',"infos":' + orjson.dumps(cut_to_most(list(infos), "info"))
    return b'{"status":"success","data":' + data + more + b"}"
