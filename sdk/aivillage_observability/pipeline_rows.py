"""Rows about pipelines as the console's door takes them. Pure: no clock, no I/O.

Whatever a host passes in becomes something JSON can say: a pipeline must not die of what it wanted to report.
"""

import gzip
import json
import math
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aivillage_observability.rows import Batch, label_text

Row = dict[str, Any]

MAX_TEXT_CHARS = 8_000
MAX_ERROR_CHARS = 30_000
MAX_METRICS = 64
MAX_DATA_BYTES = 16_000
MAX_DEPTH = 8
MAX_ITEMS = 1_000
BATCH_ROWS = 500
BATCH_BYTES = 400_000


def text(value: object, limit: int = MAX_TEXT_CHARS) -> str:
    """Return text that can travel: no NUL, no half characters, not too long."""
    said = value if isinstance(value, str) else label_text(value)
    return said[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def error_text(error: BaseException) -> str:
    """Return an exception with its stack; of a long one the end, which says what happened."""
    return text("".join(traceback.format_exception(error))[-MAX_ERROR_CHARS:], MAX_ERROR_CHARS)


def number(value: object) -> float | int | None:
    """Return a finite number, of whatever library; None for everything else."""
    try:
        if isinstance(value, int):
            return int(value) if abs(value) < 2**53 else float(value)
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, AttributeError):
        return None
    return found if math.isfinite(found) else None


def scalar(value: object) -> float | int | str | bool:
    """Return a metric's value: a number, a truth or a short text; a loss that is not finite travels as "nan"."""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return bool(value)
    if isinstance(value, str):
        return text(value, 200)
    found = number(value)
    if found is not None:
        return found
    return repr(value) if isinstance(value, float) else text(label_text(value), 200)


def plain(value: object, depth: int = 0) -> Any:
    """Return nested data as JSON can hold it; what is too deep or too long is cut."""
    if value is None or isinstance(value, bool | str | float | int):
        return scalar(value) if value is not None else None
    if depth >= MAX_DEPTH:
        return text(type(value).__name__)
    if isinstance(value, Mapping):
        pairs = list(value.items())[:MAX_ITEMS]
        return {text(label_text(key), 200): plain(each, depth + 1) for key, each in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, depth + 1) for each in list(value)[:MAX_ITEMS]]
    return scalar(value)


def data(value: Mapping[str, object]) -> dict[str, Any]:
    """Return free data within its bound; the biggest members go first and their names are kept."""
    found: dict[str, Any] = plain(value)
    sizes = {name: len(json.dumps(each)) + len(name) + 6 for name, each in found.items()}
    cut = []
    while sizes and sum(sizes.values()) > MAX_DATA_BYTES - 1_000:
        biggest = max(sizes, key=lambda name: sizes[name])
        cut.append(biggest[:50])
        del sizes[biggest], found[biggest]
    return {**found, "left_out": cut[:15]} if cut else found


def metrics(values: Mapping[str, object]) -> dict[str, float | int | str | bool]:
    """Return metrics by name."""
    return {text(str(name), 100): scalar(value) for name, value in list(values.items())[:MAX_METRICS]}


def encoded(row: Row) -> str:
    """Return a row as JSON, without what is empty."""
    kept = {name: value for name, value in row.items() if value not in ("", None, {}, [])}
    return json.dumps(kept, separators=(",", ":"), allow_nan=False)


def in_batches(rows: Iterable[str]) -> Iterator[list[str]]:
    """Yield rows in runs the door takes at once."""
    held: list[str] = []
    size = 0
    for row in rows:
        if held and (len(held) >= BATCH_ROWS or size + len(row) > BATCH_BYTES):
            yield held
            held, size = [], 0
        held.append(row)
        size += len(row)
    if held:
        yield held


def batch_of(rows: Sequence[str], batch_id: str) -> Batch:
    """Return encoded rows as a batch ready to travel."""
    body = f'{{"batch_id":"{batch_id}","rows":[{",".join(rows)}]}}'
    return Batch(batch_id, len(rows), gzip.compress(body.encode(), compresslevel=1, mtime=0))
