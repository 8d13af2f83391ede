"""Text pages to columns: one compiled pass, then Python for what was not seen before."""

import math
import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.domain import NewExemplar
from metrics.wire.errors import TooLarge
from metrics.wire.exposition import kernels
from metrics.wire.exposition.forms import MAX_LINES, NO_TIMESTAMP, ExpositionError
from metrics.wire.exposition.naming import canonical, labels_of, number, series_of
from metrics.wire.exposition.remarks import Remarks, read_remark
from metrics.wire.kernels import insert

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Unsigned = npt.NDArray[np.uint64]
REASONS = {
    kernels.NO_NAME: "the metric name is missing",
    kernels.UNCLOSED: "a brace or a quote is not closed",
    kernels.NO_VALUE: "the value is missing",
    kernels.BAD_TIMESTAMP: "the timestamp is not a whole number of milliseconds",
    kernels.TRAILING: "something stands behind the value and its timestamp",
}
MAX_EXEMPLAR_CHARACTERS = 128
FARTHEST_MS = 2.0**62
LATE_VALUE, LATE_TIME = 1, 2
# What the table gives for a bound that is part of a family of this type.
BOUNDS = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile"}


class PrefixTable:
    """From the text of a series, as its target writes it, to a place of the caller's choice; grows as needed."""

    def __init__(self, capacity: int = 16) -> None:
        """Start empty, under a key of its own."""
        self.key = (np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64)))
        self.count = 0
        self._make(capacity)

    def _make(self, capacity: int) -> None:
        self.low, self.high = np.zeros(capacity, np.uint64), np.zeros(capacity, np.uint64)
        self.places = np.full(capacity, -1, np.int64)

    def add(self, low: Unsigned, high: Unsigned, places: Ints) -> None:
        """Remember the places of these texts."""
        self.count += places.size
        if self.places.size < 2 * self.count:
            kept = self.places >= 0
            old = self.low[kept], self.high[kept], self.places[kept]
            capacity = self.places.size
            while capacity < 2 * self.count:
                capacity *= 2
            self._make(capacity)
            insert(*old, self.low, self.high, self.places)
        insert(low, high, places, self.low, self.high, self.places)


@dataclass(slots=True)
class Scan:
    """One text page; `places` is -1 where a series is unknown, `timestamps_ms` is NO_TIMESTAMP where none is told."""

    data: bytes
    spans: npt.NDArray[np.int64]
    low: Unsigned
    high: Unsigned
    places: Ints
    values: Floats
    timestamps_ms: Ints
    comments: npt.NDArray[np.int64]
    shape: int

    def series_text(self, row: int) -> bytes:
        """Return name and labels of a row as they are written."""
        return self.data[self.spans[row, kernels.SERIES_START] : self.spans[row, kernels.SERIES_END]]

    def line(self, place: int) -> int:
        """Return the number of the line at a place of the page."""
        return self.data.count(b"\n", 0, place) + 1


def scan(data: bytes, table: PrefixTable, *, openmetrics: bool) -> Scan:
    """Walk over a page; raises ExpositionError with the line, TooLarge beyond a million lines."""
    lines = data.count(b"\n") + 1
    if lines > MAX_LINES:
        raise TooLarge(f"{lines} lines on a page, at most {MAX_LINES} are taken")
    if openmetrics and not data.endswith(b"# EOF\n") and not data.endswith(b"# EOF"):
        raise ExpositionError("the page does not end with # EOF")
    spans = np.empty((lines, kernels.SPANS), np.int64)
    low, high = np.empty(lines, np.uint64), np.empty(lines, np.uint64)
    places, values, times = np.empty(lines, np.int64), np.empty(lines), np.empty(lines)
    slow, comments, totals = np.empty(lines, np.int8), np.empty((lines, 2), np.int64), np.zeros(3, np.uint64)
    error, where = kernels.scan(
        np.frombuffer(data, np.uint8), *table.key, table.low, table.high, table.places, openmetrics,
        spans, low, high, places, values, times, slow, comments, totals,
    )  # fmt: skip
    if error:
        raise ExpositionError(REASONS[error], data.count(b"\n", 0, where) + 1)
    n, remarks = int(totals[0]), int(totals[1])
    page = Scan(
        data, spans[:n], low[:n], high[:n], places[:n], values[:n], np.empty(0, np.int64), comments[:remarks],
        int(totals[2]),
    )  # fmt: skip
    _finish(page, times[:n], slow[:n], 1000.0 if openmetrics else 1.0)
    return page


