"""The compiled walk over an exposition page: one pass over hostile bytes, every read checked against their end.

Rows of `spans`: start and end of the series text, of the value, of the timestamp, start of the exemplar, end of the
line; a part that is not there has the place -1.
"""

import numba as nb
import numpy as np

from metrics.wire.kernels import _lookup as lookup
from metrics.wire.kernels import _siphash as siphash_of

U64 = np.uint64
SERIES_START, SERIES_END, VALUE_START, VALUE_END, TIME_START, TIME_END, EXEMPLAR, LINE_END = range(8)
SPANS = 8
NO_NAME, UNCLOSED, NO_VALUE, BAD_TIMESTAMP, TRAILING = 1, 2, 3, 4, 5
SLOW = 1
_POWERS = np.array([10.0**power for power in range(23)])
_MIX = U64(0x9E3779B97F4A7C15)
_EXACT = U64(1 << 53)
TAB, NEWLINE, SPACE, QUOTE, HASH, BACKSLASH, OPEN, CLOSE = 9, 10, 32, 34, 35, 92, 123, 125


@nb.njit(inline="always")
def _blanks(b, p, e):
    while p < e and (b[p] == SPACE or b[p] == TAB):
        p += 1
    return p


@nb.njit(inline="always")
def _word_end(b, p, e):
    while p < e and b[p] != SPACE and b[p] != TAB:
        p += 1
    return p


@nb.njit(inline="always")
def _series_end(b, p, e):
    """Return where the name and the labels that begin at p end, -1 where a brace or a quote stays open."""
    while p < e and b[p] != SPACE and b[p] != TAB and b[p] != OPEN:
        p += 1
    q = _blanks(b, p, e)
    if q >= e or b[q] != OPEN:
        return p
    q += 1
    quoted = False
    while q < e:
        c = b[q]
        if quoted:
            if c == BACKSLASH:
                q += 1
            elif c == QUOTE:
                quoted = False
        elif c == QUOTE:
            quoted = True
        elif c == CLOSE:
            return q + 1
        q += 1
    return -1


@nb.njit(nogil=True, cache=True)
def number(b, p, e):
    """Return (the decimal number between p and e, 0) or (0, SLOW) where only a full parser is sure to round rightly."""
    negative = False
    if p < e and (b[p] == 45 or b[p] == 43):
        negative = b[p] == 45
        p += 1
    mantissa = U64(0)
    digits = 0
    power = 0
    point = False
    while p < e:
        c = b[p]
        if 48 <= c <= 57:
            mantissa = mantissa * U64(10) + U64(c - 48)
            digits += 1
            if point:
                power -= 1
        elif c == 46 and not point:
            point = True
        else:
            break
        p += 1
    if digits == 0 or digits > 18:
        return 0.0, SLOW
    if p < e:
        if (b[p] != 101 and b[p] != 69) or p + 1 >= e:
            return 0.0, SLOW
        p += 1
        below = b[p] == 45
        if b[p] == 45 or b[p] == 43:
            p += 1
        if p >= e or e - p > 4:
            return 0.0, SLOW
        exponent = 0
        while p < e:
            c = b[p]
            if c < 48 or c > 57:
                return 0.0, SLOW
            exponent = exponent * 10 + (c - 48)
            p += 1
        power += -exponent if below else exponent
    # Both factors are exact here, so their product or quotient is rounded once, as it must be.
    if mantissa > _EXACT or power < -22 or power > 22:
        return 0.0, SLOW
    value = float(mantissa)
    value = value / _POWERS[-power] if power < 0 else value * _POWERS[power]
    return (-value if negative else value), 0


@nb.njit(inline="always")
def _whole(b, p, e):
    if p < e and (b[p] == 45 or b[p] == 43):
        p += 1
    if p >= e:
        return False
    while p < e:
        if b[p] < 48 or b[p] > 57:
            return False
        p += 1
    return True


@nb.njit(inline="always")
def _rest(b, p, e, openmetrics, row, times, slow, i):
    """Read what follows the value: timestamp and exemplar; returns 0 or an error."""
    p = _blanks(b, p, e)
    if p < e and b[p] != HASH:
        q = _word_end(b, p, e)
        row[TIME_START] = p
        row[TIME_END] = q
        if not openmetrics and not _whole(b, p, q):
            return BAD_TIMESTAMP
        times[i], late = number(b, p, q)
        if late:
            slow[i] |= 2
        p = _blanks(b, q, e)
    if p < e:
        if not openmetrics or b[p] != HASH:
            return TRAILING
        row[EXEMPLAR] = p
    return 0


@nb.njit(nogil=True, cache=True)
def scan(
    b,
    k0,
    k1,
    table_low,
    table_high,
    table_place,
    openmetrics,
    spans,
    low,
    high,
    places,
    values,
    times,
    slow,
    comments,
    totals,
):
    """Write the rows of a page; returns (error, where). `totals` gets samples, comments, and the shape of the page.

    `slow` has bit 1 where the value and bit 2 where the timestamp wait for the full parser. The shape is a hash over
    all that is not a number: two pages of one shape differ in values only.
    """
    p = 0
    size = b.size
    samples = 0
    remarks = 0
    shape = U64(0)
    while p < size:
        e = p
        while e < size and b[e] != NEWLINE:
            e += 1
        line = p
        p = e + 1
        start = _blanks(b, line, e)
        if start == e:
            shape = shape * _MIX + U64(3)
            continue
        if b[start] == HASH:
            h, _ = siphash_of(b, start, e, k0, k1)
            shape = (shape ^ h) * _MIX + U64(1)
            comments[remarks, 0] = start
            comments[remarks, 1] = e
            remarks += 1
            continue
        end = _series_end(b, start, e)
        if end < 0:
            return UNCLOSED, line
        if end == start:
            return NO_NAME, line
        value = _blanks(b, end, e)
        value_end = _word_end(b, value, e)
        if value == value_end:
            return NO_VALUE, line
        row = spans[samples]
        row[:] = -1
        row[SERIES_START] = start
        row[SERIES_END] = end
        row[VALUE_START] = value
        row[VALUE_END] = value_end
        row[LINE_END] = e
        slow[samples] = 0
        times[samples] = np.nan
        values[samples], late = number(b, value, value_end)
        if late:
            slow[samples] = 1
        error = _rest(b, value_end, e, openmetrics, row, times, slow, samples)
        if error:
            return error, line
        first, second = siphash_of(b, start, end, k0, k1)
        low[samples] = first
        high[samples] = second
        places[samples] = lookup(first, second, table_low, table_high, table_place)
        told = U64(5) if row[TIME_START] >= 0 else U64(7)
        shape = (shape ^ first) * _MIX + told
        samples += 1
    totals[0] = U64(samples)
    totals[1] = U64(remarks)
    totals[2] = shape
    return 0, 0


def warm_up() -> None:
    """Compile the walk for the types it is called with."""
    data = np.frombuffer(b"a 1\n", np.uint8)
    words, ints, floats = np.zeros(2, U64), np.full(2, -1, np.int64), np.zeros(2)
    scan(
        data,
        U64(1),
        U64(1),
        words,
        words,
        ints,
        False,
        np.zeros((2, SPANS), np.int64),
        words.copy(),
        words.copy(),
        ints.copy(),
        floats,
        floats.copy(),
        np.zeros(2, np.int8),
        np.zeros((2, 2), np.int64),
        np.zeros(3, U64),
    )
