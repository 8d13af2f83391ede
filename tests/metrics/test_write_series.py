"""write_series: decoded rows of any door become stored samples, the good ones of a batch without the bad ones."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from aivillage_console.accounts.models import Source
from metrics.domain import Metadata, SeriesBatch
from metrics.ingest.rows import gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import OUT_OF_WINDOW, SERIES_IDS, Written, given_name, write_series
from metrics.models import MetadataEntry, Metric, Series
from metrics.promql.types import Matcher
from metrics.store.postgres import STORE

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def batch(*rows: tuple[dict[str, str], int, float], **more) -> SeriesBatch:
    return SeriesBatch(
        labels=[row[0] for row in rows],
        sample_series=np.arange(len(rows)),
        timestamps_ms=np.array([row[1] for row in rows], np.int64),
        values=np.array([row[2] for row in rows], np.float64),
        **more,
    )


@pytest.fixture
def write(source: Source) -> Callable[[SeriesBatch], Written]:
    window = Window.at(NOW, backfill=False)
    return lambda given: write_series(given, source_id=source.pk, gate=gate(), window=window, now=NOW)


def values(name: str) -> list[float]:
    found = STORE.select([Matcher("__name__", "=", name)], NOW_MS - 10**6, NOW_MS + 10**6)
    return sorted(found.values.tolist())


def test_samples_are_stored_under_ids_that_are_told(write: Callable[[SeriesBatch], Written]):
    written = write(batch(({"__name__": "up", "job": "a"}, NOW_MS, 1.0), ({"__name__": "up", "job": "b"}, NOW_MS, 2.0)))
    assert (written.samples, written.histograms, written.exemplars) == (2, 0, 0)
    assert sorted(Series.objects.values_list("pk", flat=True)) == written.series_ids.tolist()
    assert values("up") == [1.0, 2.0]


def test_the_bad_series_and_the_old_sample_do_not_take_the_rest_with_them(write: Callable[[SeriesBatch], Written]):
    old = NOW_MS - int(timedelta(days=30).total_seconds() * 1000)
    written = write(
        batch(
            ({"job": "nameless"}, NOW_MS, 1.0),
            ({"__name__": "up"}, NOW_MS, 2.0),
            ({"__name__": "up", "job": "late"}, old, 3.0),
        )
    )
    assert written.series_ids[0] == -1
    assert (written.series_ids[1:] > 0).all()
    assert written.refused == {"the metric name is missing": 1, OUT_OF_WINDOW: 1}
    assert values("up") == [2.0]


def test_metadata_reaches_the_metrics_of_the_same_batch(write: Callable[[SeriesBatch], Written]):
    declared = [Metadata("up", "gauge", "", "Whether the target answers.")]
    write(batch(({"__name__": "up"}, NOW_MS, 1.0), metadata=declared))
    assert MetadataEntry.objects.get().type == "gauge"
    assert Metric.objects.get().help == "Whether the target answers."


def test_a_batch_of_metadata_alone_is_taken(write: Callable[[SeriesBatch], Written]):
    written = write(batch(metadata=[Metadata("later", "counter", "s", "Comes later.")]))
    assert (written.samples, written.series_ids.tolist()) == (0, [])
    assert MetadataEntry.objects.get().family == "later"


def test_label_sets_that_come_again_keep_their_ids_in_whatever_order_they_are_written(
    write: Callable[[SeriesBatch], Written], django_capture_on_commit_callbacks: Any
):
    rows = [({"__name__": "up", "job": "a", "zone": ""}, NOW_MS, 1.0), ({"__name__": "up", "job": "b"}, NOW_MS, 2.0)]
    with django_capture_on_commit_callbacks(execute=True):
        first = write(batch(*rows))
    assert SERIES_IDS.known(given_name(rows[1][0])) == first.series_ids[1]
    turned = ({"job": "a", "__name__": "up"}, NOW_MS + 1, 3.0)
    again = write(batch(*rows, turned, ({"__name__": "up", "job": ""}, NOW_MS, 4.0)))
    assert again.series_ids.tolist()[:3] == [*first.series_ids.tolist(), first.series_ids[0]]
    assert Series.objects.count() == 3
    SERIES_IDS.discard(first.series_ids)
    assert SERIES_IDS.known(given_name(rows[1][0])) is None


def test_a_bad_label_set_is_refused_as_often_as_it_comes(
    write: Callable[[SeriesBatch], Written], django_capture_on_commit_callbacks: Any
):
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            assert write(batch(({"job": "nameless"}, NOW_MS, 1.0))).refused.total() == 1
