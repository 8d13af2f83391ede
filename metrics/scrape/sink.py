"""From scrapes to the store: series get their ids and samples are appended in batches, both off the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
import numpy.typing as npt
import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from aivillage_console.lib import clock
from metrics.domain import Metadata, NewExemplar, SeriesBatch
from metrics.ingest.exemplars import exemplars_write
from metrics.ingest.limits import Gate
from metrics.ingest.metadata import metadata_store
from metrics.ingest.windows import Window
from metrics.ingest.writer import store_samples, write_series
from metrics.store.columns import Samples, concatenate
from metrics.wire.exposition.forms import NO_TIMESTAMP

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
log = structlog.get_logger(__name__)
FLUSH_SECONDS = 1.0
THREADS = 2
# Beyond this many samples waiting (the database being away) the oldest are given up.
MAX_WAITING = 3_000_000
MAX_FAMILIES = 50_000


class Sink:
    """What the scrapes of this process bring, on its way to the store."""

    def __init__(self) -> None:
        """Start empty; threads begin with the first call."""
        self._gate: Gate | None = None
        # One writes what is known while the other makes ids for what is new.
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="scrape-sink")
        self._waiting: list[Samples] = []
        self._count = 0
        self._exemplars: list[tuple[NewExemplar, int]] = []
        self._families: dict[str, Metadata] = {}
        self._news: dict[str, Metadata] = {}
        self.lost = 0

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run something that asks the database, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _clean, work, arguments)

    def add(self, samples: Samples) -> None:
        """Take samples of known series."""
        self._waiting.append(samples)
        self._count += samples.values.size
        self._shorten()

    def add_exemplar(self, exemplar: NewExemplar, series_id: int, at_ms: int) -> None:
        """Take an exemplar of a known series; one without a time gets that of its scrape."""
        if exemplar.timestamp_ms == NO_TIMESTAMP:
            exemplar = replace(exemplar, timestamp_ms=at_ms)
        if len(self._exemplars) < MAX_WAITING // 100:
            self._exemplars.append((exemplar, series_id))

    async def ids_for(self, labels: list[dict[str, str]], source_id: UUID) -> tuple[Ints, str]:
        """Return the ids of label sets, -1 for the refused ones, and the first reason why."""
        return await self.call(self._register, labels, source_id)

    def _register(self, labels: list[dict[str, str]], source_id: UUID) -> tuple[Ints, str]:
        if self._gate is None:
            self._gate = Gate()
        nothing = np.empty(0, np.int64)
        batch = SeriesBatch(labels, nothing, nothing, np.empty(0))
        now = clock.now()
        window = Window.at(now, backfill=False)
        written = write_series(batch, source_id=source_id, gate=self._gate, window=window, now=now)
        return written.series_ids, next(iter(written.refused), "")

    def tell(self, entries: list[Metadata]) -> None:
        """Keep what targets declare about families, where it is news."""
        for entry in entries:
            if self._families.get(entry.family) != entry:
                self._news[entry.family] = entry

    async def flush(self) -> None:
        """Append what waits; where the database is away it waits on."""
        if not self._waiting and not self._exemplars and not self._news:
            return
        news, self._news = self._news, {}
        parts, self._waiting, self._count = self._waiting, [], 0
        exemplars, self._exemplars = self._exemplars, []
        try:
            await self.call(self._write, parts, exemplars, list(news.values()))
        except (DatabaseError, InterfaceError) as error:
            log.warning("scrape.not_stored", error=str(error)[:200], samples=sum(p.values.size for p in parts))
            self._news = {**news, **self._news}
            self._waiting = parts + self._waiting
            self._count = sum(part.values.size for part in self._waiting)
            self._shorten()
            return
        if len(self._families) > MAX_FAMILIES:
            self._families.clear()
        self._families.update(news)

    def _shorten(self) -> None:
        while self._count > MAX_WAITING and self._waiting:
            dropped = self._waiting.pop(0).values.size
            self._count -= dropped
            self.lost += dropped

    def _write(self, parts: list[Samples], exemplars: list[tuple[NewExemplar, int]], news: list[Metadata]) -> None:
        window = Window.at(clock.now(), backfill=False)
        if parts:
            store_samples(concatenate(parts), window)
        if exemplars:
            ids = np.array([series for _, series in exemplars], np.int64)
            rows = [replace(exemplar, series=place) for place, (exemplar, _) in enumerate(exemplars)]
            exemplars_write(rows, ids, window=window)
        if news:
            metadata_store(news)

    def close(self) -> None:
        """End the threads, and with them their connections, which only they may close."""
        together = threading.Barrier(THREADS)
        for _ in range(THREADS):
            self._threads.submit(_last, together)
        self._threads.shutdown(wait=True)


def _last(together: threading.Barrier) -> None:
    connections.close_all()
    # Who is done early would take the other one's turn as well.
    together.wait(timeout=30.0)


def _clean(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    close_old_connections()
    try:
        return work(*arguments)
    except (DatabaseError, InterfaceError):
        connections.close_all()
        raise
