"""Compiled reading of label sets: where names and values lie, and the two texts the store wants of each set.

Only plain sets are written: printable ASCII, names strictly ascending, no empty text, a metric name, nothing beyond the
limits. Any other set takes the slow path, which knows each rule by name.
"""

import numba as nb
import numpy as np

from metrics.wire.kernels import _field as field
from metrics.wire.kernels import _skip as skip
from metrics.wire.kernels import _varint as varint

U64 = np.uint64
NAME_START, NAME_END, VALUE_START, VALUE_END = 0, 1, 2, 3
QUOTE, BACKSLASH, SPACE, DELETE = 34, 92, 32, 127
_NAME_LABEL = np.frombuffer(b"__name__", np.uint8)
FULL = np.int64(-5)


@nb.njit(nogil=True, cache=True)
def spans_written_out(b, starts, ends, spans, offsets):
    """Write the spans of labels that lie in their series (remote write 1); returns 0 or a negative error.

    -5 means that there are more labels than there is room for.
    """
    found = np.int64(0)
    for series in range(starts.size):
        offsets[series] = found
        p, e = starts[series], ends[series]
        while p < e:
            number, wire_type, p = field(b, p, e)
            if p < 0:
                return p
            q = p
            p = skip(b, p, e, wire_type)
            if p < 0:
                return p
            if number != 1 or wire_type != 2:
                continue
            if found >= spans.shape[0]:
                return FULL
            row = spans[found]
            row[:] = 0
            _, q = varint(b, q, p)
            while q < p:
                inner, inner_type, q = field(b, q, p)
                if q < 0:
                    return q
                r = q
                q = skip(b, q, p, inner_type)
                if q < 0:
                    return q
                if inner_type == 2 and inner in (1, 2):
                    _, r = varint(b, r, q)
                    row[2 * inner - 2] = r
                    row[2 * inner - 1] = q
            found += 1
    offsets[starts.size] = found
    return np.int64(0)


@nb.njit(nogil=True, cache=True)
def spans_of_symbols(b, starts, ends, symbol_start, symbol_end, spans, offsets):
    """Write the spans of labels that are refs (remote write 2); a set with a bad ref has one label without a name."""
    found = np.int64(0)
    for series in range(starts.size):
        offsets[series] = found
        p, e = starts[series], ends[series]
        half = False
        bad = False
        while p < e:
            number, wire_type, p = field(b, p, e)
            if p < 0:
                return p
            q = p
            p = skip(b, p, e, wire_type)
            if p < 0:
                return p
            if number != 1 or wire_type not in (0, 2):
                continue
            if wire_type == 2:
                _, q = varint(b, q, p)
            while q < p:
                value, q = varint(b, q, p)
                if q < 0:
                    return q
                ref = np.int64(value & U64(0xFFFFFFFF))
                if found >= spans.shape[0]:
                    return FULL
                if ref >= symbol_start.size:
                    bad = True
                    continue
                if half:
                    spans[found, VALUE_START] = symbol_start[ref]
                    spans[found, VALUE_END] = symbol_end[ref]
                    found += 1
                else:
                    spans[found, NAME_START] = symbol_start[ref]
                    spans[found, NAME_END] = symbol_end[ref]
                half = not half
        if bad or half:
            found = offsets[series] + 1
            if found > spans.shape[0]:
                return FULL
            spans[found - 1, :] = 0
    offsets[starts.size] = found
    return np.int64(0)


@nb.njit(inline="always")
def _plain_text(b, start, end):
    for p in range(start, end):
        c = b[np.uintp(p)]
        if c < SPACE or c >= DELETE:
            return False
    return start < end


@nb.njit(inline="always")
def _before(b, p, pe, q, qe):
    """Tell whether the text at p comes strictly before the text at q."""
    size = min(pe - p, qe - q)
    for i in range(size):
        left, right = b[np.uintp(p + i)], b[np.uintp(q + i)]
        if left != right:
            return left < right
    return pe - p < qe - q


