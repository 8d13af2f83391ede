"""Prometheus remote write 2 (io.prometheus.write.v2.Request): the same columns as version 1 gives."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.domain import METRIC_NAME_LABEL, BadSeries, Metadata
from metrics.wire import messages, remote_write
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.labels import kernels as label_kernels
from metrics.wire.labels.reading import NamedOnes, label_spans, named_series
from metrics.wire.remote_write import MAX_METADATA, MAX_SAMPLES, METADATA_TYPES, Ints, Parts, WriteColumns
from metrics.wire.remote_write_2 import kernels
from metrics.wire.series_table import SeriesTable

MAX_SYMBOLS = 1_000_000
_NAME_SYMBOL = b"\x22\x08" + METRIC_NAME_LABEL.encode()
# The series of a family carry its metadata under their own names.
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@dataclass(slots=True)
class SymbolColumns(WriteColumns):
    """What a request holds, beside its table of symbols."""

    symbol_start: Ints
    symbol_end: Ints
    declared_series: Ints
    declared: Ints

    def symbol(self, ref: int) -> str:
        """Return a symbol; raises BadSeries."""
        if ref >= self.symbol_start.size:
            raise BadSeries(f"a label points at symbol {ref} of {self.symbol_start.size}")
        try:
            return self.raw[self.symbol_start[ref] : self.symbol_end[ref]].decode()
        except UnicodeDecodeError:
            raise BadSeries("a label is not UTF-8") from None

    def label_pairs(self, series: int) -> list[tuple[str, str]]:
        """Return the labels of one series as they were sent; raises BadSeries."""
        refs = np.empty(kernels.MAX_REFS, np.int64)
        data = np.frombuffer(self.raw, np.uint8)
        size = kernels.refs_of(data, int(self.series_start[series]), int(self.series_end[series]), refs)
        if size > kernels.MAX_REFS:
            raise BadSeries(f"{size // 2} labels, at most {kernels.MAX_REFS // 2} are looked at")
        return self._pairs(refs[:size].tolist())

    def new_series(self, series: Ints) -> NamedOnes:
        """Return fingerprint and names of these series, None where one cannot be, and the reasons by their places."""
        data = np.frombuffer(self.raw, np.uint8)
        starts, ends = self.series_start[series], self.series_end[series]
        symbols = (self.symbol_start, self.symbol_end)

        def walk(spans: Ints, offsets: Ints) -> int:
            return int(label_kernels.spans_of_symbols(data, starts, ends, *symbols, spans, offsets))

        spans, offsets = label_spans(walk, series.size)
        return named_series(self.raw, spans, offsets, lambda place: self.label_pairs(int(series[place])))

    def exemplar(self, start: int, end: int) -> tuple[int, float, list[tuple[str, str]]]:
        """Return time, value and labels of the exemplar that lies there; raises BadSeries."""
        message = messages.symbol_exemplar(self.raw[start:end])
        if len(message.labels_refs) > kernels.MAX_REFS:
            raise BadSeries(f"an exemplar has {len(message.labels_refs) // 2} labels")
        return message.timestamp, message.value, self._pairs(list(message.labels_refs))

    def _pairs(self, refs: list[int]) -> list[tuple[str, str]]:
        if len(refs) % 2:
            raise BadSeries("the last label name has no value: the number of label refs is odd")
        return [(self.symbol(name), self.symbol(value)) for name, value in zip(refs[::2], refs[1::2], strict=True)]

    def metadata(self) -> list[Metadata]:
        """Return what is declared about metrics, each different thing once; what cannot be read is left out."""
        name = self._name_symbol()
        if name < 0 or not self.declared_series.size:
            return []
        rows, names = np.empty((2, self.declared_series.size), np.int64)
        found = kernels.families(
            np.frombuffer(self.raw, np.uint8), name, self.series_start, self.series_end, self.declared_series,
            self.declared, np.empty((self.symbol_start.size, 3), np.int64), rows, names,
        )  # fmt: skip
        return [
            entry
            for row, ref in zip(rows[:found].tolist(), names[:found].tolist(), strict=True)
            if (entry := self._entry(ref, *self.declared[row].tolist())) is not None
        ]

    def _name_symbol(self) -> int:
        """Return the ref of `__name__`, -1 without one."""
        place = self.raw.find(_NAME_SYMBOL)
        while place >= 0:
            ref = int(np.searchsorted(self.symbol_start, place + 2))
            if ref < self.symbol_start.size and self.symbol_start[ref] == place + 2:
                return ref
            place = self.raw.find(_NAME_SYMBOL, place + 1)
        return -1

    def _entry(self, name: int, kind: int, help_ref: int, unit_ref: int) -> Metadata | None:
        if not (kind or help_ref or unit_ref):
            return None
        try:
            family, text, unit = self.symbol(name), self.symbol(help_ref), self.symbol(unit_ref)
        except BadSeries:
            return None
        named = METADATA_TYPES.get(kind, "untyped")
        for suffix in SUFFIXES.get(named, ()):
            family = family.removesuffix(suffix)
        return remote_write.metadata_entry(family, named, unit, text)


def _check(code: int) -> None:
    if code < 0:
        raise WireError(f"the body is not an io.prometheus.write.v2.Request: {remote_write.MESSAGES[code]}")


def _measure(data: npt.NDArray[np.uint8]) -> list[int]:
    counts = np.zeros(kernels.COUNTS, np.int64)
    _check(kernels.count(data, counts))
    for place, most, what in (
        (kernels.SAMPLES, MAX_SAMPLES, "samples"),
        (kernels.SYMBOLS, MAX_SYMBOLS, "symbols"),
        (kernels.SERIES, MAX_SAMPLES, "series"),
        (kernels.PARTS, MAX_SAMPLES, "histograms and exemplars"),
        (kernels.METADATA, max(MAX_METADATA, int(counts[kernels.SERIES])), "metadata entries"),
    ):
        if counts[place] > most:
            raise TooLarge(f"{counts[place]} {what} in one request, at most {most} are taken")
    return [int(count) for count in counts]


def decode(raw: bytes, table: SeriesTable) -> SymbolColumns:
    """Return the columns of a Request; raises WireError where the bytes break the format."""
    data = np.frombuffer(raw, np.uint8)
    symbols, series, samples, parts, declared = _measure(data)
    bits = np.empty(samples, np.uint64)
    spans = [np.empty(size, np.int64) for size in (symbols, symbols, series, series)]
    _check(kernels.split(data, *spans))
    if symbols and spans[0][0] != spans[1][0]:
        raise WireError("the body is not an io.prometheus.write.v2.Request: the first symbol is not empty")
    columns = SymbolColumns(
        raw=raw,
        series_start=spans[2],
        series_end=spans[3],
        label_start=np.empty(series, np.int64),
        label_end=np.empty(series, np.int64),
        series_low=np.empty(series, np.uint64),
        series_high=np.empty(series, np.uint64),
        series_ids=np.empty(series, np.int64),
        series_cacheable=np.empty(series, np.bool_),
        sample_series=np.empty(samples, np.int64),
        timestamps_ms=np.empty(samples, np.int64),
        values=bits.view(np.float64),
        metadata_start=np.empty(0, np.int64),
        metadata_end=np.empty(0, np.int64),
        parts=Parts.empty(parts),
        symbol_start=spans[0],
        symbol_end=spans[1],
        declared_series=np.empty(declared, np.int64),
        declared=np.empty((declared, 3), np.int64),
    )
    _extract(columns, data, bits, table)
    return columns


def _extract(
    columns: SymbolColumns, data: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64], table: SeriesTable
) -> None:
    known, last = table.columns, table.recent.find(columns.raw)
    prefix = int(columns.symbol_end[-1]) if columns.symbol_end.size else 0
    same_symbols = bool(prefix) and np.array_equal(data[:prefix], last.data[:prefix])
    _check(
        kernels.extract(
            data, *table.key, known.low, known.high, known.ids,
            last.data, last.label_start, last.label_end, last.ids, same_symbols,
            columns.symbol_start, columns.symbol_end, np.zeros((columns.symbol_start.size, 2), np.uint64),
            columns.series_start, columns.series_end, columns.label_start, columns.label_end,
            columns.series_low, columns.series_high, columns.series_ids, columns.series_cacheable,
            columns.sample_series, columns.timestamps_ms, bits,
            columns.parts.series, columns.parts.sort, columns.parts.start, columns.parts.end,
            columns.declared_series, columns.declared,
        )
    )  # fmt: skip
    if not same_symbols or not np.array_equal(last.ids, columns.series_ids):
        table.recent.remember(columns.raw, columns.label_start, columns.label_end, columns.series_ids)
