"""Prometheus remote write 1: snappy block, protobuf, columns out."""

from dataclasses import dataclass
from typing import NamedTuple

import cramjam
import numpy as np
import numpy.typing as npt

from metrics.domain import MAX_NAME_BYTES, BadSeries, Metadata
from metrics.wire import kernels, messages
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.labels import kernels as label_kernels
from metrics.wire.labels.reading import NamedOnes, label_spans, named_series
from metrics.wire.series_table import KEY_WITHIN_BYTES, Recent, SeriesTable

Ints = npt.NDArray[np.int64]
MAX_DECODED_BYTES = 32 << 20
MAX_SAMPLES = 1_000_000
MAX_METADATA = 20_000
MESSAGES = {
    -1: "a field is longer than the bytes that are left",
    -2: "a varint is longer than ten bytes",
    -3: "a field has the number 0 or one that is too large",
    -4: "a field has a wire type that is not used",
}
METADATA_TYPES = {1: "counter", 2: "gauge", 3: "histogram", 4: "histogram", 5: "summary"}


@dataclass(frozen=True, slots=True)
class Parts:
    """Where exemplars and native histograms lie in a request; they are rare, so they are read one by one."""

    series: Ints
    sort: Ints
    start: Ints
    end: Ints

    @classmethod
    def empty(cls, size: int) -> "Parts":
        """Return columns to be written."""
        return cls(*(np.empty(size, np.int64) for _ in range(4)))

    def rows(self, sort: int) -> list[tuple[int, int, int]]:
        """Return (series, start, end) of the parts of one sort."""
        if not self.sort.size:
            return []
        chosen = self.sort == sort
        columns = (self.series[chosen].tolist(), self.start[chosen].tolist(), self.end[chosen].tolist())
        return list(zip(*columns, strict=True))


@dataclass(slots=True)
class WriteColumns:
    """What a request holds; `series_ids` is -1 where the table does not know a series yet."""

    raw: bytes
    series_start: Ints
    series_end: Ints
    label_start: Ints
    label_end: Ints
    series_low: npt.NDArray[np.uint64]
    series_high: npt.NDArray[np.uint64]
    series_ids: Ints
    series_cacheable: npt.NDArray[np.bool_]
    sample_series: Ints
    timestamps_ms: Ints
    values: npt.NDArray[np.float64]
    metadata_start: Ints
    metadata_end: Ints
    parts: Parts

    def label_pairs(self, series: int) -> list[tuple[str, str]]:
        """Return the labels of one series as they were sent; raises BadSeries or WireError."""
        return _label_pairs(self, series)

    def new_series(self, series: Ints) -> NamedOnes:
        """Return fingerprint and names of these series, None where one cannot be, and the reasons by their places."""
        data = np.frombuffer(self.raw, np.uint8)
        starts, ends = self.series_start[series], self.series_end[series]

        def walk(spans: Ints, offsets: Ints) -> int:
            return int(label_kernels.spans_written_out(data, starts, ends, spans, offsets))

        spans, offsets = label_spans(walk, series.size)
        return named_series(self.raw, spans, offsets, lambda place: self.label_pairs(int(series[place])))

    def exemplar(self, start: int, end: int) -> tuple[int, float, list[tuple[str, str]]]:
        """Return time, value and labels of the exemplar that lies there; raises BadSeries."""
        message = messages.labelled_exemplar(self.raw[start:end])
        return message.timestamp, message.value, [(label.name, label.value) for label in message.labels]

    def metadata(self) -> list[Metadata]:
        """Return the declared metadata; entries that cannot be read are left out."""
        return _metadata(self)


def declared_length(body: bytes) -> int:
    """Return the decoded length a snappy block declares, without decoding it."""
    length = 0
    for position, byte in enumerate(body[:5]):
        length |= (byte & 127) << (7 * position)
        if byte < 128:
            return length
    raise WireError("the body does not begin with the length of a snappy block")