@nb.njit(inline="always")
def _is_name_label(b, p, e):
    if e - p != _NAME_LABEL.size:
        return False
    same = True
    for i in range(_NAME_LABEL.size):
        same = same and b[np.uintp(p + i)] == _NAME_LABEL[i]
    return same


@nb.njit(inline="always")
def _number(out, at, value):
    """Write a number below 10,000 in decimals."""
    digits = 1 if value < 10 else 2 if value < 100 else 3 if value < 1000 else 4
    for i in range(digits):
        out[np.uintp(at + digits - 1 - i)] = 48 + value % 10
        value //= 10
    return at + digits


@nb.njit(inline="always")
def _copied(b, start, end, out, at):
    for p in range(start, end):
        out[np.uintp(at)] = b[np.uintp(p)]
        at += 1
    return at


@nb.njit(inline="always")
def _quoted(b, start, end, out, at):
    out[np.uintp(at)] = QUOTE
    at += 1
    for p in range(start, end):
        c = b[np.uintp(p)]
        if c in (QUOTE, BACKSLASH):
            out[np.uintp(at)] = BACKSLASH
            at += 1
        out[np.uintp(at)] = c
        at += 1
    out[np.uintp(at)] = QUOTE
    return at + 1


@nb.njit(nogil=True, cache=True)
def texts(b, spans, offsets, max_labels, max_name, max_value, metric, canonical, canonical_ends, text, text_ends):
    """Write the canonical text (which the fingerprint is of) and the JSON of each plain set.

    `metric` becomes the row of the metric name, -1 where the set is not plain. There is room for every label.
    """
    c = np.int64(0)
    t = np.int64(0)
    for series in range(offsets.size - 1):
        first, behind = offsets[series], offsets[series + 1]
        name_row = np.int64(-1)
        good = 0 < behind - first <= max_labels
        for row in range(first, behind if good else first):
            name_start, name_end, value_start, value_end = spans[row]
            good = good and name_end - name_start <= max_name and value_end - value_start <= max_value
            good = good and _plain_text(b, name_start, name_end) and _plain_text(b, value_start, value_end)
            if row > first:
                good = good and _before(b, spans[row - 1, 0], spans[row - 1, 1], name_start, name_end)
            if not good:
                break
            if _is_name_label(b, name_start, name_end):
                name_row = row
                good = value_end - value_start <= max_name
        metric[series] = name_row if good else -1
        if good and name_row >= 0:
            text[np.uintp(t)] = 123
            t += 1
            for row in range(first, behind):
                name_start, name_end, value_start, value_end = spans[row]
                c = _number(canonical, c, name_end - name_start)
                canonical[np.uintp(c)] = 44
                c = _number(canonical, c + 1, value_end - value_start)
                canonical[np.uintp(c)] = 58
                c = _copied(b, name_start, name_end, canonical, c + 1)
                c = _copied(b, value_start, value_end, canonical, c)
                if row > first:
                    text[np.uintp(t)] = 44
                    t += 1
                t = _quoted(b, name_start, name_end, text, t)
                text[np.uintp(t)] = 58
                t = _quoted(b, value_start, value_end, text, t + 1)
            text[np.uintp(t)] = 125
            t += 1
        canonical_ends[series] = c
        text_ends[series] = t


def warm_up() -> None:
    """Compile every kernel for the types it is called with."""
    body, none = np.frombuffer(b"\x0a\x00", np.uint8), np.zeros(0, np.int64)
    spans, offsets = np.zeros((1, 4), np.int64), np.zeros(1, np.int64)
    out = np.zeros(4, np.uint8)
    spans_written_out(body, none, none, spans, offsets)
    spans_of_symbols(body, none, none, none, none, spans, offsets)
    texts(body, spans, offsets, 1, 1, 1, none, out, none, out, none)
