"""What another process registers is found by this one at its next question, without a restart."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django.test import Client

from aivillage_console.accounts.models import Source, User
from aivillage_console.lib import clock
from metrics.ingest.rows import MetricRow
from metrics.models import GroupBlock, Series
from metrics.services import samples_append

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = """
import sys
import django
django.setup()
from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from metrics.ingest.rows import MetricRow
from metrics.services import samples_append
for line in sys.stdin:
    rows = [MetricRow("heat", 1.0, "gauge", {"host": line.strip()})]
    print(samples_append(rows, source=Source.objects.get(), now=clock.now()), flush=True)
"""


@pytest.fixture
def other() -> Iterator[Any]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    environment = {
        **os.environ, "DATABASE_URL": urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}")),
        "ROLE": "web", "DJANGO_SETTINGS_MODULE": "aivillage_console.settings",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def register(host: str) -> None:
        process.stdin.write(f"{host}\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        assert process.stdout.readline() == "[]\n"  # type: ignore[union-attr]

    yield register
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()
    GroupBlock.objects.all().delete()


def test_series_of_two_processes_are_found_by_both_at_once(other: Any, source: Source, viewer: User, client: Client):
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")

    def hosts(path: str) -> list[str]:
        data = client.get(f"/api/v1/{path}").json()["data"]
        found = data if isinstance(data, list) else [one["metric"]["host"] for one in data["result"]]
        return sorted(found)

    known: list[str] = []
    for number in range(4):
        host = f"h{number}"
        if number % 2:
            assert (
                samples_append([MetricRow("heat", 1.0, "gauge", {"host": host})], source=source, now=clock.now()) == []
            )
        else:
            other(host)
        known.append(host)
        assert hosts("query?query=heat") == known
        assert hosts("label/host/values") == known
        assert hosts("label/host/values?start=1&end=9999999999") == known
    other("h1")
    assert Series.objects.count() == len(known)
