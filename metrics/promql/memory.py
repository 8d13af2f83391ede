"""A series source over columns held in memory, for tests, benchmarks and backtests."""

from collections.abc import Sequence

import numpy as np

from metrics.promql.labels import matches
from metrics.promql.types import Matcher, SeriesColumns


class MemorySource:
    """Answers selections from one set of columns."""

    def __init__(self, columns: SeriesColumns) -> None:
        """Keep the columns; they are not copied."""
        self.columns = columns

    def select(self, matchers: Sequence[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
        """Return the matching series cut to the time range."""
        held = self.columns
        labels, times, values, histograms, starts = [], [], [], [], []
        for row, names in enumerate(held.labels):
            if not matches(names, matchers):
                continue
            begin, end = int(held.offsets[row]), int(held.offsets[row + 1])
            low, high = begin + np.searchsorted(held.timestamps_ms[begin:end], [t_min_ms, t_max_ms + 1])
            labels.append(names)
            times.append(held.timestamps_ms[low:high])
            values.append(held.values[low:high])
            if held.histograms is not None:
                histograms.append(held.histograms[low:high])
            if held.starts_ms is not None:
                starts.append(held.starts_ms[low:high])
        sizes = [0, *(len(part) for part in times)]
        return SeriesColumns(
            labels,
            np.cumsum(sizes).astype(np.int64),
            np.concatenate([*times, np.empty(0, np.int64)]),
            np.concatenate([*values, np.empty(0)]),
            None if held.histograms is None else np.concatenate([*histograms, np.empty(0, np.object_)]),
            None if held.starts_ms is None else np.concatenate([*starts, np.empty(0, np.int64)]),
        )
