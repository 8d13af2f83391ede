"""Numbers and times as Prometheus writes them: whole columns at once by splitting orjson's output."""

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import orjson

from metrics.wire.answers import kernels

# Where orjson may write an exponent, and where Prometheus does.
PLAIN_BELOW, PLAIN_FROM = 1e15, 1e-3
EXPONENT_FROM, EXPONENT_BELOW = 1e21, 1e-6
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def value_texts(values: Floats) -> list[bytes]:
    """Return each value as Prometheus writes it: shortest decimal, +Inf, -Inf, NaN."""
    if not values.size:
        return []
    texts = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    texts = [text[:-2] if text.endswith(b".0") else text for text in texts]
    sizes = np.abs(values)
    if bool(((sizes >= PLAIN_BELOW) | ((sizes < PLAIN_FROM) & (sizes > 0))).any()):
        texts = [_plain(text) if b"e" in text else text for text in texts]
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        value = values[index]
        texts[index] = b"NaN" if np.isnan(value) else b"+Inf" if value > 0 else b"-Inf"
    return texts


def _plain(text: bytes) -> bytes:
    """Return a number without its exponent where Prometheus writes none: from 1e-6 to below 1e21."""
    size = abs(float(text))
    if size >= EXPONENT_FROM or size < EXPONENT_BELOW:
        return text
    return format(Decimal(text.decode()), "f").encode()


def exponent_text(value: float) -> str:
    """Return a number as Prometheus writes the value of an alert: one digit, the others, a signed exponent."""
    if not math.isfinite(value):
        return value_texts(np.array([value]))[0].decode()
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) - 1 + int(exponent) if any(digits) else 0
    rest = "".join(map(str, digits[1:]))
    return f"{'-' if sign else ''}{digits[0]}{'.' + rest if rest else ''}e{power:+03d}"


def time_texts(timestamps_ms: Ints) -> list[bytes]:
    """Return each time in seconds, without trailing zeros."""
    if not timestamps_ms.size:
        return []
    texts = orjson.dumps((timestamps_ms / 1000.0).tolist())[1:-1].split(b",")
    return [text[:-2] if text.endswith(b".0") else text for text in texts]


def point_texts(timestamps_ms: Ints, values: Floats, present: Bools) -> Sequence[bytes | memoryview]:
    """Return for each row its points, `[time,"value"]` and commas between them; a row may have none."""
    counts = np.count_nonzero(present, axis=1)
    is_full = bool(present.all())
    chosen = np.ascontiguousarray(values.ravel() if is_full else values[present])
    if not chosen.size:
        return [b""] * len(counts)
    times = time_texts(timestamps_ms)
    steps = np.tile(np.arange(present.shape[1]), present.shape[0]) if is_full else np.nonzero(present)[1]
    written = orjson.dumps(chosen, option=orjson.OPT_SERIALIZE_NUMPY)
    # The bracket at the end stands for the comma after the last number.
    digits = np.frombuffer(written, np.uint8, offset=1)
    ends = np.concatenate(([0], np.cumsum([len(text) for text in times]))).astype(np.int64)
    out = np.empty(digits.size + chosen.size * (int(np.max(np.diff(ends))) + 6), np.uint8)
    row_ends = np.empty(counts.size, np.int64)
    odd = np.zeros(counts.size, np.uint8)
    kernels.join_points(digits, np.frombuffer(b"".join(times), np.uint8), ends, steps, out, row_ends, counts, odd)
    whole, cuts = memoryview(out), row_ends.tolist()
    texts: list[bytes | memoryview] = [whole[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
    if bool(odd.any()):
        after = np.cumsum(counts)
        for row in np.flatnonzero(odd).tolist():
            part = slice(int(after[row] - counts[row]), int(after[row]))
            texts[row] = joined_points(times, steps[part], value_texts(chosen[part]))
    return texts


def joined_points(times: list[bytes], steps: Ints, values: list[bytes]) -> bytes:
    """Join the points of one row as the kernel does, for numbers that are written by hand."""
    points = [b"[" + times[step] + b',"' + text + b'"]' for step, text in zip(steps.tolist(), values, strict=True)]
    return b",".join(points)
