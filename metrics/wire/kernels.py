"""Compiled walks over hostile bytes; every read is preceded by a check of the bytes that are left.

The remote-write layout they walk (protobuf, wire types in brackets):
WriteRequest { 1 [2] TimeSeries, 3 [2] MetricMetadata }
TimeSeries { 1 [2] Label, 2 [2] Sample, 3 [2] Exemplar, 4 [2] Histogram }   Sample { 1 [1] value, 2 [0] timestamp }
"""

import numba as nb
import numpy as np

U64 = np.uint64
OK, TRUNCATED, BAD_VARINT, BAD_TAG, BAD_WIRE_TYPE = 0, 1, 2, 3, 4
SERIES, SAMPLES, EXEMPLARS, HISTOGRAMS, METADATA = 0, 1, 2, 3, 4
COUNTS = 5
# What is no sample is rare, and is told as one number where it is written.
PARTS = EXEMPLARS
EXEMPLAR, HISTOGRAM = 1, 2

_FAIL = np.int64(-1)


@nb.njit(inline="always")
def _varint(b, p, e):
    """Return (value, next position), the position negative when the bytes end or run past ten."""
    value = U64(0)
    shift = U64(0)
    for _ in range(10):
        if p >= e:
            return value, -np.int64(1)
        byte = U64(b[np.uintp(p)])
        p += 1
        value |= (byte & U64(127)) << shift
        if byte < U64(128):
            return value, p
        shift += U64(7)
    return value, -np.int64(2)


@nb.njit(inline="always")
def _skip(b, p, e, wire_type):
    """Return the position after a field's payload, or a negative error."""
    if wire_type == 0:
        _, p = _varint(b, p, e)
        return p
    if wire_type == 1:
        return p + 8 if e - p >= 8 else -np.int64(1)
    if wire_type == 5:
        return p + 4 if e - p >= 4 else -np.int64(1)
    if wire_type == 2:
        size, p = _varint(b, p, e)
        if p < 0:
            return p
        if size > U64(e - p):
            return -np.int64(1)
        return p + np.int64(size)
    return -np.int64(4)


@nb.njit(inline="always")
def _field(b, p, e):
    """Return (field number, wire type, next position)."""
    tag, p = _varint(b, p, e)
    number = np.int64(tag >> U64(3)) if tag < U64(1 << 32) else np.int64(0)
    if p >= 0 and number == 0:
        p = -np.int64(3)
    return number, np.int64(tag & U64(7)), p


@nb.njit(nogil=True, cache=True)
def count(b, counts):
    """Count what a WriteRequest holds and check its whole structure; returns 0 or a negative error."""
    counts[:] = 0
    p = np.int64(0)
    end = np.int64(b.size)
    while p < end:
        number, wire_type, p = _field(b, p, end)
        if p < 0:
            return p
        start = p
        p = _skip(b, p, end, wire_type)
        if p < 0:
            return p
        if wire_type != 2:
            continue
        if number == 3:
            counts[METADATA] += 1
        if number != 1:
            continue
        counts[SERIES] += 1
        _, q = _varint(b, start, p)
        while q < p:
            inner, inner_type, q = _field(b, q, p)
            if q < 0:
                return q
            q = _skip(b, q, p, inner_type)
            if q < 0:
                return q
            if inner_type == 2:
                if inner == 2:
                    counts[SAMPLES] += 1
                elif inner == 3:
                    counts[EXEMPLARS] += 1
                elif inner == 4:
                    counts[HISTOGRAMS] += 1
    return np.int64(0)


@nb.njit(inline="always")
def _word(b, p):
    """Read eight bytes, little-endian; the caller has checked that they are there."""
    # Unsigned, because a signed index costs a test for wrap-around, which keeps this from being one load.
    q = np.uintp(p)
    return (
        U64(b[q])
        | (U64(b[q + np.uintp(1)]) << U64(8))
        | (U64(b[q + np.uintp(2)]) << U64(16))
        | (U64(b[q + np.uintp(3)]) << U64(24))
        | (U64(b[q + np.uintp(4)]) << U64(32))
        | (U64(b[q + np.uintp(5)]) << U64(40))
        | (U64(b[q + np.uintp(6)]) << U64(48))
        | (U64(b[q + np.uintp(7)]) << U64(56))
    )


@nb.njit(inline="always")
def _rotate(x, bits):
    return (x << U64(bits)) | (x >> U64(64 - bits))


@nb.njit(inline="always")
def _round(a, b, c, d):
    a += b
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c += d
    d = _rotate(d, 16) ^ c
    a += d
    d = _rotate(d, 21) ^ a
    c += b
    b = _rotate(b, 17) ^ c
    c = _rotate(c, 32)
    return a, b, c, d


