"""Query results as Prometheus' JSON: numbers become strings by splitting orjson's output, not one by one."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import orjson

from metrics.promql.annotations import cut_to_most
from metrics.promql.types import QueryResult

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def value_texts(values: Floats) -> list[bytes]:
    """Return each value as Prometheus writes it: shortest decimal, +Inf, -Inf, NaN."""
    if not values.size:
        return []
    texts = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    texts = [text[:-2] if text.endswith(b".0") else text for text in texts]
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[index]
        texts[index] = b"NaN" if np.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
    return texts


def time_texts(timestamps_ms: Ints) -> list[bytes]:
    """Return each time in seconds, without trailing zeros."""
    if not timestamps_ms.size:
        return []
    texts = orjson.dumps((timestamps_ms / 1000.0).tolist())[1:-1].split(b",")
    return [text[:-2] if text.endswith(b".0") else text for text in texts]


def _points(times: list[bytes], values: list[bytes]) -> bytes:
    return b",".join([b"[" + time + b',"' + value + b'"]' for time, value in zip(times, values, strict=True)])


def _matrix(result: QueryResult) -> Iterator[bytes]:
    times = time_texts(result.timestamps_ms)
    for index, labels in enumerate(result.labels):
        present = result.present[index]
        if not bool(present.any()):
            continue
        chosen = times if bool(present.all()) else [times[step] for step in np.flatnonzero(present).tolist()]
        points = _points(chosen, value_texts(result.values[index][present]))
        yield b'{"metric":' + orjson.dumps(labels) + b',"values":[' + points + b"]}"


def _ranges(result: QueryResult) -> Iterator[bytes]:
    columns = result.range_vector
    if columns is None:
        return
    for index, labels in enumerate(columns.labels):
        part = slice(int(columns.offsets[index]), int(columns.offsets[index + 1]))
        points = _points(time_texts(columns.timestamps_ms[part]), value_texts(columns.values[part]))
        yield b'{"metric":' + orjson.dumps(labels) + b',"values":[' + points + b"]}"


def _vector(result: QueryResult) -> Iterator[bytes]:
    time = time_texts(result.timestamps_ms[:1])[0]
    present = result.present[:, 0] if result.labels else np.empty(0, np.bool_)
    values = value_texts(result.values[:, 0] if result.labels else np.empty(0, np.float64))
    for index in np.flatnonzero(present).tolist():
        point = b"[" + time + b',"' + values[index] + b'"]'
        yield b'{"metric":' + orjson.dumps(result.labels[index]) + b',"value":' + point + b"}"


def _scalar(result: QueryResult) -> bytes:
    return b"[" + time_texts(result.timestamps_ms[:1])[0] + b',"' + value_texts(result.values[0, :1])[0] + b'"]'


def _joined(items: Iterator[bytes], limit: int) -> tuple[bytes, bool]:
    kept = list(items)
    cut = bool(limit) and len(kept) > limit
    return b"[" + b",".join(kept[:limit] if cut else kept) + b"]", cut


def query_data(result: QueryResult, *, instant: bool, limit: int) -> tuple[bytes, bool]:
    """Return (the `data` member of an answer, whether the limit cut it)."""
    kind = result.type if instant else "matrix"
    cut = False
    if kind == "string":
        time = time_texts(result.timestamps_ms[:1])[0]
        body = b"[" + time + b"," + orjson.dumps(result.string_value or "") + b"]"
    elif kind == "scalar":
        body = _scalar(result)
    elif kind == "vector":
        body, cut = _joined(_vector(result), limit)
    else:
        body, cut = _joined(_ranges(result) if result.range_vector is not None else _matrix(result), limit)
    return b'{"resultType":"' + kind.encode() + b'","result":' + body + b"}", cut


def envelope(data: bytes, warnings: list[str], infos: Sequence[str] = ()) -> bytes:
    """Return a successful answer."""
    more = b',"warnings":' + orjson.dumps(cut_to_most(warnings, "warning")) if warnings else b""
    if infos:
        more += b',"infos":' + orjson.dumps(cut_to_most(list(infos), "info"))
    return b'{"status":"success","data":' + data + more + b"}"