def decompress(body: bytes, *, max_bytes: int = MAX_DECODED_BYTES) -> bytes:
    """Return the decoded block; the declared length is checked first, so a lie costs nothing."""
    length = declared_length(body)
    if length > max_bytes:
        raise TooLarge(f"the snappy block declares {length} bytes, at most {max_bytes} are taken")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise WireError(f"the body is not a snappy block: {error}") from None


def _check(code: int) -> None:
    if code < 0:
        raise WireError(f"the body is not a WriteRequest: {MESSAGES[code]}")


def _measure(data: npt.NDArray[np.uint8]) -> list[int]:
    counts = np.zeros(kernels.COUNTS, np.int64)
    _check(kernels.count(data, counts))
    if counts[kernels.SAMPLES] > MAX_SAMPLES:
        raise TooLarge(f"{counts[kernels.SAMPLES]} samples in one request, at most {MAX_SAMPLES} are taken")
    if counts[kernels.METADATA] > MAX_METADATA:
        raise TooLarge(f"{counts[kernels.METADATA]} metadata entries, at most {MAX_METADATA} are taken")
    return [int(count) for count in counts]


def _empty(raw: bytes, series: int, samples: int, parts: int, metadata: int) -> WriteColumns:
    return WriteColumns(
        raw=raw,
        series_start=np.empty(series, np.int64),
        series_end=np.empty(series, np.int64),
        label_start=np.empty(series, np.int64),
        label_end=np.empty(series, np.int64),
        series_low=np.empty(series, np.uint64),
        series_high=np.empty(series, np.uint64),
        series_ids=np.empty(series, np.int64),
        series_cacheable=np.empty(series, np.bool_),
        sample_series=np.empty(samples, np.int64),
        timestamps_ms=np.empty(samples, np.int64),
        values=np.empty(samples, np.float64),
        metadata_start=np.empty(metadata, np.int64),
        metadata_end=np.empty(metadata, np.int64),
        parts=Parts.empty(parts),
    )


def _extract(columns: WriteColumns, table: SeriesTable, last: Recent, found: Ints) -> int:
    known = table.columns
    return int(
        kernels.extract(
            np.frombuffer(columns.raw, np.uint8), *table.key, known.low, known.high, known.ids,
            last.data, last.label_start, last.label_end, last.ids,
            columns.series_start, columns.series_end, columns.label_start, columns.label_end,
            columns.series_low, columns.series_high, columns.series_ids, columns.series_cacheable,
            columns.sample_series, columns.timestamps_ms, columns.values.view(np.uint64),
            columns.metadata_start, columns.metadata_end,
            columns.parts.series, columns.parts.sort, columns.parts.start, columns.parts.end, found,
        )
    )  # fmt: skip


class Repeated(NamedTuple):
    """One sample for each series of an earlier request; the ids are that request's own, not to be written to."""

    series_ids: Ints
    timestamps_ms: Ints
    values: npt.NDArray[np.float64]
    first_ms: int
    newest_ms: int


def decode_repeated(body: bytes, table: SeriesTable) -> Repeated | None:
    """Return what a compressed request brings that names the series of an earlier one again; None for any other.

    It is what a sender of many small requests sends nearly always, so nothing is made for it that it does not need.
    """
    try:
        if declared_length(body) > MAX_DECODED_BYTES:
            return None
        raw = np.frombuffer(cramjam.snappy.decompress_raw(body), np.uint8)
    except (WireError, cramjam.DecompressionError):
        return None
    last = table.recent.find(raw[:KEY_WITHIN_BYTES].tobytes())
    size = last.ids.size
    if not size:
        return None
    times, values, span = np.empty(size, np.int64), np.empty(size, np.float64), np.empty(2, np.int64)
    found = kernels.extract_again(
        raw, last.data, last.label_start, last.label_end, times, values.view(np.uint64), span
    )  # fmt: skip
    return None if found < 0 else Repeated(last.ids, times, values, int(span[0]), int(span[1]))