@nb.njit(inline="always")
def _siphash(b, start, end, k0, k1):
    """Keyed SipHash-1-3 with 128 bits: a sender that does not know the key cannot aim for a collision."""
    v0 = k0 ^ U64(0x736F6D6570736575)
    v1 = k1 ^ U64(0x646F72616E646F6D) ^ U64(0xEE)
    v2 = k0 ^ U64(0x6C7967656E657261)
    v3 = k1 ^ U64(0x7465646279746573)
    p = start
    while end - p >= 8:
        word = _word(b, p)
        v3 ^= word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
        p += 8
    word = U64(end - start) << U64(56)
    shift = U64(0)
    while p < end:
        word |= U64(b[np.uintp(p)]) << shift
        shift += U64(8)
        p += 1
    v3 ^= word
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    v0 ^= word
    v2 ^= U64(0xEE)
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= U64(0xDD)
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return low, v0 ^ v1 ^ v2 ^ v3


@nb.njit(nogil=True, cache=True)
def siphash(b, k0, k1):
    """Hash a whole array."""
    return _siphash(b, np.int64(0), np.int64(b.size), k0, k1)


@nb.njit(inline="always")
def _same(a, p, b, q, length):
    """Tell whether two stretches hold the same bytes; the caller has checked that they are there."""
    # To the end even after a difference: without a branch in it the loop is done many bytes at a time.
    different = np.uint8(0)
    for i in range(length):
        different |= a[np.uintp(p + i)] ^ b[np.uintp(q + i)]
    return different == 0


@nb.njit(inline="always")
def _lookup(low, high, table_low, table_high, table_id):
    mask = np.int64(table_low.size - 1)
    slot = np.int64(low & U64(mask))
    for _ in range(table_low.size):
        found = table_id[slot]
        if found < 0:
            return _FAIL
        if table_low[slot] == low and table_high[slot] == high:
            return found
        slot = (slot + 1) & mask
    return _FAIL


@nb.njit(nogil=True, cache=True)
def insert(low, high, ids, table_low, table_high, table_id):
    """Put keys into an open-addressed table with room for them; the id is written last, it makes the entry visible."""
    mask = np.int64(table_low.size - 1)
    for i in range(ids.size):
        slot = np.int64(low[i] & U64(mask))
        for _ in range(table_low.size):
            if table_id[slot] < 0 or (table_low[slot] == low[i] and table_high[slot] == high[i]):
                break
            slot = (slot + 1) & mask
        table_low[slot] = low[i]
        table_high[slot] = high[i]
        table_id[slot] = ids[i]


@nb.njit(inline="always")
def _sample(b, p, e):
    """Return (bits of the value, time, next position) of the length-delimited sample at p."""
    bits = U64(0)
    time = U64(0)
    _, r = _varint(b, p, e)
    while 0 <= r < e:
        leaf, leaf_type, r = _field(b, r, e)
        if r < 0:
            break
        start = r
        r = _skip(b, r, e, leaf_type)
        if r < 0:
            break
        if leaf == 1 and leaf_type == 1:
            bits = _word(b, start)
        elif leaf == 2 and leaf_type == 0:
            time, _ = _varint(b, start, e)
    return bits, time, r


@nb.njit(nogil=True, cache=True)
def extract(
    b,
    k0,
    k1,
    table_low,
    table_high,
    table_id,
    last,
    last_start,
    last_end,
    last_id,
    series_start,
    series_end,
    series_label_start,
    series_label_end,
    series_low,
    series_high,
    series_id,
    series_cacheable,
    sample_series,
    sample_time,
    sample_bits,
    metadata_start,
    metadata_end,
    part_series,
    part_sort,
    part_start,
    part_end,
    found,
):
    """Write the columns of a WriteRequest and how many rows each has; returns 0 or a negative error.

    Where there is less room than rows, that is an error too: ask `count` first, or again.

    A series whose labels do not lie in one run cannot be named by their bytes and is marked not cacheable.
    `last` is an earlier request of the same sender with the runs of labels found in it: where a series begins with the
    very bytes it had there, they are neither walked nor hashed again.
    """
    p = np.int64(0)
    end = np.int64(b.size)
    series = np.int64(0)
    samples = np.int64(0)
    metadata = np.int64(0)
    parts = np.int64(0)
    while p < end:
        number, wire_type, p = _field(b, p, end)
        if p < 0:
            return p
        start = p
        p = _skip(b, p, end, wire_type)
        if p < 0:
            return p
        if wire_type != 2 or number not in (1, 3):
            continue
        _, q = _varint(b, start, p)
        if q < 0:
            return q
        if number == 3:
            if metadata >= metadata_start.size:
                return -np.int64(1)
            metadata_start[metadata] = q
            metadata_end[metadata] = p
            metadata += 1
            continue
        if series >= series_start.size:
            return -np.int64(1)
        series_start[series] = q
        series_end[series] = p
        label_start = q
        label_end = q
        runs = np.int64(0)
        after_label = False
        known = _FAIL
        if series < last_id.size and last_id[series] >= 0:
            length = last_end[series] - last_start[series]
            if length <= p - q and _same(b, q, last, last_start[series], length):
                known = last_id[series]
                q += length
                label_end = q
                runs = np.int64(1)
                after_label = True
        while q < p:
            field_start = q
            inner, inner_type, q = _field(b, q, p)
            if q < 0:
                return q
            payload = q
            q = _skip(b, q, p, inner_type)
            if q < 0:
                return q
            if inner_type == 2 and inner == 1:
                if not after_label:
                    runs += 1
                    label_start = field_start
                label_end = q
                after_label = True
                known = _FAIL
                continue
            after_label = False
            if inner_type != 2 or inner not in (2, 3, 4):
                continue
            if inner != 2:
                if parts >= part_series.size:
                    return -np.int64(1)
                _, r = _varint(b, payload, q)
                part_series[parts] = series
                part_sort[parts] = EXEMPLAR if inner == 3 else HISTOGRAM
                part_start[parts] = r
                part_end[parts] = q
                parts += 1
                continue
            bits, time, r = _sample(b, payload, q)
            if r < 0:
                return r
            if samples >= sample_series.size:
                return -np.int64(1)
            sample_series[samples] = series
            sample_time[samples] = np.int64(time)
            sample_bits[samples] = bits
            samples += 1
        series_label_start[series] = label_start
        series_label_end[series] = label_end
        series_cacheable[series] = runs == 1
        if known < 0:
            low, high = _siphash(b, label_start, label_end, k0, k1)
            series_low[series] = low
            series_high[series] = high
            known = _lookup(low, high, table_low, table_high, table_id) if runs == 1 else _FAIL
        series_id[series] = known
        series += 1
    found[SERIES] = series
    found[SAMPLES] = samples
    found[METADATA] = metadata
    found[PARTS] = parts
    return np.int64(0)


