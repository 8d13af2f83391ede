"""Samples of up to 200 series of one metric; equal timestamp rows are kept once (`docs/formats/group-block.md`)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metrics.promql.types import STALE_NAN
from metrics.store import kernels, pages
from metrics.store.columns import (
    Samples,
    decode_histograms,
    decode_ints,
    decode_stale,
    decode_values,
    encode_histograms,
    encode_ints,
    encode_values,
    without_stale,
)
from metrics.store.container import CorruptBlock, Section, pack, unpack

MAGIC = b"GB"
SERIES_PER_GROUP = 200
LEVEL_MINUTES = 1
LEVEL_HOURS = 2
LEVEL_DAY = 3
COMPRESSION = 8
# Blocks of minutes are packed again within hours.
COMPRESSION_MINUTES = 4
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def arrange(samples: Samples, series_count: int) -> tuple[Ints, Samples]:
    """Return (CSR offsets, samples) sorted by series number and time; of equal times the later row wins.

    Rows with a negative number are left out; the ids of the result are not filled.
    """
    if samples.histograms is not None:
        return _arrange_histograms(samples, samples.histograms, series_count)
    size = samples.series_ids.size
    offsets = np.empty(series_count + 1, np.int64)
    times, values = np.empty(size, np.int64), np.empty(size, np.float64)
    kept = kernels.arrange(
        samples.series_ids, samples.timestamps_ms, samples.values, series_count, offsets, times, values
    )
    return offsets, Samples(np.empty(0, np.int64), times[:kept], values[:kept])


def _arrange_histograms(
    samples: Samples, histograms: npt.NDArray[np.object_], series_count: int
) -> tuple[Ints, Samples]:
    """Arrange the numbers of the rows in the place of their values, so that any column can follow."""
    rows = Samples(samples.series_ids, samples.timestamps_ms, np.arange(samples.values.size, dtype=np.float64))
    offsets, ordered = arrange(rows, series_count)
    chosen = ordered.values.astype(np.int64)
    return offsets, Samples(ordered.series_ids, ordered.timestamps_ms, samples.values[chosen], histograms[chosen])


def encode(samples: Samples, *, level: int = LEVEL_HOURS) -> tuple[bytes, int]:
    """Return (block, samples in it) of one group; its samples come in any order, later ones replace earlier ones."""
    slots_all = samples.series_ids % SERIES_PER_GROUP
    offsets, ordered = arrange(dataclasses.replace(samples, series_ids=slots_all), SERIES_PER_GROUP)
    strength = COMPRESSION_MINUTES if level == LEVEL_MINUTES else COMPRESSION
    layout, lengths = layout_sections(offsets, ordered.timestamps_ms, strength=strength)
    sections = [
        *layout,
        *_value_sections(ordered.values, lengths, level=level),
        *encode_histograms(ordered, level=COMPRESSION),
    ]
    return pack(MAGIC, ordered.values.size, sections), int(ordered.values.size)


def layout_sections(offsets: Ints, times: Ints, *, strength: int) -> tuple[list[tuple[Section, bytes]], Ints]:
    """Return which slots have which times, as sections, and the number of samples of each series that has any."""
    slots = np.flatnonzero(np.diff(offsets))
    offsets = np.concatenate([offsets[slots], offsets[-1:]])
    row_of_series = np.empty(slots.size, np.int64)
    representative = np.empty(slots.size, np.int64)
    rows = kernels.share_rows(offsets, times, row_of_series, representative)
    row_times = [times[offsets[s] : offsets[s + 1]] for s in representative[:rows].tolist()]
    sections = [
        (Section.SLOTS, slots.astype(np.uint8).tobytes()),
        (Section.ROW_OF_SERIES, row_of_series.astype(np.uint8).tobytes()),
        (Section.ROW_LENGTHS, np.array([row.size for row in row_times], "<u4").tobytes()),
        (Section.TIMESTAMPS, encode_ints(np.concatenate(row_times), level=strength, consecutive=2)),
    ]
    return sections, np.diff(offsets)


def _value_sections(values: Floats, lengths: Ints, *, level: int) -> list[tuple[Section, bytes]]:
    if level == LEVEL_MINUTES:
        return encode_values(values, level=COMPRESSION_MINUTES, delta=True)
    filled, stale = without_stale(values)
    return [(Section.PAGED_VALUES, pages.encode(filled, lengths, level=COMPRESSION)), *stale]


@dataclasses.dataclass(slots=True)
class OpenBlock:
    """A block whose layout is read; values are decoded when asked for, and pages only where they are needed.

    A column that was decoded whole is kept, and `nbytes` counts it from the start: who reads most of a block reads it
    again, as dashboards do.
    """

    rows: int
    slots: Ints
    row_of_series: Ints
    row_starts: Ints
    row_times: Ints
    # Where the values of each series begin, and at the end how many there are.
    starts: Ints
    histograms: npt.NDArray[np.object_] | None
    nbytes: int
    t_min_ms: int
    _sections: dict[int, bytes]
    _paged: pages.PagedValues | None
    _stale: Bools | None
    # Stands for every value where not None.
    constant: float | None = None
    _column: Floats | Ints | None = None
    # The column as far as it was read, and which series are.
    _pages: tuple[Floats | Ints, Bools] | None = None

    @property
    def may_be_stale(self) -> bool:
        """Tell whether a stale marker may be among the values."""
        return self._stale is not None or Section.STALE in self._sections

    def values(self, wanted: Bools) -> Floats | Ints:
        """Return the value column; only what belongs to wanted series (by their place in the block) is filled."""
        if self.constant is not None:
            return np.full(self.rows, self.constant)
        if self._column is not None:
            return self._column
        if self._paged is not None and self._stale is None:
            return self._read_so_far(self._paged, wanted)
        is_whole = self._paged is None or 2 * int(np.count_nonzero(wanted)) >= wanted.size
        column = self._decoded(np.ones_like(wanted) if is_whole else wanted)
        if is_whole:
            self._column = column
        return column

    def _read_so_far(self, paged: pages.PagedValues, wanted: Bools) -> Floats | Ints:
        """Return the column with every page that anybody wanted; two threads at once write the same into it."""
        if self._pages is None:
            self._pages = paged.room(self.starts), np.zeros_like(wanted)
        column, read = self._pages
        missing = wanted & ~read
        if bool(missing.any()):
            read |= paged.read_into(column, self.starts, missing)
            if bool(read.all()):
                self._column = column
        return column

    def _decoded(self, wanted: Bools) -> Floats | Ints:
        if self._paged is None:
            return decode_values(self._sections, self.rows)
        column = self._paged.read(self.starts, wanted)
        if self._stale is not None:
            column = column.astype(np.float64, copy=False)
            column[self._stale] = STALE_NAN
        return column

    def samples(self, group_no: int) -> Samples:
        """Return all samples, sorted by series and time."""
        times, series = np.empty(self.rows, np.int64), np.empty(self.rows, np.int64)
        ids = self.slots + group_no * SERIES_PER_GROUP
        kernels.spread_rows(self.row_starts, self.row_times, self.row_of_series, times, series, ids)
        values = self.values(np.ones(self.slots.size, np.bool_)).astype(np.float64, copy=False)
        return Samples(series, times, values, self.histograms)


def opened(block: bytes, *, magic: bytes = MAGIC, column: Section = Section.PAGED_VALUES) -> OpenBlock:
    """Return a block, or one column of another kind with this layout, ready to be read; raises CorruptBlock."""
    rows, sections = unpack(magic, block)
    try:
        slots = np.frombuffer(sections[Section.SLOTS], np.uint8).astype(np.int64)
        row_of_series = np.frombuffer(sections[Section.ROW_OF_SERIES], np.uint8).astype(np.int64)
        row_lengths = np.frombuffer(sections[Section.ROW_LENGTHS], "<u4").astype(np.int64)
        times = sections.pop(Section.TIMESTAMPS)
    except (KeyError, ValueError):
        raise CorruptBlock("a group block lacks a section") from None
    _check(rows, slots, row_of_series, row_lengths)
    row_times = decode_ints(times, int(row_lengths.sum()))
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(row_lengths[row_of_series])])
    paged = sections.pop(column, None)
    histograms = decode_histograms(sections, rows)
    row_starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(row_lengths)])
    if not bool((row_lengths > 0).all()):
        raise CorruptBlock("a row of a group block is empty")
    held = len(block) + row_times.nbytes + 8 * rows + 2_048 + (0 if histograms is None else 16 * rows)
    return OpenBlock(
        rows=rows,
        slots=slots,
        row_of_series=row_of_series,
        row_starts=row_starts,
        row_times=row_times,
        starts=starts,
        histograms=histograms,
        nbytes=held,
        t_min_ms=int(np.min(row_times[row_starts[:-1]])) if row_times.size else 0,
        _sections=sections,
        _paged=None if paged is None else pages.opened(paged, slots.size),
        _stale=None if paged is None else decode_stale(sections, rows),
    )


def decode(block: bytes, *, group_no: int) -> Samples:
    """Return the samples sorted by series and time; raises CorruptBlock."""
    return opened(block).samples(group_no)


def _check(rows: int, slots: Ints, row_of_series: Ints, row_lengths: Ints) -> None:
    if slots.size != row_of_series.size or bool((slots >= SERIES_PER_GROUP).any()):
        raise CorruptBlock("the series of a group block do not match")
    if row_of_series.size and int(np.max(row_of_series)) >= row_lengths.size:
        raise CorruptBlock("a series of a group block names a row that is not there")
    if int(row_lengths[row_of_series].sum()) != rows:
        raise CorruptBlock("the rows of a group block do not add up")


def split_groups(samples: Samples) -> Sequence[tuple[int, Samples]]:
    """Return (group number, its samples in the order they came) for each group."""
    groups = samples.series_ids // SERIES_PER_GROUP
    near = groups - np.min(groups) if groups.size else groups
    # Of 16 bits each place is counted, which takes a fraction of the comparing that larger numbers need.
    order = np.argsort(near.astype(np.uint16) if near.size and np.max(near) < 1 << 16 else near, kind="stable")
    ordered, groups = samples.take(order), groups[order]
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]])) if groups.size else groups
    ends = [*starts[1:].tolist(), groups.size]
    return (
        [
            (int(groups[start]), ordered.take(slice(start, end)))
            for start, end in zip(starts.tolist(), ends, strict=True)
        ]
        if groups.size
        else []
    )
