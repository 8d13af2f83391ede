"""New series of a request as the store wants them, those with plain labels without a Python object per label."""

from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from metrics.domain import (
    FINGERPRINT_BYTES,
    MAX_LABELS,
    MAX_NAME_BYTES,
    MAX_VALUE_BYTES,
    BadSeries,
    NewSeries,
    series_labels,
)
from metrics.wire.errors import WireError
from metrics.wire.labels import kernels

Ints = npt.NDArray[np.int64]
NamedOnes = tuple[list[tuple[bytes, NewSeries] | None], dict[int, str]]
Spans = Callable[[Ints, Ints], int]
# The most a label adds around its texts: two lengths and two marks; four quotes and two marks.
CANONICAL_EXTRA = 10
JSON_EXTRA = 7


def label_spans(walk: Spans, series: int) -> tuple[Ints, Ints]:
    """Return the spans of all labels and where those of each series begin; `walk` fills them."""
    room = 16 * series
    offsets = np.zeros(series + 1, np.int64)
    while True:
        spans = np.empty((room, 4), np.int64)
        code = walk(spans, offsets)
        if code == 0:
            return spans[: offsets[-1]], offsets
        if code != kernels.FULL:
            raise WireError("the labels of a series cannot be read")
        room *= 4


def named_series(raw: bytes, spans: Ints, offsets: Ints, slow: Callable[[int], list[tuple[str, str]]]) -> NamedOnes:
    """Return fingerprint and names of each series; None and a reason by its place where it cannot be one.

    `slow` gives the labels of a series that is not plain, by its place.
    """
    series = offsets.size - 1
    metric, (canonical_ends, text_ends) = np.empty(series, np.int64), np.empty((2, series), np.int64)
    size = int((spans[:, 1] - spans[:, 0] + spans[:, 3] - spans[:, 2]).sum())
    canonical = np.empty(size + CANONICAL_EXTRA * len(spans), np.uint8)
    text = np.empty(2 * size + JSON_EXTRA * len(spans) + 2 * series, np.uint8)
    kernels.texts(
        np.frombuffer(raw, np.uint8), spans, offsets, MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES,
        metric, canonical, canonical_ends, text, text_ends,
    )  # fmt: skip
    canonicals, texts = canonical[: canonical_ends[-1]].tobytes(), text[: text_ends[-1]].tobytes()
    found: list[tuple[bytes, NewSeries] | None] = []
    reasons: dict[int, str] = {}
    begun = begun_text = 0
    names = spans[np.maximum(metric, 0), 2:4].tolist() if len(spans) else []
    columns = zip(metric.tolist(), canonical_ends.tolist(), text_ends.tolist(), strict=True)
    for place, (row, end, end_text) in enumerate(columns):
        if row >= 0:
            key = blake2b(canonicals[begun:end], digest_size=FINGERPRINT_BYTES).digest()
            start, stop = names[place]
            found.append((key, NewSeries(raw[start:stop].decode(), texts[begun_text:end_text])))
        else:
            try:
                found.append(NewSeries.of(series_labels(slow(place))))
            except BadSeries as error:
                reasons[place] = str(error)
                found.append(None)
        begun, begun_text = end, end_text
    return found, reasons
