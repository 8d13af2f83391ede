"""The bucket around zero: two histograms must agree on its width before they can be added."""

from metrics.native_histograms.bounds import exponential_bound
from metrics.native_histograms.tally import Counts, Tally, compensated

Zero = tuple[float, float]
NOTHING_LOST = Tally(0)


def _swallowed(buckets: Counts, lost: Counts, schema: int, threshold: float, zero: Zero) -> tuple[Zero, float | None]:
    """Add the buckets below a threshold to the zero count; also return the end of a filled bucket it cuts."""
    count, missing = zero
    for index in sorted(buckets):
        if exponential_bound(index - 1, schema) >= threshold:
            break
        count, missing = compensated(buckets[index], count, missing)
        if index in lost:
            count, missing = compensated(lost[index], count, missing)
        end = exponential_bound(index, schema)
        if end > threshold:
            return (count, missing), end if buckets[index] != 0 else None
    return (count, missing), None


def zero_for(tally: Tally, threshold: float, lost: Tally = NOTHING_LOST) -> tuple[float, float, float]:
    """Return (zero count, threshold, what its sum lost) a histogram would have with a wider bucket around zero.

    A threshold within a filled bucket moves outwards to its end.
    """
    if threshold == tally.zero_threshold:
        return tally.zero_count, threshold, lost.zero_count
    while True:
        zero: Zero = (tally.zero_count, lost.zero_count)
        zero, end = _swallowed(tally.positive, lost.positive, tally.schema, threshold, zero)
        threshold = threshold if end is None else end
        zero, end = _swallowed(tally.negative, lost.negative, tally.schema, threshold, zero)
        if end is None:
            return zero[0], threshold, zero[1]
        # The positive side was read with a threshold that does not hold any more.
        threshold = end


def _widen(tally: Tally, threshold: float, lost: Tally) -> None:
    tally.zero_count, tally.zero_threshold, lost.zero_count = zero_for(tally, threshold, lost)
    for buckets, missing in ((tally.positive, lost.positive), (tally.negative, lost.negative)):
        for index in list(buckets):
            inside = exponential_bound(index - 1, tally.schema) < tally.zero_threshold
            if inside or (buckets[index] == 0 and missing.get(index, 0.0) == 0):
                del buckets[index]
                missing.pop(index, None)


def reconcile(tally: Tally, other: Tally, lost: Tally) -> Zero:
    """Widen a histogram's bucket around zero until it fits both; return the other's zero count and what it lost.

    Only `tally` and what it lost are changed.
    """
    count, threshold, missing = other.zero_count, other.zero_threshold, 0.0
    while threshold != tally.zero_threshold:
        if tally.zero_threshold > threshold:
            count, threshold, missing = zero_for(other, tally.zero_threshold)
        if threshold > tally.zero_threshold:
            _widen(tally, threshold, lost)
    return count, missing
