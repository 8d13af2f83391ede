"""The block of one request: columns in the order they came (`docs/formats/head-block.md`)."""

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

MAGIC = b"HB"
# Head blocks live for a minute: the lowest level that still halves them is the cheapest in all.
LEVEL = 1


def encode(samples: Samples) -> bytes:
    """Return the block of these samples."""
    sections = [
        (Section.SERIES_IDS, encode_ints(samples.series_ids, level=LEVEL, consecutive=1)),
        (Section.TIMESTAMPS, encode_ints(samples.timestamps_ms, level=LEVEL, consecutive=0)),
        *encode_values(samples.values, level=LEVEL, delta=False),
        *encode_histograms(samples, level=LEVEL),
    ]
    return pack(MAGIC, samples.series_ids.size, sections)


def decode(block: bytes) -> Samples:
    """Return the samples again, in the same order; raises CorruptBlock."""
    rows, sections = unpack(MAGIC, block)
    try:
        ids, times = sections[Section.SERIES_IDS], sections[Section.TIMESTAMPS]
    except KeyError:
        raise CorruptBlock("a head block lacks a column") from None
    values, histograms = decode_values(sections, rows), decode_histograms(sections, rows)
    return Samples(decode_ints(ids, rows), decode_ints(times, rows), values, histograms)
