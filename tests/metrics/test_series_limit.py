"""The limit on the series of a source holds for all threads and processes together, and refuses the new ones only."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pytest
from django.db import connection, transaction

from aivillage_console.accounts.models import Source
from metrics.domain import NewSeries, SeriesBatch
from metrics.ingest.limits import Gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import SERIES_IDS, Written, write_series
from metrics.models import Metric, Series, SourceSeries
from metrics.store.series import series_create
from metrics.store.series_limit import places_take, series_active

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)
PATIENCE_SECONDS = 60


def batch(metric: str, first: int, count: int) -> SeriesBatch:
    labels = [{"__name__": metric, "i": f"{number:06d}"} for number in range(first, first + count)]
    times = np.full(count, int(NOW.timestamp() * 1000), np.int64)
    return SeriesBatch(labels, np.arange(count, dtype=np.int64), times, np.ones(count))


def send(source: Source, given: SeriesBatch, gate: Gate | None = None) -> Written:
    window = Window.at(NOW, backfill=False)
    return write_series(given, source_id=source.pk, gate=gate or Gate(), window=window, now=NOW)


@pytest.fixture
def limit(settings: Any) -> int:
    settings.CONFIG = replace(settings.CONFIG, ingest_series_per_source=100, ingest_new_series_per_second=1_000_000)
    return 100


def test_known_series_are_stored_and_the_first_new_ones_fill_what_is_left(source: Source, limit: int):
    assert (send(source, batch("a", 0, 80)).series_ids > 0).all()
    written = send(source, batch("a", 40, 100))
    assert (written.series_ids >= 0).tolist() == [True] * 60 + [False] * 40
    assert written.limited == "limit of 100 series a source"
    assert (Series.objects.count(), Metric.objects.get().series_count, SourceSeries.objects.get().series) == (
        100, 100, 100,
    )  # fmt: skip
    SERIES_IDS.forget()
    again = send(source, batch("a", 0, 101))
    assert ((again.series_ids >= 0).sum(), again.samples) == (100, 100)


def test_threads_that_register_at_once_do_not_exceed_it(source: Source, limit: int):
    assert (send(source, batch("old", 0, 30)).series_ids > 0).all()
    barrier = threading.Barrier(6)
    found: list[Written] = []

    def register(number: int) -> None:
        # As many processes have it: a gate each, and all have looked before any has registered.
        gate = Gate()
        assert gate.room_for_series(source.pk, 50, now=NOW)[0] == 50
        barrier.wait(PATIENCE_SECONDS)
        found.append(send(source, batch(f"m{number}", 0, 50), gate))
        connection.close()

    threads = [threading.Thread(target=register, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    kept = [int((one.series_ids >= 0).sum()) for one in found]
    assert (len(found), sum(kept), Series.objects.count()) == (6, 70, limit)
    assert all(one.limited for one, stored in zip(found, kept, strict=True) if stored < 50)
    assert Series.objects.filter(metric__name="old").count() == 30
    counts = dict(Metric.objects.values_list("name", "series_count"))
    assert all(Series.objects.filter(metric__name=name).count() == count for name, count in counts.items())


REGISTER = """
import sys
import django
django.setup()
from uuid import UUID
from aivillage_console.accounts.models import Source
from tests.metrics.test_series_limit import batch, send
print("ready", flush=True)
sys.stdin.readline()
source = Source.objects.get()
sent = [send(source, batch(f"p{sys.argv[1]}", first, 10)) for first in range(0, 200, 10)]
print(sum(int((one.series_ids >= 0).sum()) for one in sent))
"""


def test_two_processes_do_not_exceed_it(source: Source, limit: int):
    assert (send(source, batch("old", 0, 30)).series_ids > 0).all()
    parts = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        **os.environ, "DATABASE_URL": urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}")),
        "ROLE": "web", "DJANGO_SETTINGS_MODULE": "aivillage_console.settings",
        "INGEST_SERIES_PER_SOURCE": str(limit), "INGEST_NEW_SERIES_PER_SECOND": "1000000",
    }  # fmt: skip
    senders = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, str(number)], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for number in range(2)
    ]  # fmt: skip
    for sender in senders:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "ready\n"
    for sender in senders:
        assert sender.stdin is not None
        sender.stdin.write("go\n")
        sender.stdin.flush()
    kept = [int(sender.communicate(timeout=PATIENCE_SECONDS)[0]) for sender in senders]
    assert (sum(kept), Series.objects.count(), SourceSeries.objects.get().series) == (70, limit, limit)
    assert Series.objects.filter(metric__name="old").count() == 30


def test_what_is_rolled_back_takes_no_place(source: Source, limit: int):
    send(source, batch("a", 0, 1))
    with transaction.atomic():
        send(source, batch("b", 0, 60))
        transaction.set_rollback(True)
    assert SourceSeries.objects.get().series == 1
    assert (send(source, batch("c", 0, 99)).series_ids >= 0).all()


def test_series_nothing_came_for_in_a_day_make_room_at_the_next_count(source: Source, limit: int):
    send(source, batch("a", 0, 100))
    Series.objects.update(last_seen_at=NOW - timedelta(hours=26))
    assert series_active(source.pk, now=NOW) == 100
    later = NOW + timedelta(seconds=61)
    assert series_active(source.pk, now=later) == 0
    with transaction.atomic():
        assert places_take(source.pk, 150, most=limit, now=later) == 100


def test_without_a_limit_nobody_counts(source: Source):
    made = series_create(dict([NewSeries.of({"__name__": "a"})]), source_id=source.pk, now=NOW)
    assert (len(made), SourceSeries.objects.count()) == (1, 0)
