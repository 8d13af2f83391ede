"""Samples of up to 200 series of one metric; equal timestamp rows are kept once (`docs/formats/group-block.md`)."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metrics.store import kernels
from metrics.store.columns import (
    Samples,
    decode_histograms,
    decode_ints,
    decode_values,
    encode_histograms,
    encode_ints,
    encode_values,
)
from metrics.store.container import CorruptBlock, Section, pack, unpack

MAGIC = b"GB"
SERIES_PER_GROUP = 200
LEVEL_MINUTES = 1
LEVEL_HOURS = 2
COMPRESSION = 8
Ints = npt.NDArray[np.int64]


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


def encode(samples: Samples) -> tuple[bytes, int]:
    """Return (block, samples in it) of one group; its samples come in any order, later ones replace earlier ones."""
    slots_all = samples.series_ids % SERIES_PER_GROUP
    offsets, ordered = arrange(dataclasses.replace(samples, series_ids=slots_all), SERIES_PER_GROUP)
    lengths = np.diff(offsets)
    slots = np.flatnonzero(lengths)
    offsets = np.concatenate([offsets[slots], offsets[-1:]])
    row_of_series = np.empty(slots.size, np.int64)
    representative = np.empty(slots.size, np.int64)
    rows = kernels.share_rows(offsets, ordered.timestamps_ms, row_of_series, representative)
    chosen = representative[:rows]
    row_times = [ordered.timestamps_ms[offsets[s] : offsets[s + 1]] for s in chosen.tolist()]
    sections = [
        (Section.SLOTS, slots.astype(np.uint8).tobytes()),
        (Section.ROW_OF_SERIES, row_of_series.astype(np.uint8).tobytes()),
        (Section.ROW_LENGTHS, np.array([row.size for row in row_times], "<u4").tobytes()),
        (Section.TIMESTAMPS, encode_ints(np.concatenate(row_times), level=COMPRESSION, consecutive=2)),
        *encode_values(ordered.values, level=COMPRESSION, delta=True),
        *encode_histograms(ordered, level=COMPRESSION),
    ]
    return pack(MAGIC, ordered.values.size, sections), int(ordered.values.size)


def decode(block: bytes, *, group_no: int) -> Samples:
    """Return the samples sorted by series and time; raises CorruptBlock."""
    rows, sections = unpack(MAGIC, block)
    try:
        slots = np.frombuffer(sections[Section.SLOTS], np.uint8).astype(np.int64)
        row_of_series = np.frombuffer(sections[Section.ROW_OF_SERIES], np.uint8).astype(np.int64)
        row_lengths = np.frombuffer(sections[Section.ROW_LENGTHS], "<u4").astype(np.int64)
        times = sections[Section.TIMESTAMPS]
    except KeyError:
        raise CorruptBlock("a group block lacks a section") from None
    _check(rows, slots, row_of_series, row_lengths)
    row_times = decode_ints(times, int(row_lengths.sum()))
    row_starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(row_lengths)])
    out_times, out_series = np.empty(rows, np.int64), np.empty(rows, np.int64)
    ids = slots + group_no * SERIES_PER_GROUP
    kernels.spread_rows(row_starts, row_times, row_of_series, out_times, out_series, ids)
    return Samples(out_series, out_times, decode_values(sections, rows), decode_histograms(sections, rows))


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
    order = np.argsort(groups, kind="stable")
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
