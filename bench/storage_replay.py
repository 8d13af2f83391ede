"""The store and the compactor's steps as `bench.storage_live` calls them; imported once Django is set up."""

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from metrics import services
from metrics.domain import fingerprint, series_labels
from metrics.store import compaction, rolling
from metrics.store.columns import Samples
from metrics.store.partitions import partitions_ensure
from metrics.store.postgres import PostgresStore
from metrics.store.series import series_create

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_store = PostgresStore()


def series(labels: list[dict[str, str]]) -> Ints:
    """Register the series and return their ids."""
    pairs = [series_labels(list(one.items())) for one in labels]
    keys = [fingerprint(one) for one in pairs]
    now = datetime.now(UTC)
    services.partitions_prepare(now=now)
    partitions_ensure([(now - timedelta(days=1)).date()])
    ids = series_create(dict(zip(keys, pairs, strict=True)), source_id=None, now=now)
    return np.array([ids[key] for key in keys])


def append(ids: Ints, times: Ints, values: Floats) -> None:
    """Store what came within a minute, a head block a time."""
    for place, at in enumerate(times.tolist()):
        _store.append(Samples(ids, np.full(ids.size, at), values[:, place].copy()), durable=False)


def passed(now_ms: int) -> None:
    """Do what the compactor does every minute."""
    while compaction.compact_once().head_blocks:
        pass
    compaction.pack_windows(now_ms=now_ms)
    compaction.pack_days(now_ms=now_ms)
    rolling.roll_days(now_ms=now_ms)
