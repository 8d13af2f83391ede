"""From blocks to the columns of a query: group after group, and without sorting wherever blocks follow one another.

Samples of one series usually lie in blocks one after another in time: then they are counted first, and decoded
straight to their final place. Where blocks overlap (late samples, the same sample twice), that group is sorted, and of
samples of one time the one from the later block wins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metrics.promql.types import QueryError
from metrics.store import histogram_column, kernels
from metrics.store.columns import Samples, concatenate, no_samples
from metrics.store.group_block import SERIES_PER_GROUP, OpenBlock, arrange
from metrics.store.protocol import TooManySamples

Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class HeldBlock:
    """A block with what decides between samples of one time: of two ids the larger is the later."""

    block_id: int
    block: OpenBlock


@dataclass(slots=True)
class Assembly:
    """The samples of wanted series (ascending ids) within a range; `heads` holds what was not packed yet."""

    ids: Ints
    t_min_ms: int
    t_max_ms: int
    max_samples: int
    is_late: Callable[[], bool] = lambda: False
    heads: Samples = field(default_factory=no_samples)
    size: int = 0
    times: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    counts: list[Ints] = field(default_factory=list)
    _histograms: list[tuple[Ints, Objects]] = field(default_factory=list)
    _head_offsets: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def take_heads(self, blocks: Sequence[Samples]) -> None:
        """Sort in what head blocks hold of the wanted series, oldest block first; called once, before the groups."""
        numbers = np.full(int(self.ids[-1]) + 1, -1, np.int64)
        numbers[self.ids] = np.arange(self.ids.size)
        parts = [self._narrowed(block, numbers) for block in blocks]
        self._head_offsets, self.heads = arrange(concatenate(parts), self.ids.size)

    def part(self, begin: int, end: int) -> "Assembly":
        """Return an assembly of `ids[begin:end]` alone, with what the head blocks hold of them."""
        offsets, heads = self.head_part(begin, end)
        part = Assembly(self.ids[begin:end], self.t_min_ms, self.t_max_ms, self.max_samples, self.is_late, heads)
        part._head_offsets = offsets
        return part

    def _narrowed(self, block: Samples, numbers: Ints) -> Samples:
        """Return the wanted samples of a block under the numbers of their series."""
        room = block.values.size
        out = Samples(np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room))
        # Histograms follow the numbers of their rows, which travel in the place of the values.
        values = block.values if block.histograms is None else np.arange(room, dtype=np.float64)
        size = kernels.narrow(
            block.series_ids, block.timestamps_ms, values, numbers, self.t_min_ms, self.t_max_ms,
            0, out.series_ids, out.timestamps_ms, out.values,
        )  # fmt: skip
        out = out.take(slice(0, size))
        if block.histograms is None:
            return out
        rows = out.values.astype(np.int64)
        return Samples(out.series_ids, out.timestamps_ms, block.values[rows], block.histograms[rows])

    def take_group(self, begin: int, end: int, blocks: Sequence[HeldBlock]) -> None:
        """Add the series `ids[begin:end]`, which are all that is wanted of one group, from all blocks it has."""
        if self.is_late():
            raise QueryError("the query took too long to read its samples", kind="timeout")
        numbers = np.full(SERIES_PER_GROUP, -1, np.int64)
        numbers[self.ids[begin:end] % SERIES_PER_GROUP] = np.arange(end - begin)
        head = self.head_part(begin, end)
        if not self._take_in_order(numbers, blocks, head):
            self._take_sorted(numbers, blocks, head)

    def head_part(self, begin: int, end: int) -> tuple[Ints, Samples]:
        """Return where the samples of each of these series begin that are not packed yet, and the samples."""
        offsets = self._head_offsets[begin : end + 1]
        low, high = int(offsets[0]), int(offsets[-1])
        heads = self.heads
        histograms = None if heads.histograms is None else heads.histograms[low:high]
        part = Samples(np.empty(0, np.int64), heads.timestamps_ms[low:high], heads.values[low:high], histograms)
        return offsets - low, part

    def _take_in_order(self, numbers: Ints, blocks: Sequence[HeldBlock], head: tuple[Ints, Samples]) -> bool:
        offsets, samples = head
        series = offsets.size - 1
        newest, counts = np.full(series, NEVER), np.zeros(series, np.int64)
        cuts: list[tuple[OpenBlock, Ints, Ints]] = []
        for held in sorted(blocks, key=lambda held: held.block.t_min_ms):
            block = held.block
            first, behind = np.empty(block.slots.size, np.int64), np.empty(block.slots.size, np.int64)
            found = kernels.cut_series(
                block.slots, block.row_of_series, block.row_starts, block.row_times, numbers,
                self.t_min_ms, self.t_max_ms, newest, counts, first, behind,
            )  # fmt: skip
            if found < 0:
                return False
            if found:
                cuts.append((block, first, behind))
        filled = np.flatnonzero(np.diff(offsets))
        if bool((samples.timestamps_ms[offsets[filled]] <= newest[filled]).any()):
            return False
        counts += np.diff(offsets)
        cursor = self._make_room(counts)
        for block, first, behind in cuts:
            self._place(block, numbers, first, behind, cursor)
        if filled.size:
            self._place_heads(offsets, samples, cursor)
        return True

    def _make_room(self, counts: Ints) -> Ints:
        """Return the place of the first sample of each series, after growing the columns for all of them."""
        needed = self.size + int(counts.sum())
        if needed > self.max_samples:
            raise TooManySamples(f"the query reads more than {self.max_samples} samples")
        if needed > self.times.size:
            room = max(needed, 2 * self.times.size)
            times, values = np.empty(room, np.int64), np.empty(room)
            times[: self.size], values[: self.size] = self.times[: self.size], self.values[: self.size]
            self.times, self.values = times, values
        cursor = self.size + np.cumsum(counts) - counts
        self.counts.append(counts)
        self.size = needed
        return cursor

    def _place(self, block: OpenBlock, numbers: Ints, first: Ints, behind: Ints, cursor: Ints) -> None:
        if block.histograms is not None:
            self._place_histograms(block, block.histograms, numbers, first, behind, cursor)
        kernels.place_series(
            block.slots, block.row_of_series, block.row_starts, block.row_times, block.starts,
            block.values(behind > first), numbers, first, behind, cursor, self.times, self.values,
        )  # fmt: skip

    def _place_histograms(
        self, block: OpenBlock, column: Objects, numbers: Ints, first: Ints, behind: Ints, cursor: Ints
    ) -> None:
        for series in np.flatnonzero(behind > first).tolist():
            length = int(behind[series] - first[series])
            value = int(block.starts[series] + first[series] - block.row_starts[block.row_of_series[series]])
            place = int(cursor[numbers[block.slots[series]]])
            self._histograms.append((np.arange(place, place + length), column[value : value + length]))

    def _place_heads(self, offsets: Ints, samples: Samples, cursor: Ints) -> None:
        if samples.histograms is not None:
            places = np.repeat(cursor - offsets[:-1], np.diff(offsets)) + np.arange(samples.values.size)
            self._histograms.append((places, samples.histograms))
        kernels.place_runs(offsets, samples.timestamps_ms, samples.values, cursor, self.times, self.values)

    def _take_sorted(self, numbers: Ints, blocks: Sequence[HeldBlock], head: tuple[Ints, Samples]) -> None:
        offsets, last = head
        series = offsets.size - 1
        ordered = sorted(blocks, key=lambda held: held.block_id)
        parts = [self._narrowed(held.block.samples(0), numbers) for held in ordered]
        tail = np.repeat(np.arange(series), np.diff(offsets))
        parts.append(Samples(tail, last.timestamps_ms, last.values, last.histograms))
        found, samples = arrange(concatenate(parts), series)
        cursor = self._make_room(np.diff(found))
        self._place_heads(found, samples, cursor)

    def histograms(self) -> Objects | None:
        """Return the bytes of the histograms beside the values, None where all are numbers."""
        if not self._histograms:
            return None
        column = histogram_column.no_histograms(self.size)
        for places, part in self._histograms:
            column[places] = part
        return column