def _like_last(raw: bytes, table: SeriesTable, last: Recent) -> WriteColumns | None:
    """Return the columns of a request that is made as the last of its sender was; None where it is not.

    Nothing is counted first, which takes as long as reading: one sample a series, and nothing else, is what they send.
    """
    size = last.ids.size
    if not size:
        return None
    columns, found = _empty(raw, size, size, 0, 0), np.zeros(kernels.COUNTS, np.int64)
    whole = _extract(columns, table, last, found) == 0
    return columns if whole and found[kernels.SERIES] == found[kernels.SAMPLES] == size else None


def decode(raw: bytes, table: SeriesTable) -> WriteColumns:
    """Return the columns of a decoded WriteRequest; raises WireError where the bytes break the format."""
    last = table.recent.find(raw)
    columns = _like_last(raw, table, last)
    if columns is None:
        series, samples, exemplars, histograms, metadata = _measure(np.frombuffer(raw, np.uint8))
        columns = _empty(raw, series, samples, exemplars + histograms, metadata)
        _check(_extract(columns, table, last, np.zeros(kernels.COUNTS, np.int64)))
    if not np.array_equal(last.ids, columns.series_ids):
        table.recent.remember(raw, columns.label_start, columns.label_end, columns.series_ids)
    return columns


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def fields(raw: bytes, start: int, end: int) -> list[tuple[int, int | bytes]]:
    """Return (number, value) of the varint and length-delimited fields of a message.

    Raises WireError where the bytes break the format: the kernels have not looked inside every message.
    """
    found: list[tuple[int, int | bytes]] = []
    raw = raw[start:end]
    position = 0
    try:
        while position < len(raw):
            tag, position = _varint(raw, position)
            number, wire_type = tag >> 3, tag & 7
            if wire_type == 0:
                value, position = _varint(raw, position)
                found.append((number, value))
            elif wire_type == 2:
                size, position = _varint(raw, position)
                if size > len(raw) - position:
                    raise WireError("the body is not a WriteRequest: " + MESSAGES[-1])
                found.append((number, raw[position : position + size]))
                position += size
            elif wire_type in (1, 5):
                position += 8 if wire_type == 1 else 4
            else:
                raise WireError("the body is not a WriteRequest: " + MESSAGES[-4])
    except IndexError:
        raise WireError("the body is not a WriteRequest: " + MESSAGES[-1]) from None
    return found


def _text(value: int | bytes) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else ""
    except UnicodeDecodeError:
        raise BadSeries("a label is not UTF-8") from None


def _label_pairs(columns: WriteColumns, series: int) -> list[tuple[str, str]]:
    start, end = int(columns.series_start[series]), int(columns.series_end[series])
    pairs = []
    for number, message in fields(columns.raw, start, end):
        if number == 1 and isinstance(message, bytes):
            label = dict(fields(message, 0, len(message)))
            pairs.append((_text(label.get(1, b"")), _text(label.get(2, b""))))
    return pairs


def metadata_entry(family: str, kind: str, unit: str, text: str) -> Metadata | None:
    """Return the metadata of a family, None where its name cannot be one."""
    if not family or "\0" in family + text + unit or len(family.encode()) > MAX_NAME_BYTES:
        return None
    return Metadata(family, kind, unit[:64], text[:4_096])


def _metadata(columns: WriteColumns) -> list[Metadata]:
    found = []
    for start, end in zip(columns.metadata_start.tolist(), columns.metadata_end.tolist(), strict=True):
        entry = dict(fields(columns.raw, start, end))
        kind = entry.get(1, 0)
        named = METADATA_TYPES.get(kind, "untyped") if isinstance(kind, int) else "untyped"
        try:
            family, text, unit = (_text(entry.get(number, b"")) for number in (2, 4, 5))
        except BadSeries:
            continue
        made = metadata_entry(family, named, unit, text)
        if made is not None:
            found.append(made)
    return found
