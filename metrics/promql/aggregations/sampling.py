"""Which series a share of all series is: decided by a hash of the labels, so that it is always the same ones.

The hash is xxHash64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) over names and values in order,
each after its length, as Prometheus packs them: both pick the very same series.
"""

from collections.abc import Iterable
from struct import unpack_from

import numpy as np

from metrics.promql.types import Bools, Floats, Labels

MASK = (1 << 64) - 1
PRIMES = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)  # fmt: skip
STRIPE = 32
LONG = 255


def _turned(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & MASK


def _round(lane: int, word: int) -> int:
    return _turned((lane + word * PRIMES[1]) & MASK, 31) * PRIMES[0] & MASK


def xxhash64(data: bytes) -> int:
    """Return the hash of these bytes with the seed 0."""
    at, size = 0, len(data)
    if size < STRIPE:
        found = PRIMES[4]
    else:
        lanes = [(PRIMES[0] + PRIMES[1]) & MASK, PRIMES[1], 0, -PRIMES[0] & MASK]
        while at + STRIPE <= size:
            lanes = [_round(lane, word) for lane, word in zip(lanes, unpack_from("<4Q", data, at), strict=True)]
            at += STRIPE
        found = sum(_turned(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            found = ((found ^ _round(0, lane)) * PRIMES[0] + PRIMES[3]) & MASK
    return _mixed(_with_rest((found + size) & MASK, data, at))


def _with_rest(found: int, data: bytes, at: int) -> int:
    while at + 8 <= len(data):
        found = (_turned(found ^ _round(0, unpack_from("<Q", data, at)[0]), 27) * PRIMES[0] + PRIMES[3]) & MASK
        at += 8
    if at + 4 <= len(data):
        word = unpack_from("<I", data, at)[0]
        found = (_turned(found ^ (word * PRIMES[0] & MASK), 23) * PRIMES[1] + PRIMES[2]) & MASK
        at += 4
    for byte in data[at:]:
        found = _turned(found ^ (byte * PRIMES[4] & MASK), 11) * PRIMES[0] & MASK
    return found


def _mixed(found: int) -> int:
    found = (found ^ (found >> 33)) * PRIMES[1] & MASK
    found = (found ^ (found >> 29)) * PRIMES[2] & MASK
    return found ^ (found >> 32)


def packed(labels: Labels) -> bytes:
    """Return names and values in the order of the names, each after its length."""
    out = bytearray()
    for pair in sorted(labels.items()):
        for text in pair:
            data = text.encode()
            out += bytes((len(data),)) if len(data) < LONG else bytes((LONG,)) + len(data).to_bytes(3, "little")
            out += data
    return bytes(out)


def places_of(labels: Iterable[Labels]) -> Floats:
    """Return where between 0 and 1 each series stands."""
    return np.array([float(xxhash64(packed(one))) for one in labels], dtype=np.float64) / float(MASK)


def within(places: Floats, shares: Floats) -> Bools:
    """Tell for each series and step whether it belongs to a share from below, or of a negative share from above."""
    held = np.clip(shares, -1.0, 1.0)[None, :]
    found: Bools = np.where(held >= 0, places[:, None] < held, places[:, None] >= 1.0 + held)
    found &= held != 0
    return found
