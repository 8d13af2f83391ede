"""Rows as the console's ingest door takes them. Pure: no clock, no I/O."""

import datetime as dt
import decimal
import enum
import gzip
import json
import pathlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

T = TypeVar("T")
Kind = Literal["gauge", "counter", "histogram", "summary", "untyped"]

MAX_LABEL_CHARS = 1024
MAX_NAME_CHARS = 200
BATCH_ROWS = 1000

_TEXT_TYPES = (
    str, int, float, decimal.Decimal, uuid.UUID, pathlib.PurePath, dt.date, dt.time, dt.timedelta,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """What is the same for every row of a metric."""

    name: str
    kind: Kind
    unit: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One value of one series at one time."""

    metric: Metric
    value: float
    labels: Mapping[str, str]
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows ready to travel: the id makes a repeated delivery harmless."""

    batch_id: str
    rows: int
    body: bytes


@lru_cache(maxsize=4096)
def metric_name(raw: str) -> str:
    """Return the nearest valid metric name: `p2p.mesh-size` becomes `p2p_mesh_size`."""
    name = re.sub(r"[^a-zA-Z0-9_:]", "_", raw)[:MAX_NAME_CHARS] or "_"
    return f"_{name}" if name[0].isdigit() else name


@lru_cache(maxsize=4096)
def label_name(raw: str) -> str:
    """Return the nearest valid label name; a colon is legal in metric names only."""
    return metric_name(raw).replace(":", "_")


def label_text(value: object) -> str:
    """Return the text of a label value: booleans in lower case, an exception or unknown object as its class.

    `str()` of an object of the host's own could raise, or be different for every object (a new series each).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return label_text(value.value)
    if value is None:
        return ""
    if isinstance(value, _TEXT_TYPES):
        return str(value)[:MAX_LABEL_CHARS]
    return value.__name__ if isinstance(value, type) else type(value).__name__


def label_key(labels: Mapping[str, object] | None) -> tuple[tuple[str, str], ...]:
    """Return labels cleaned, sorted and hashable; empty ones are the same as absent and are left out."""
    if not labels:
        return ()
    pairs = ((label_name(str(name)), label_text(value)) for name, value in labels.items())
    return tuple(sorted(pair for pair in pairs if pair[1]))


def _as_object(row: Row) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": row.metric.name,
        "type": row.metric.kind,
        "value": row.value,
        "labels": row.labels,
        "timestamp_ms": row.timestamp_ms,
    }
    if row.metric.unit:
        shown["unit"] = row.metric.unit
    if row.metric.help:
        shown["help"] = row.metric.help
    return shown


def encode_batch(rows: Sequence[Row], batch_id: str) -> Batch:
    """Return the batch as gzipped JSON; lone surrogates become escapes, so any text can be encoded."""
    return encode_objects([_as_object(row) for row in rows], batch_id)


def encode_objects(rows: Sequence[Mapping[str, object]], batch_id: str) -> Batch:
    """Return a batch of rows that are JSON objects already."""
    document = {"batch_id": batch_id, "rows": rows}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return Batch(batch_id, len(rows), gzip.compress(text.encode(), compresslevel=1, mtime=0))


def in_batches(rows: Sequence[T], size: int = BATCH_ROWS) -> Iterator[Sequence[T]]:
    """Yield the rows in runs of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
