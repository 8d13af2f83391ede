"""The native histogram: sparse buckets of one observation set, as Prometheus defines it.

Source: https://prometheus.io/docs/specs/native_histograms/
"""

from dataclasses import dataclass
from enum import IntEnum

# Schemas -4 to 8 are exponential: bucket i ends at 2 ** (i * 2 ** -schema).
MIN_SCHEMA = -4
MAX_SCHEMA = 8
# This schema stands for buckets whose upper bounds are listed in `custom_values`.
CUSTOM_SCHEMA = -53


class ResetHint(IntEnum):
    """What a sender says about a counter reset before this histogram; the numbers are the protocol's."""

    UNKNOWN = 0
    YES = 1
    NO = 2
    GAUGE = 3


@dataclass(frozen=True, slots=True)
class Span:
    """A run of neighbouring buckets: `offset` from the end of the run before (the first: its index), `length` of it."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """One native histogram; bucket counts are absolute floats, one for each bucket of the spans in their order."""

    schema: int
    count: float
    sum: float
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive_spans: tuple[Span, ...] = ()
    positive: tuple[float, ...] = ()
    negative_spans: tuple[Span, ...] = ()
    negative: tuple[float, ...] = ()
    custom_values: tuple[float, ...] = ()
    reset_hint: ResetHint = ResetHint.UNKNOWN

    @property
    def is_custom(self) -> bool:
        """Tell whether the bounds of the buckets are listed."""
        return self.schema == CUSTOM_SCHEMA
