"""A compactor killed with SIGKILL at any point of any step: nothing is lost, nothing is there twice."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pytest
from django.db import connection

from bench.compactor_deaths import POINTS
from metrics.models import GroupBlock, HeadBlock, RecentBlock, RollupBlock
from metrics.store import compaction, rolling
from metrics.store.columns import Samples
from metrics.store.postgres import PostgresStore
from tests.metrics.test_store import make_series, read

T0 = int(datetime(2026, 11, 21, 4, 0, tzinfo=UTC).timestamp() * 1000)
LATER = T0 + 3 * 86_400_000


def die_in(step: str, point: str) -> None:
    parts = urlsplit(os.environ["DATABASE_URL"])
    address = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    environment = {
        **os.environ,
        "DATABASE_URL": address,
        "ROLE": "compactor",
        "DJANGO_SETTINGS_MODULE": "aivillage_console.settings",
    }
    command = [sys.executable, "-m", "bench.compactor_deaths", step, point, str(LATER)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL


def counts() -> tuple[int, int, int, int]:
    head, recent, packed, rolled = (
        model.objects.count() for model in (HeadBlock, RecentBlock, GroupBlock, RollupBlock)
    )
    return head, recent, packed, rolled


def samples_kept() -> int:
    return sum(sum(model.objects.values_list("samples", flat=True)) for model in (HeadBlock, RecentBlock, GroupBlock))


def fill() -> list[tuple]:
    ids = make_series(*({"__name__": "m", "i": f"{i:03d}"} for i in range(230)))
    store = PostgresStore()
    for minute in range(4):
        times = T0 + np.repeat(np.arange(3), len(ids)) * 15_000 + minute * 3_000_000
        values = np.arange(times.size) * 1.5 + minute
        store.append(Samples(np.tile(np.array(ids), 3), times, values), durable=True)
    return read(PostgresStore(), low=T0, high=LATER)


@pytest.fixture
def _no_blocks(transactional_db: None) -> Iterator[None]:
    # The partitioned table is not Django's to empty after a test that commits.
    GroupBlock.objects.all().delete()
    yield
    GroupBlock.objects.all().delete()


STEPS = {
    "compact_once": compaction.compact_once,
    "pack_windows": lambda: compaction.pack_windows(now_ms=LATER),
    "pack_days": lambda: compaction.pack_days(now_ms=LATER),
    "roll_days": lambda: rolling.roll_days(now_ms=LATER),
}


@pytest.mark.usefixtures("_no_blocks")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_survives_its_death_at_every_point(step: str):
    rolling.forget_days()
    expected = fill()
    for earlier in list(STEPS)[: list(STEPS).index(step)]:
        STEPS[earlier]()
    before = counts()
    for point in POINTS[:-1]:
        die_in(step, point)
        assert counts() == before, point
        assert read(PostgresStore(), low=T0, high=LATER) == expected, point
    die_in(step, POINTS[-1])
    assert read(PostgresStore(), low=T0, high=LATER) == expected
    for further in list(STEPS)[list(STEPS).index(step) :]:
        STEPS[further]()
        assert read(PostgresStore(), low=T0, high=LATER) == expected
        assert samples_kept() == 4 * 3 * 230
    assert counts() == (0, 0, 2, 2)
