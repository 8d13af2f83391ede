"""The block of one request: columns in the order they came (`docs/formats/head-block.md`)."""

from collections import OrderedDict

from metrics.store.columns import (
    Ints,
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
# Senders send the same series again and again: their ids are compressed once.
REMEMBERED = 256
MOST_REMEMBERED_BYTES = 1 << 17
_encoded_ids: OrderedDict[bytes, bytes] = OrderedDict()


def _ids_section(ids: Ints) -> bytes:
    """Return the compressed ids; two threads at once at worst compress the same twice."""
    key = ids.tobytes()
    found = _encoded_ids.get(key)
    if found is None:
        found = encode_ints(ids, level=LEVEL, consecutive=1)
        if len(key) <= MOST_REMEMBERED_BYTES:
            _encoded_ids[key] = found
            if len(_encoded_ids) > REMEMBERED:
                _encoded_ids.popitem(last=False)
    return found


def encode(samples: Samples) -> bytes:
    """Return the block of these samples."""
    sections = [
        (Section.SERIES_IDS, _ids_section(samples.series_ids)),
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
