"""Exemplars on their way in: the rules they must keep, and where they go."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metrics.domain import NewExemplar
from metrics.ingest.sampling import MOST_RULES
from metrics.ingest.windows import Window
from metrics.store.exemplars import MAX_LABEL_CHARACTERS, Exemplar, exemplars_append

TOO_LONG = f"the labels of an exemplar are longer than {MAX_LABEL_CHARACTERS} characters"
BAD_LABELS = "an exemplar has a label without a name or a NUL character"
OUTSIDE = "the timestamp of an exemplar is outside the window of this door"


def exemplars_write(
    rows: Sequence[NewExemplar], series_ids: npt.NDArray[np.int64], *, window: Window
) -> tuple[int, Counter[str]]:
    """Store the good exemplars of accepted series; returns how many, and the refused ones by reason.

    What is there already counts as stored; so does what the rate of its series thins out, or a
    sampling rule leaves out.
    """
    refused: Counter[str] = Counter()
    good = []
    left_out = 0
    for row in rows:
        reason = _fault(row, window)
        if reason:
            refused[reason] += 1
        elif series_ids[row.series] >= MOST_RULES:
            good.append(Exemplar(int(series_ids[row.series]), row.timestamp_ms, row.value, row.labels))
        elif series_ids[row.series] >= 0:
            left_out += 1
    if good:
        exemplars_append(None, good)
    return len(good) + left_out, refused


def _fault(row: NewExemplar, window: Window) -> str:
    texts = [text for pair in row.labels.items() for text in pair]
    if sum(map(len, texts)) > MAX_LABEL_CHARACTERS:
        return TOO_LONG
    if "" in row.labels or any("\0" in text for text in texts):
        return BAD_LABELS
    return "" if window.low_ms <= row.timestamp_ms <= window.high_ms else OUTSIDE
