"""The envelope of every block: a header, a directory of sections, the sections.

`docs/formats/container.md` has the byte diagram. A reader steps over sections it does not know.
"""

import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum

HEADER = struct.Struct("<2sBBI I")
ENTRY = struct.Struct("<BxxxI")
VERSION = 1


class Section(IntEnum):
    """What a section holds; numbers are never given twice."""

    SERIES_IDS = 1  # pcodec int64, one a sample (head blocks)
    TIMESTAMPS = 2  # pcodec int64 milliseconds
    INTEGERS = 3  # pcodec int64: values that are whole numbers
    FLOATS = 4  # pcodec float64: all other values
    STALE = 5  # a bit a sample, least significant first: the value is the stale marker
    SLOTS = 6  # u8 a series: series id modulo 200, ascending (group blocks)
    ROW_OF_SERIES = 7  # u8 a series: which timestamp row is its own
    ROW_LENGTHS = 8  # u32 a row: its number of timestamps
    PAGED_VALUES = 16  # values of levels 2 and up: one pcodec chunk in pages of whole series
    ROLLUPS = 17  # never written
    NATIVE_HISTOGRAMS = 18  # which samples are histograms, their lengths, their bytes compressed
    EXEMPLARS = 19  # never written
    # Roll-ups: each a paged column like PAGED_VALUES, all of the same length.
    LAST = 32
    LEAST = 33
    GREATEST = 34
    SUM = 35
    COUNT = 36
    FALLS = 37


class CorruptBlock(ValueError):
    """A stored block that does not follow its format."""


def pack(magic: bytes, rows: int, sections: Sequence[tuple[Section, bytes]]) -> bytes:
    """Return the block of these sections; `rows` is the number of samples."""
    directory = b"".join(ENTRY.pack(kind, len(data)) for kind, data in sections)
    body = directory + b"".join(data for _, data in sections)
    return HEADER.pack(magic, VERSION, len(sections), rows, zlib.crc32(body)) + body


def unpack(magic: bytes, block: bytes) -> tuple[int, dict[int, bytes]]:
    """Return (rows, sections by kind); raises CorruptBlock where anything does not add up."""
    if len(block) < HEADER.size:
        raise CorruptBlock(f"a block of {len(block)} bytes is shorter than its header")
    found, version, count, rows, checksum = HEADER.unpack_from(block)
    if found != magic or version != VERSION:
        raise CorruptBlock(f"not a {magic.decode()} block of version {VERSION}")
    if zlib.crc32(memoryview(block)[HEADER.size :]) != checksum:
        raise CorruptBlock("the checksum of a block is wrong")
    position = HEADER.size + count * ENTRY.size
    sections: dict[int, bytes] = {}
    for index in range(count):
        kind, size = ENTRY.unpack_from(block, HEADER.size + index * ENTRY.size)
        sections[kind] = block[position : position + size]
        position += size
    if position != len(block):
        raise CorruptBlock("the sections of a block do not fill it")
    return rows, sections
