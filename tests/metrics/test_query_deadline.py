"""A query that takes longer than it may ends as a timeout, and PostgreSQL no longer works for it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from aivillage_console.accounts.models import Source, User
from aivillage_console.lib import clock
from metrics.ingest.rows import MetricRow
from metrics.models import GroupBlock
from metrics.promql.types import QueryError
from metrics.services import partitions_prepare, samples_append
from metrics.store import deadline
from metrics.store.deadline import ending_within, reading
from metrics.store.postgres import STORE, snapshot

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 30


@pytest.fixture(autouse=True)
def _no_blocks() -> Iterator[None]:
    yield
    GroupBlock.objects.all().delete()


@contextmanager
def nobody_reads(table: str) -> Iterator[Any]:
    """Hold a table from another connection, so that whoever reads it waits."""
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield cursor
            cursor.execute("ROLLBACK")
    finally:
        holder.close()


def working(cursor: Any) -> int:
    """Return how many sessions of this database are at a statement, other than the asking one."""
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return int(cursor.fetchone()[0])


@pytest.fixture
def signed_in(source: Source, viewer: User) -> Client:
    now = clock.now()
    partitions_prepare(now=now)
    assert samples_append([MetricRow("heat", 1.0, "gauge")], source=source, now=now) == []
    client = Client()
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize("warm", [True, False], ids=["of known series", "when series must be looked up"])
@pytest.mark.parametrize("path", ["query?query=heat", "query_range?query=heat&start=0&end=60&step=15"])
def test_over_http_it_is_a_timeout_and_the_database_is_free(signed_in: Client, warm: bool, path: str):
    assert signed_in.get("/api/v1/query?query=heat").json()["data"]["result"]
    if not warm:
        source = Source.objects.get()
        assert samples_append([MetricRow("heat", 2.0, "gauge", {"n": "2"})], source=source, now=clock.now()) == []
    with nobody_reads("metrics_headblock") as other:
        answer = signed_in.get(f"/api/v1/{path}&timeout=0.3")
        free = working(other)
    told = answer.json()
    assert (answer.status_code, told["errorType"], free) == (503, "timeout", 0)
    assert "took too long" in told["error"]
    assert signed_in.get("/api/v1/query?query=heat").json()["data"]["result"], "the connection serves the next one"


def test_a_statement_of_its_own_timeout_is_the_same_error(signed_in: Client):
    with pytest.raises(QueryError) as refused, snapshot(200) as cursor:
        cursor.execute("SELECT pg_sleep(30)")
    assert refused.value.kind == "timeout"


def test_other_failures_stay_what_they_are():
    with pytest.raises(OperationalError, match="terminating"), reading(5_000) as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()


def test_the_first_reading_of_all_series_is_nobodys_time(source: Source):
    assert samples_append([MetricRow("heat", 1.0, "gauge")], source=source, now=clock.now()) == []
    STORE.forget()
    with ending_within(-1.0):
        STORE.refresh()
        with pytest.raises(QueryError, match="took too long"):
            STORE.refresh()
    assert len(STORE.catalogue) == 1


def test_readings_that_ended_in_time_are_left_alone():
    watch = deadline.Watch()
    connection.ensure_connection()
    begun = threading.active_count()
    for _ in range(3):
        with watch.over(connection.connection, time.monotonic() + 60) as one:
            assert connection.connection.execute("SELECT 1").fetchone() == (1,)
        assert not one.cancelled
    assert threading.active_count() == begun + 1


def test_many_at_once_each_end_by_their_own_time(source: Source):
    told: list[tuple[float, str]] = []

    def ask(seconds: float) -> None:
        try:
            with ending_within(seconds), reading(60_000) as cursor:
                cursor.execute("SELECT pg_sleep(%s)", [20 if seconds < 1 else 0.01])
            told.append((seconds, "answered"))
        except QueryError as error:
            told.append((seconds, error.kind))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(seconds,)) for seconds in (0.4, 30.0, 0.2, 20.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(told) == [(0.2, "timeout"), (0.4, "timeout"), (20.0, "answered"), (30.0, "answered")]
