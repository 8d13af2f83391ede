"""The compiled walk that measures a request before the decoder makes an object of each message.

The messages it knows, by number (see MESSAGES); a child that it does not know is skipped.
"""

import numba as nb
import numpy as np

from metrics.wire.kernels import _field as field
from metrics.wire.kernels import _skip as skip
from metrics.wire.kernels import _varint as varint

(
    REQUEST, RESOURCE_METRICS, RESOURCE, SCOPE_METRICS, SCOPE, METRIC, NUMBERS, HISTOGRAMS, EXPONENTIALS, SUMMARIES,
    NUMBER, HISTOGRAM, EXPONENTIAL, SUMMARY, KEY_VALUE, ANY_VALUE, ARRAY, KEY_VALUES, EXEMPLAR, BUCKETS, QUANTILE,
) = range(21)  # fmt: skip
MESSAGES = 21
FIELDS = 16
MAX_DEPTH = 64
TOO_DEEP = -5
NO_MESSAGE = -1

_CHILDREN = np.full((MESSAGES, FIELDS), NO_MESSAGE, np.int64)
for _parent, _children in {
    REQUEST: {1: RESOURCE_METRICS},
    RESOURCE_METRICS: {1: RESOURCE, 2: SCOPE_METRICS},
    RESOURCE: {1: KEY_VALUE},
    SCOPE_METRICS: {1: SCOPE, 2: METRIC},
    SCOPE: {3: KEY_VALUE},
    METRIC: {5: NUMBERS, 7: NUMBERS, 9: HISTOGRAMS, 10: EXPONENTIALS, 11: SUMMARIES, 12: KEY_VALUE},
    NUMBERS: {1: NUMBER},
    HISTOGRAMS: {1: HISTOGRAM},
    EXPONENTIALS: {1: EXPONENTIAL},
    SUMMARIES: {1: SUMMARY},
    NUMBER: {7: KEY_VALUE, 5: EXEMPLAR},
    HISTOGRAM: {9: KEY_VALUE, 8: EXEMPLAR},
    EXPONENTIAL: {1: KEY_VALUE, 8: BUCKETS, 9: BUCKETS, 11: EXEMPLAR},
    SUMMARY: {7: KEY_VALUE, 6: QUANTILE},
    EXEMPLAR: {7: KEY_VALUE},
    KEY_VALUE: {2: ANY_VALUE},
    ANY_VALUE: {5: ARRAY, 6: KEY_VALUES},
    ARRAY: {1: ANY_VALUE},
    KEY_VALUES: {1: KEY_VALUE},
}.items():
    for _number, _child in _children.items():
        _CHILDREN[_parent, _number] = _child


@nb.njit(nogil=True, cache=True)
def count(b, counts):
    """Count the messages of each sort, and in BUCKETS the bytes of buckets; returns 0 or a negative error."""
    counts[:] = 0
    ends = np.empty(MAX_DEPTH, np.int64)
    sorts = np.empty(MAX_DEPTH, np.int64)
    depth = 0
    ends[0] = b.size
    sorts[0] = REQUEST
    p = np.int64(0)
    while depth >= 0:
        if p >= ends[depth]:
            depth -= 1
            continue
        number, wire_type, p = field(b, p, ends[depth])
        if p < 0:
            return p
        start = p
        p = skip(b, p, ends[depth], wire_type)
        if p < 0:
            return p
        child = _CHILDREN[sorts[depth], number] if number < FIELDS and wire_type == 2 else NO_MESSAGE
        if child == BUCKETS:
            counts[BUCKETS] += p - start
        elif child != NO_MESSAGE:
            counts[child] += 1
            if depth + 1 >= MAX_DEPTH:
                return np.int64(TOO_DEEP)
            depth += 1
            ends[depth] = p
            sorts[depth] = child
            _, p = varint(b, start, ends[depth])
    return np.int64(0)


def warm_up() -> None:
    """Compile the walk for the types it is called with."""
    count(np.frombuffer(b"\x0a\x00", np.uint8), np.zeros(MESSAGES, np.int64))
