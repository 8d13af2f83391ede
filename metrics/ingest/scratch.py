"""A shelf for engine scripts in PostgreSQL: the real writer and the real store on tables of this session only.

Temporary tables take the names of the store's own, so nothing of the console is seen or touched, and they are gone with
the session. They are one connection's, so all of it happens on the caller's thread.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import numpy as np
from django.apps import apps
from django.db import connection

from metrics.domain import SeriesBatch
from metrics.ingest.limits import Gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import forget_series, write_series
from metrics.native_histograms.codec import encode
from metrics.promql.scripts.durations import BadScript
from metrics.promql.scripts.running import Loaded
from metrics.promql.scripts.series import Point
from metrics.store.postgres import PostgresStore
from metrics.store.protocol import SelectLimits

FOREVER_MS = 1 << 62
NOBODY = UUID(int=0)
SEQUENCE = "metrics_series_group"


class OpenGate(Gate):
    """Lets every series in: the bounds are settings of doors, and this is none."""

    def __init__(self) -> None:
        """Have no limit."""
        super().__init__()
        self.max_series = None

    def room_for_series(self, source_id: UUID, wanted: int, *, now: datetime) -> tuple[int, str]:  # noqa: ARG002
        """Return that all are let in."""
        return wanted, ""


class ScratchShelf:
    """Holds the samples of a script in the store."""

    def __init__(self, now: datetime) -> None:
        """Keep the moment series are said to be made at."""
        self._now = now
        self._gate = OpenGate()
        self._store = PostgresStore(SelectLimits(max_range_ms=FOREVER_MS))

    def clear(self) -> None:
        """Forget all samples and series."""
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(f'pg_temp.{table}' for table in _tables())}")
        forget_series()
        self._store.forget()

    def load(self, series: Sequence[Loaded]) -> None:
        """Write samples as a door does, whatever their age."""
        points = [point for one in series for point in one.points]
        histograms = np.empty(len(points), np.object_)
        histograms[:] = [None if point.histogram is None else encode(point.histogram) for point in points]
        batch = SeriesBatch(
            labels=[one.labels for one in series],
            sample_series=np.repeat(np.arange(len(series)), [len(one.points) for one in series]).astype(np.int64),
            timestamps_ms=np.array([at for one in series for at in one.timestamps_ms], np.int64),
            values=np.array([_value(one) for one in points], np.float64),
            histograms=None if all(one is None for one in histograms) else histograms,
            exemplars=[],
            metadata=[],
        )
        window = Window(-FOREVER_MS, FOREVER_MS)
        written = write_series(batch, source_id=NOBODY, gate=self._gate, window=window, now=self._now)
        if written.refused:
            raise BadScript(f"the store refused samples: {dict(written.refused)}")

    def source(self) -> PostgresStore:
        """Return what queries read from."""
        return self._store


def _value(point: Point) -> float:
    return point.number if point.histogram is None else point.histogram.count


def _tables() -> list[str]:
    return sorted({model._meta.db_table for model in apps.get_app_config("metrics").get_models()})


@contextmanager
def scratch_shelf(*, now: datetime) -> Iterator[ScratchShelf]:
    """Yield a shelf on tables that end with the block."""
    with connection.cursor() as cursor:
        for table in _tables():
            cursor.execute(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING ALL)")
        cursor.execute(f"CREATE TEMPORARY SEQUENCE {SEQUENCE}")
    forget_series()
    try:
        yield ScratchShelf(now)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE {', '.join(f'pg_temp.{table}' for table in _tables())}")
            cursor.execute(f"DROP SEQUENCE pg_temp.{SEQUENCE}")
        forget_series()
