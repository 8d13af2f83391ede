"""A shelf in memory."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from metrics.promql.memory import MemorySource
from metrics.promql.scripts.running import Loaded
from metrics.promql.types import SeriesColumns


class MemoryShelf:
    """Holds the samples of a script in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._held: dict[frozenset[tuple[str, str]], Loaded] = {}

    def clear(self) -> None:
        """Forget all samples."""
        self._held = {}

    def load(self, series: Sequence[Loaded]) -> None:
        """Add samples; of two at one instant the later one stays."""
        for one in series:
            key = frozenset(one.labels.items())
            before = self._held.get(key, Loaded(one.labels, [], [], []))
            rows = {
                at: (point, start)
                for part in (before, one)
                for at, point, start in zip(part.timestamps_ms, part.points, part.starts_ms, strict=True)
            }
            times = sorted(rows)
            self._held[key] = Loaded(one.labels, times, [rows[at][0] for at in times], [rows[at][1] for at in times])

    def source(self) -> MemorySource:
        """Return what queries read from."""
        held = [one for one in self._held.values() if one.timestamps_ms]
        held.sort(key=lambda one: sorted(one.labels.items()))
        points = list(chain.from_iterable(one.points for one in held))
        native = [point.histogram for point in points]
        histograms = np.empty(len(points), np.object_)
        histograms[:] = native
        values = [point.number if point.histogram is None else point.histogram.count for point in points]
        sizes = [0, *(len(one.timestamps_ms) for one in held)]
        times = list(chain.from_iterable(one.timestamps_ms for one in held))
        starts = np.array(list(chain.from_iterable(one.starts_ms for one in held)), np.int64)
        return MemorySource(
            SeriesColumns(
                [one.labels for one in held],
                np.cumsum(sizes).astype(np.int64),
                np.array(times, np.int64),
                np.array(values, np.float64),
                histograms if any(one is not None for one in native) else None,
                starts if starts.any() else None,
            )
        )
