"""Native histograms as Prometheus' JSON."""

import numpy as np
import orjson

from metrics.native_histograms.buckets import all_buckets
from metrics.native_histograms.model import Histogram
from metrics.wire.answers.numbers import value_texts

# The first member of a bucket: which of its bounds belong to it.
BOUNDARIES = {(False, True): 0, (True, False): 1, (False, False): 2, (True, True): 3}


def histogram_json(histogram: Histogram) -> bytes:
    """Return count, sum and the buckets that are not empty, rising."""
    count, total = _texts([histogram.count, histogram.sum])
    shown: dict[str, object] = {"count": count, "sum": total}
    buckets = [bucket for bucket in all_buckets(histogram) if bucket.count != 0]
    if buckets:
        texts = _texts([number for bucket in buckets for number in (bucket.lower, bucket.upper, bucket.count)])
        kinds = [BOUNDARIES[(bucket.lower_inclusive, bucket.upper_inclusive)] for bucket in buckets]
        shown["buckets"] = [[kind, *texts[3 * place : 3 * place + 3]] for place, kind in enumerate(kinds)]
    return orjson.dumps(shown)


def _texts(numbers: list[float]) -> list[str]:
    return [text.decode() for text in value_texts(np.array(numbers, np.float64))]
