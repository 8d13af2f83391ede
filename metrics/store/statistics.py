"""Where the series are: counts by metric, label and pair, from the catalogue in memory and the sizes of blocks."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from metrics.domain import METRIC_NAME_LABEL
from metrics.store.catalogue import Catalogue

Counts = list[tuple[str, int]]
_BLOCKS_SQL = """
SELECT (SELECT count(*) FROM metrics_headblock) + (SELECT count(*) FROM metrics_groupblock),
       least((SELECT min(t_min) FROM metrics_headblock), (SELECT min(t_min) FROM metrics_groupblock)),
       greatest((SELECT max(t_max) FROM metrics_headblock), (SELECT max(t_max) FROM metrics_groupblock))
"""


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """Sizes of the store, and the largest parts of each kind, largest first."""

    series: int
    label_pairs: int
    blocks: int
    oldest_ms: int
    newest_ms: int
    series_by_metric: Counts
    values_by_label: Counts
    bytes_by_label: Counts
    series_by_pair: Counts


@dataclass(slots=True)
class _Tally:
    """Counts of one label's values over all metrics."""

    values: dict[str, int]

    def add(self, texts: list[str], numbers: list[int]) -> None:
        for text, number in zip(texts, numbers, strict=True):
            self.values[text] = self.values.get(text, 0) + number


def store_statistics(catalogue: Catalogue, *, limit: int) -> StoreStatistics:
    """Return the statistics of a refreshed catalogue, at most `limit` of each kind."""
    by_metric: dict[str, int] = {}
    tallies: dict[str, _Tally] = {METRIC_NAME_LABEL: _Tally(by_metric)}
    for found in catalogue.find(()):
        by_metric[found.columns.name] = int(found.rows.size)
        for label in list(found.columns.labels):
            texts, numbers = catalogue.value_counts(found, label)
            tallies.setdefault(label, _Tally({})).add(texts, numbers)
    bytes_by_label = {
        label: sum(len(text.encode()) for text in tally.values) for label, tally in tallies.items() if tally.values
    }
    pairs = ((f"{label}={text}", number) for label, tally in tallies.items() for text, number in tally.values.items())
    blocks, oldest, newest = _blocks()
    return StoreStatistics(
        series=sum(by_metric.values()),
        label_pairs=sum(len(tally.values) for tally in tallies.values()),
        blocks=blocks,
        oldest_ms=oldest,
        newest_ms=newest,
        series_by_metric=_largest(by_metric.items(), limit),
        values_by_label=_largest(((label, len(tally.values)) for label, tally in tallies.items()), limit),
        bytes_by_label=_largest(bytes_by_label.items(), limit),
        series_by_pair=_largest(pairs, limit),
    )


def _largest(pairs: Iterable[tuple[str, int]], limit: int) -> Counts:
    return heapq.nsmallest(limit, pairs, key=lambda pair: (-pair[1], pair[0]))


def _blocks() -> tuple[int, int, int]:
    with connection.cursor() as cursor:
        cursor.execute(_BLOCKS_SQL)
        blocks, oldest, newest = cursor.fetchone()
    return blocks, oldest or 0, newest or 0
