"""A value column cut into pages at the borders of series, so that few series are read without decoding the rest.

One pcodec chunk: all pages share its bins. `docs/formats/group-block.md` has the byte diagram.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec
from pcodec import wrapped as pco

from metrics.store.columns import whole_numbers
from metrics.store.container import CorruptBlock

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
HEAD = struct.Struct("<BxHII")
# A page below this costs more in bytes and calls than it saves; half a day of one series is above it.
PAGE_SAMPLES = 2_048
INTEGERS, FLOATS = 0, 1
KINDS = {INTEGERS: ("i64", np.dtype(np.int64)), FLOATS: ("f64", np.dtype(np.float64))}


def page_borders(lengths: Ints) -> list[int]:
    """Return the number of the first series after each page."""
    borders, held = [], 0
    for series, length in enumerate(lengths.tolist(), 1):
        held += length
        if held >= PAGE_SAMPLES or series == lengths.size:
            borders.append(series)
            held = 0
    return borders


def encode(values: Floats, lengths: Ints, *, level: int) -> bytes:
    """Return the section of values that lie series by series, each as long as `lengths` says."""
    integers = whole_numbers(values)
    kind, column, mode = (
        (FLOATS, np.ascontiguousarray(values), ModeSpec.auto())
        if integers is None
        else (INTEGERS, integers, ModeSpec.classic())
    )
    borders = page_borders(lengths)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    sizes = np.diff(starts[[0, *borders]]).tolist()
    file = pco.FileCompressor()
    config = ChunkConfig(
        compression_level=level,
        mode_spec=mode,
        delta_spec=DeltaSpec.auto(),
        paging_spec=PagingSpec.exact_page_sizes(sizes),
    )
    chunk = file.chunk_compressor(column, config)
    pages = [bytes(chunk.write_page(page)) for page in range(len(sizes))]
    header, meta = bytes(file.write_header()), bytes(chunk.write_meta())
    directory = np.column_stack([borders, np.cumsum([len(page) for page in pages])]).astype("<u4").tobytes()
    head = HEAD.pack(kind, len(header), len(meta), len(pages))
    return b"".join((head, directory, header, meta, *pages))


@dataclass(slots=True)
class PagedValues:
    """A section that was opened: which pages there are, nothing decoded yet."""

    _decompressor: object
    _meta: bytes
    _kind: int
    _borders: Ints
    _pages: list[bytes]

    def room(self, starts: Ints) -> Ints | Floats:
        """Return an empty column as long as the block."""
        return cast("Ints | Floats", np.empty(int(starts[-1]), KINDS[self._kind][1]))

    def read(self, starts: Ints, wanted: Bools) -> Ints | Floats:
        """Return a column as long as the block in which the pages of the wanted series are filled, and no others."""
        column = self.room(starts)
        self.read_into(column, starts, wanted)
        return column

    def read_into(self, filled: Ints | Floats, starts: Ints, wanted: Bools) -> Bools:
        """Fill the pages of the wanted series; returns which series lie in these pages."""
        name, column = KINDS[self._kind][0], cast("Any", filled)
        read, first = np.zeros_like(wanted), 0
        try:
            chunk, _ = self._decompressor.chunk_decompressor(self._meta, name)  # type: ignore[attr-defined]
            for border, page in zip(self._borders.tolist(), self._pages, strict=True):
                if wanted[first:border].any():
                    part = column[starts[first] : starts[border]]
                    progress, _ = chunk.read_page_into(page, part.size, part)
                    if progress.n_processed != part.size:
                        raise CorruptBlock("a page has another length than its block says")
                    read[first:border] = True
                first = border
        except (RuntimeError, TypeError, ValueError) as error:
            raise CorruptBlock(f"a page cannot be decoded: {error}") from None
        return read


def opened(section: bytes, series: int) -> PagedValues:
    """Return the pages of a section; raises CorruptBlock where its directory does not add up."""
    if len(section) < HEAD.size:
        raise CorruptBlock("a paged column is shorter than its header")
    kind, header_size, meta_size, count = HEAD.unpack_from(section)
    header_at = HEAD.size + 8 * count
    pages_at = header_at + header_size + meta_size
    if kind not in KINDS or pages_at > len(section):
        raise CorruptBlock("the header of a paged column does not add up")
    directory = np.frombuffer(section, "<u4", 2 * count, HEAD.size).reshape(count, 2).astype(np.int64)
    borders, ends = directory[:, 0], [0, *directory[:, 1].tolist()]
    sound = bool((np.diff(borders, prepend=0) > 0).all()) and ends == sorted(ends)
    if not sound or (int(borders[-1]) if count else 0) != series or pages_at + ends[-1] != len(section):
        raise CorruptBlock("the pages of a column do not add up")
    try:
        decompressor, _ = pco.FileDecompressor.new(section[header_at : header_at + header_size])
    except (RuntimeError, ValueError) as error:
        raise CorruptBlock(f"a paged column cannot be opened: {error}") from None
    pages = [section[pages_at + low : pages_at + high] for low, high in pairwise(ends)]
    return PagedValues(decompressor, section[header_at + header_size : pages_at], kind, borders, pages)
