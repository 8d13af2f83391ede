"""Series that were scraped together: one row of times for all of them, and their values laid out side by side.

Most of what is read is like this. Then no time is copied for each series and none is compared; where it is not like
this - a series that has gone or come, late samples, another rhythm - `assembly` reads sample by sample.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metrics.promql.types import STALE_NAN_BITS, LabelSets, QueryError, SharedTimes
from metrics.store import kernels
from metrics.store.assembly import Assembly, HeldBlock
from metrics.store.group_block import SERIES_PER_GROUP, OpenBlock
from metrics.store.protocol import TooManySamples

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# (block, first and behind the last of its times that are wanted).
Cut = tuple[OpenBlock, int, int]
# (first place among the part's series, the place after its last, its blocks).
Group = tuple[int, int, list[HeldBlock]]


def shared_columns(part: Assembly, groups: Sequence[Group], labels: LabelSets) -> SharedTimes | None:
    """Return the samples of all series of a part, None where they do not have the same times."""
    if part.is_late():
        raise QueryError("the query took too long to read its samples", kind="timeout")
    cuts = [_cuts(part, group) for group in groups]
    times = _times(cuts)
    heads = _heads(part)
    if times is None or heads is None or (heads[0].size and times.size and heads[0][0] <= times[-1]):
        return None
    packed, whole = times.size, np.concatenate([times, heads[0]])
    if not whole.size:
        return None
    if whole.size * part.ids.size > part.max_samples:
        raise TooManySamples(f"the query reads more than {part.max_samples} samples")
    values = np.empty((part.ids.size, whole.size))
    values[:, packed:] = heads[1]
    for (low, high, _), found in zip(groups, cuts, strict=True):
        _place(part.ids[low:high], found or [], values[low:high])
    stale = any(block.may_be_stale for found in cuts for block, _, _ in found or ())
    stale = stale or bool((heads[1].view(np.int64) == STALE_NAN_BITS).any())
    return SharedTimes(labels, whole, values.ravel(), may_be_stale=stale)


def _cuts(part: Assembly, group: Group) -> list[Cut] | None:
    """Return what is wanted of each block of a group, oldest first; None where its series differ in their times."""
    low, high, blocks = group
    slots = part.ids[low:high] % SERIES_PER_GROUP
    found: list[Cut] = []
    newest = part.t_min_ms - 1
    for held in sorted(blocks, key=lambda held: held.block.t_min_ms):
        block = held.block
        if block.row_starts.size != 2 or block.histograms is not None:
            return None
        first = int(np.searchsorted(block.row_times, part.t_min_ms))
        behind = int(np.searchsorted(block.row_times, part.t_max_ms, side="right"))
        if first == behind:
            continue
        there = np.searchsorted(block.slots, slots)
        if int(there[-1]) >= block.slots.size or not np.array_equal(block.slots[there], slots):
            return None
        if block.row_times[first] <= newest:
            return None
        newest = int(block.row_times[behind - 1])
        found.append((block, first, behind))
    return found


def _times(cuts: Sequence[list[Cut] | None]) -> Ints | None:
    """Return the times all groups have, None where they differ."""
    times: Ints | None = None
    for found in cuts:
        if found is None:
            return None
        here = np.concatenate([np.empty(0, np.int64), *(block.row_times[low:high] for block, low, high in found)])
        if times is not None and not np.array_equal(times, here):
            return None
        times = here
    return times


def _heads(part: Assembly) -> tuple[Ints, Floats] | None:
    """Return times and values of what is not packed yet, None where its series differ in their times."""
    offsets, heads = part.head_part(0, part.ids.size)
    series = part.ids.size
    length = int(offsets[1] - offsets[0])
    if heads.histograms is not None or not bool((np.diff(offsets) == length).all()):
        return None
    times = heads.timestamps_ms.reshape(series, length)
    if length and not bool((times == times[0]).all()):
        return None
    return times[0], heads.values.reshape(series, length)


def _place(ids: Ints, cuts: Sequence[Cut], out: Floats) -> None:
    """Copy the values of some series out of their blocks, one block behind the other."""
    slots = ids % SERIES_PER_GROUP
    place = 0
    for block, first, behind in cuts:
        series = np.searchsorted(block.slots, slots)
        wanted = np.zeros(block.slots.size, np.bool_)
        wanted[series] = True
        kernels.place_side_by_side(block.values(wanted), block.starts[series] + first, behind - first, place, out)
        place += behind - first