@nb.njit(nogil=True, cache=True)
def extract_again(b, last, last_start, last_end, sample_time, sample_bits, span):
    """Read a WriteRequest with the very series of an earlier one in its order, one sample each, and nothing else.

    Returns 0, or a negative number where it is anything else, broken ones among them. `span` gets the first and the
    last time.
    """
    p = np.int64(0)
    end = np.int64(b.size)
    first = np.int64(2**63 - 1)
    newest = np.int64(-(2**63))
    for series in range(sample_time.size):
        if p >= end or b[p] != 10:
            return _FAIL
        size, p = _varint(b, p + 1, end)
        if p < 0 or size > U64(end - p):
            return _FAIL
        q = p
        p += np.int64(size)
        length = last_end[series] - last_start[series]
        if length >= p - q or not _same(b, q, last, last_start[series], length):
            return _FAIL
        q += length
        if b[q] != 18:
            return _FAIL
        size, r = _varint(b, q + 1, p)
        if r < 0 or size != U64(p - r):
            return _FAIL
        bits, time, r = _sample(b, q + 1, p)
        if r < 0:
            return _FAIL
        sample_time[series] = np.int64(time)
        sample_bits[series] = bits
        first = min(first, np.int64(time))
        newest = max(newest, np.int64(time))
    span[0] = first
    span[1] = newest
    return np.int64(0) if p == end else _FAIL


@nb.njit(nogil=True, cache=True)
def json_shape(b):
    """Return (deepest nesting, nodes) of JSON text without building anything; strings are stepped over."""
    depth = np.int64(0)
    deepest = np.int64(0)
    nodes = np.int64(1)
    inside = False
    p = 0
    while p < b.size:
        c = b[p]
        if inside:
            if c == 92:
                p += 1
            elif c == 34:
                inside = False
        elif c == 34:
            inside = True
        elif c in (91, 123):
            depth += 1
            nodes += 1
            deepest = max(deepest, depth)
        elif c in (93, 125):
            depth -= 1
        elif c in (44, 58):
            nodes += 1
        p += 1
    return deepest, nodes


def warm_up() -> None:
    """Compile every kernel for the types it is called with."""
    body = np.frombuffer(b"\x0a\x00", np.uint8)
    key = U64(1)
    low, high, ids = np.zeros(2, U64), np.zeros(2, U64), np.full(2, -1, np.int64)
    ints, words, flags = np.zeros(1, np.int64), np.zeros(1, U64), np.zeros(1, np.bool_)
    count(body, np.zeros(COUNTS, np.int64))
    siphash(body, key, key)
    insert(words, words, ints, low, high, ids)
    last = (body, ints[:0], ints[:0], ints[:0])
    series = (ints, ints, ints, ints, words, words, ints, flags)
    extract(body, key, key, low, high, ids, *last, *series, ints, ints, words, *[ints] * 6, np.zeros(COUNTS, np.int64))
    # A decompressed body may be written to, a kept one may not.
    extract_again(body.copy(), body, ints[:0], ints[:0], ints, words, np.zeros(2, np.int64))
    json_shape(body)
