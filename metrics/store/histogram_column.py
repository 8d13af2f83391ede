"""The histograms of a block beside its numbers (`docs/formats/native-histogram.md`), and their decoding for queries."""

from collections.abc import Sequence
from functools import lru_cache

import cramjam
import numpy as np
import numpy.typing as npt

from metrics.native_histograms import codec
from metrics.native_histograms.model import Histogram
from metrics.store.container import CorruptBlock

Objects = npt.NDArray[np.object_]
# A request of 32 MiB cannot hold more than this, and a group of a day does not.
MAX_BYTES = 1 << 30
CACHED = 20_000


def no_histograms(size: int) -> Objects:
    """Return a column without a histogram in it."""
    return np.full(size, None, dtype=np.object_)


def joined(parts: Sequence[tuple[Objects | None, int]]) -> Objects | None:
    """Return one column of several (column, length); None where none of them has histograms."""
    if all(column is None for column, _ in parts):
        return None
    return np.concatenate([no_histograms(size) if column is None else column for column, size in parts])


def encode(column: Objects, *, level: int) -> bytes | None:
    """Return the section of a column of bytes or None; None where there is no histogram in it."""
    present = np.fromiter((one is not None for one in column), np.bool_, column.size)
    held = [one for one in column.tolist() if one is not None]
    if not held:
        return None
    lengths = np.fromiter((len(one) for one in held), "<u4", len(held))
    packed = bytes(cramjam.zstd.compress(b"".join(held), level=level))
    return np.packbits(present, bitorder="little").tobytes() + lengths.tobytes() + packed


def decode(section: bytes, rows: int) -> Objects:
    """Return the column again, each histogram as its bytes; raises CorruptBlock."""
    bitmap = (rows + 7) // 8
    if len(section) < bitmap:
        raise CorruptBlock("the histograms of a block are cut off")
    present = np.unpackbits(np.frombuffer(section, np.uint8, bitmap), count=rows, bitorder="little").view(np.bool_)
    count = int(np.count_nonzero(present))
    if len(section) < bitmap + 4 * count:
        raise CorruptBlock("the lengths of the histograms of a block are cut off")
    lengths = np.frombuffer(section, "<u4", count, bitmap).astype(np.int64)
    data = _inflate(section[bitmap + 4 * count :], int(lengths.sum()))
    ends = np.cumsum(lengths).tolist()
    column = no_histograms(rows)
    for row, end, length in zip(np.flatnonzero(present).tolist(), ends, lengths.tolist(), strict=True):
        column[row] = data[end - length : end]
    return column


def _inflate(packed: bytes, size: int) -> bytes:
    if size > MAX_BYTES:
        raise CorruptBlock("the histograms of a block claim more than a block may hold")
    data = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(packed, data)
    except cramjam.DecompressionError as error:
        raise CorruptBlock(f"the histograms of a block cannot be inflated: {error}") from None
    if written != size:
        raise CorruptBlock("the histograms of a block have another length than it says")
    return bytes(data)


@lru_cache(maxsize=CACHED)
def _histogram(data: bytes) -> Histogram:
    return codec.decode(data)


def histograms_of(column: Objects | None) -> Objects | None:
    """Return Histogram objects in the place of their bytes; those read lately are kept."""
    if column is None or not any(one is not None for one in column):
        return None
    found = no_histograms(column.size)
    for row, data in enumerate(column.tolist()):
        if data is not None:
            found[row] = _histogram(data)
    return found


def forget_histograms() -> None:
    """Drop the histograms that were kept."""
    _histogram.cache_clear()


def nbytes(column: Objects | None) -> int:
    """Return the memory a column holds, its histograms included."""
    if column is None:
        return 0
    return column.nbytes + sum(len(one) for one in column.tolist() if one is not None)
