"""Compiled walks over remote write 2, where series point at a table of symbols.

The layout they walk (protobuf, wire types in brackets):
Request { 4 [2] symbol, 5 [2] TimeSeries }
TimeSeries { 1 [2 or 0] label refs, 2 [2] Sample, 3 [2] Histogram, 4 [2] Exemplar, 5 [2] Metadata }
Metadata { 1 [0] type, 3 [0] ref of help, 4 [0] ref of unit }

A series is named by the keyed hashes of the symbols it points at, in their order, so it has the same name in every
request whatever its table looks like. Each symbol is hashed once, and only where something points at it.
"""

import numba as nb
import numpy as np

from metrics.wire.kernels import EXEMPLAR, HISTOGRAM
from metrics.wire.kernels import _field as field
from metrics.wire.kernels import _lookup as lookup
from metrics.wire.kernels import _same as same
from metrics.wire.kernels import _sample as sample
from metrics.wire.kernels import _siphash as siphash
from metrics.wire.kernels import _skip as skip
from metrics.wire.kernels import _varint as varint

U64 = np.uint64
SYMBOLS, SERIES, SAMPLES, PARTS, METADATA = 0, 1, 2, 3, 4
COUNTS = 5
MAX_REFS = 256
TYPE, HELP, UNIT = 0, 1, 2
_FAIL = np.int64(-1)


@nb.njit(nogil=True, cache=True)
def count(b, counts):
    """Count what a Request holds and check its whole structure; returns 0 or a negative error."""
    counts[:] = 0
    p = np.int64(0)
    end = np.int64(b.size)
    while p < end:
        number, wire_type, p = field(b, p, end)
        if p < 0:
            return p
        start = p
        p = skip(b, p, end, wire_type)
        if p < 0:
            return p
        if wire_type != 2:
            continue
        if number == 4:
            counts[SYMBOLS] += 1
        if number != 5:
            continue
        counts[SERIES] += 1
        _, q = varint(b, start, p)
        while q < p:
            inner, inner_type, q = field(b, q, p)
            if q < 0:
                return q
            q = skip(b, q, p, inner_type)
            if q < 0:
                return q
            if inner_type == 2:
                if inner == 2:
                    counts[SAMPLES] += 1
                elif inner == 3 or inner == 4:  # noqa: PLR1714 - compiled
                    counts[PARTS] += 1
                elif inner == 5:
                    counts[METADATA] += 1
    return np.int64(0)


@nb.njit(nogil=True, cache=True)
def split(b, symbol_start, symbol_end, series_start, series_end):
    """Write where symbols and series lie; `count` has been over these bytes. Returns 0 or a negative error."""
    p = np.int64(0)
    end = np.int64(b.size)
    symbols = np.int64(0)
    series = np.int64(0)
    while p < end:
        number, wire_type, p = field(b, p, end)
        if p < 0:
            return p
        start = p
        p = skip(b, p, end, wire_type)
        if p < 0:
            return p
        if wire_type != 2 or number not in (4, 5):
            continue
        _, q = varint(b, start, p)
        if number == 4:
            if symbols >= symbol_start.size:
                return _FAIL
            symbol_start[symbols] = q
            symbol_end[symbols] = p
            symbols += 1
        else:
            if series >= series_start.size:
                return _FAIL
            series_start[series] = q
            series_end[series] = p
            series += 1
    return np.int64(0)


@nb.njit(inline="always")
def _metadata(b, p, e, into):
    """Read type and refs of a Metadata message; returns the next position or a negative error."""
    into[:] = 0
    while p < e:
        number, wire_type, p = field(b, p, e)
        if p < 0:
            return p
        start = p
        p = skip(b, p, e, wire_type)
        if p < 0:
            return p
        if wire_type == 0 and number in (1, 3, 4):
            value, _ = varint(b, start, e)
            place = TYPE if number == 1 else HELP if number == 3 else UNIT
            into[place] = np.int64(value & U64(0x7FFFFFFF))
    return p


@nb.njit(inline="always")
def _refs(b, p, e, into):
    """Read label refs, packed or one by one, from the fields that lie there; returns their number or a negative error.

    More than there is room for are counted and not written.
    """
    found = np.int64(0)
    while p < e:
        number, wire_type, p = field(b, p, e)
        if p < 0:
            return p
        start = p
        p = skip(b, p, e, wire_type)
        if p < 0:
            return p
        if number != 1 or wire_type not in (0, 2):
            continue
        q = start
        if wire_type == 2:
            _, q = varint(b, start, p)
        while q < p:
            value, q = varint(b, q, p)
            if q < 0:
                return q
            if found < into.size:
                into[found] = np.int64(value & U64(0xFFFFFFFF))
            found += 1
    return found