def _finish(page: Scan, times: Floats, slow: npt.NDArray[np.int8], scale: float) -> None:
    for row in np.flatnonzero(slow).tolist():
        start, end, time_start, time_end = page.spans[row, kernels.VALUE_START : kernels.TIME_END + 1].tolist()
        try:
            if slow[row] & LATE_VALUE:
                page.values[row] = number(page.data[start:end].decode("latin-1"))
            if slow[row] & LATE_TIME:
                times[row] = number(page.data[time_start:time_end].decode("latin-1"))
        except ExpositionError as error:
            raise ExpositionError(str(error), page.line(start)) from None
    told = page.spans[:, kernels.TIME_START] >= 0
    page.timestamps_ms = np.full(times.size, NO_TIMESTAMP, np.int64)
    moments = times[told] * scale
    wrong = ~np.isfinite(moments)
    if bool(wrong.any()):
        row = int(np.flatnonzero(told)[np.argmax(wrong)])
        raise ExpositionError("the timestamp is not a moment", page.line(int(page.spans[row, 0])))
    # A moment no clock will show is well formed; the window of whoever stores it refuses it.
    page.timestamps_ms[told] = np.clip(moments, -FARTHEST_MS, FARTHEST_MS).astype(np.int64)


def remarks_of(page: Scan, *, openmetrics: bool) -> Remarks:
    """Return what the comment lines declare."""
    remarks = Remarks()
    for start, end in page.comments.tolist():
        try:
            read_remark(page.data[start:end], start, remarks, openmetrics=openmetrics)
        except ExpositionError as error:
            raise ExpositionError(str(error), page.line(start)) from None
    return remarks


def labels_at(page: Scan, row: int, remarks: Remarks) -> dict[str, str]:
    """Return the labels of a row, bounds in their one spelling."""
    start = int(page.spans[row, kernels.SERIES_START])
    try:
        labels = series_of(page.series_text(row))
    except ExpositionError as error:
        raise ExpositionError(str(error), page.line(start)) from None
    bound = BOUNDS.get(remarks.type_at(start))
    if bound in labels:
        labels[bound] = canonical(labels[bound])
    return labels


def exemplar_rows(page: Scan) -> list[int]:
    """Return the rows that have an exemplar."""
    return [int(row) for row in np.flatnonzero(page.spans[:, kernels.EXEMPLAR] >= 0)]


def exemplar_text(page: Scan, row: int) -> bytes:
    """Return the exemplar of a row as it is written."""
    return page.data[page.spans[row, kernels.EXEMPLAR] : page.spans[row, kernels.LINE_END]]


def exemplar_of(text: bytes, series: int) -> NewExemplar:
    """Read `# {labels} value [timestamp]`; raises ExpositionError."""
    try:
        line = text.decode()
    except UnicodeDecodeError:
        raise ExpositionError(f"{text[:80]!r} is not UTF-8") from None
    begin, end = line.find("{"), line.rfind("}")
    if begin < 0 or end < begin:
        raise ExpositionError(f"an exemplar without labels: {line[:80]!r}")
    labels = labels_of(line[begin : end + 1])
    parts = line[end + 1 :].split()
    if not 1 <= len(parts) <= 2:
        raise ExpositionError(f"an exemplar is labels, a value and at most a timestamp: {line[:80]!r}")
    if sum(len(name) + len(value) for name, value in labels.items()) > MAX_EXEMPLAR_CHARACTERS:
        raise ExpositionError(f"the labels of an exemplar have more than {MAX_EXEMPLAR_CHARACTERS} characters")
    at = number(parts[1]) * 1000 if len(parts) == 2 else math.nan
    if len(parts) == 2 and not math.isfinite(at):
        raise ExpositionError(f"the timestamp of an exemplar is not a moment: {line[:80]!r}")
    at_ms = NO_TIMESTAMP if len(parts) == 1 else int(min(max(at, -FARTHEST_MS), FARTHEST_MS))
    return NewExemplar(series, at_ms, number(parts[0]), labels)