@nb.njit(nogil=True, cache=True)
def refs_of(b, start, end, into):
    """Return the number of label refs of the series that lies there, and write them."""
    return _refs(b, np.int64(start), np.int64(end), into)


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
    symbols_known,
    symbol_start,
    symbol_end,
    symbol_hash,
    series_start,
    series_end,
    label_start,
    label_end,
    series_low,
    series_high,
    series_id,
    series_cacheable,
    sample_series,
    sample_time,
    sample_bits,
    part_series,
    part_sort,
    part_start,
    part_end,
    metadata_series,
    metadata,
):
    """Write the columns of a Request; returns 0 or a negative error.

    `last` is an earlier request of the same sender; where its table of symbols was the same (`symbols_known`), a series
    with the same bytes of refs is the same series. A series with refs that cannot be followed is not cacheable.
    """
    refs = np.empty(MAX_REFS, np.int64)
    words = np.empty(2 * MAX_REFS, U64)
    word_bytes = words.view(np.uint8)
    samples = np.int64(0)
    parts = np.int64(0)
    declared = np.int64(0)
    for series in range(series_start.size):
        q = series_start[series]
        e = series_end[series]
        first = np.int64(-1)
        behind = q
        runs = np.int64(0)
        known = _FAIL
        if symbols_known and series < last_id.size and last_id[series] >= 0:
            length = last_end[series] - last_start[series]
            if 0 < length <= e - q and same(b, q, last, last_start[series], length):
                known = last_id[series]
                first = q
                q += length
                behind = q
                runs = np.int64(1)
        while q < e:
            begun = q
            number, wire_type, q = field(b, q, e)
            if q < 0:
                return q
            payload = q
            q = skip(b, q, e, wire_type)
            if q < 0:
                return q
            if number == 1 and wire_type in (0, 2):
                if first < 0:
                    first = begun
                behind = q
                runs += 1
                known = _FAIL
                continue
            if wire_type != 2:
                continue
            if number == 2:
                bits, time, r = sample(b, payload, q)
                if r < 0:
                    return r
                if samples >= sample_series.size:
                    return _FAIL
                sample_series[samples] = series
                sample_time[samples] = np.int64(time)
                sample_bits[samples] = bits
                samples += 1
            elif number in (3, 4):
                if parts >= part_series.size:
                    return _FAIL
                _, r = varint(b, payload, q)
                part_series[parts] = series
                part_sort[parts] = HISTOGRAM if number == 3 else EXEMPLAR
                part_start[parts] = r
                part_end[parts] = q
                parts += 1
            elif number == 5:
                if declared >= metadata_series.size:
                    return _FAIL
                _, r = varint(b, payload, q)
                r = _metadata(b, r, q, metadata[declared])
                if r < 0:
                    return r
                metadata_series[declared] = series
                declared += 1
        if first < 0:
            first = behind
        label_start[series] = first
        label_end[series] = behind
        series_cacheable[series] = False
        if known < 0:
            size = _refs(b, first, behind, refs)
            if size < 0:
                return size
            good = 0 < size <= MAX_REFS and size % 2 == 0
            for i in range(min(size, MAX_REFS)):
                good = good and refs[i] < symbol_start.size
            if good:
                for i in range(size):
                    ref = refs[i]
                    if symbol_hash[ref, 0] == U64(0):
                        low, high = siphash(b, symbol_start[ref], symbol_end[ref], k0, k1)
                        symbol_hash[ref, 0] = low | U64(1)
                        symbol_hash[ref, 1] = high
                    words[2 * i] = symbol_hash[ref, 0]
                    words[2 * i + 1] = symbol_hash[ref, 1]
                low, high = siphash(word_bytes, np.int64(0), np.int64(16 * size), k0, k1)
                series_low[series] = low
                series_high[series] = high
                series_cacheable[series] = True
                known = lookup(low, high, table_low, table_high, table_id)
        # Only a single field of refs may be compared byte for byte the next time.
        if runs != 1 or first != series_start[series]:
            label_end[series] = first
        series_id[series] = known
    return np.int64(0)


@nb.njit(nogil=True, cache=True)
def families(b, name_symbol, series_start, series_end, metadata_series, metadata, seen, row_out, name_out):
    """Write which rows of metadata say something else of a metric than the row before it did; returns how many."""
    refs = np.empty(MAX_REFS, np.int64)
    seen[:] = -1
    found = np.int64(0)
    for row in range(metadata_series.size):
        series = metadata_series[row]
        size = min(_refs(b, series_start[series], series_end[series], refs), np.int64(MAX_REFS))
        name = _FAIL
        for i in range(0, size - 1, 2):
            if refs[i] == name_symbol:
                name = refs[i + 1]
        if name < 0 or name >= seen.shape[0]:
            continue
        told = seen[name]
        said = metadata[row]
        if told[0] == said[0] and told[1] == said[1] and told[2] == said[2]:
            continue
        told[:] = said
        row_out[found] = row
        name_out[found] = name
        found += 1
    return found


def warm_up() -> None:
    """Compile every kernel for the types it is called with."""
    body = np.frombuffer(b"\x22\x00\x2a\x00", np.uint8)
    key = U64(1)
    ints, words, flags = np.zeros(1, np.int64), np.zeros(1, U64), np.zeros(1, np.bool_)
    ids, none = np.full(2, -1, np.int64), np.zeros(0, np.int64)
    count(body, np.zeros(COUNTS, np.int64))
    split(body, ints, ints, none, none)
    refs_of(body, 4, 4, np.zeros(MAX_REFS, np.int64))
    table = (np.zeros(2, U64), np.zeros(2, U64), ids)
    series = (none, none, none, none, words, words, none, flags)
    rest = (none, none, words, *[none] * 5, np.zeros((0, 3), np.int64))
    extract(body, key, key, *table, body, none, none, none, False, ints, ints, np.zeros((1, 2), U64), *series, *rest)
    families(body, 0, none, none, none, np.zeros((0, 3), np.int64), np.zeros((1, 3), np.int64), none, none)
