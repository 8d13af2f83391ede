"""The store in another engine, against the real one: what comes in is answered as PostgreSQL answers."""

import dataclasses
import math
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.test import Client

from bench.harness import free_port
from metrics.models import HeadBlock
from metrics.promql.types import STALE_NAN
from tests.metrics.senders import push, snappy, write_request

pytestmark = pytest.mark.skipif(shutil.which("victoria-metrics") is None, reason="victoria-metrics is not installed")
QUESTIONS = ("m", "sum by (x) (m)", "rate(c[1m])", "count_over_time(m[5m])", "gone", '{__name__=~"m|c"}', "m{x!~'b.*'}")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root, port = tmp_path_factory.mktemp("victoria"), free_port()
    command = ["victoria-metrics", f"-storageDataPath={root}/data", f"-httpListenAddr=127.0.0.1:{port}"]
    with Path(root / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-search.latencyOffset=0s"], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(30)


def choose(settings: Any, url: str) -> None:
    settings.CONFIG = dataclasses.replace(
        django_settings.CONFIG, metrics_store_url=url, outbound_allowed=["127.0.0.1/32:*"]
    )


@pytest.fixture
def asked(client: Client, issue: Callable[..., str]) -> Callable[..., Any]:
    bearer = {"Authorization": f"Bearer {issue('query', kind='service', of=None)}"}

    def answer(path: str, **parameters: Any) -> Any:
        found = client.get(f"/api/v1/{path}", parameters, headers=bearer).json()
        assert found["status"] == "success", found
        return found["data"]

    return answer


@pytest.mark.django_db
def test_the_engine_answers_as_postgresql_does(
    engine: str, settings: Any, client: Client, token: str, now_ms: int, asked: Callable[..., Any]
):
    times = [now_ms - 60_000 + 15_000 * number for number in range(4)]
    message = write_request(
        *[({"__name__": "m", "x": x}, [(at, 1.25 * place) for place, at in enumerate(times)]) for x in ("a", "b")],
        ({"__name__": "c", "x": 'q"\\'}, [(at, 3.0 * place) for place, at in enumerate(times)]),
        ({"__name__": "gone"}, [(times[0], 1.0), (times[1], STALE_NAN)]),
        ({"__name__": "far"}, [(times[0], math.inf), (times[1], -math.inf)]),
    )

    def answers() -> list[Any]:
        assert push(client, token, snappy(message)).status_code == 204
        if django_settings.CONFIG.metrics_store_url:
            httpx.get(f"{engine}/internal/force_flush").raise_for_status()
        queries = [asked("query", query=query, time=now_ms / 1000)["result"] for query in (*QUESTIONS, "far[5m]")]
        lists = [asked("labels"), asked("label/x/values"), asked("series", **{"match[]": "m"})]
        return [sorted(found, key=str) for found in (*queries, *lists)]

    here = answers()
    blocks = HeadBlock.objects.count()
    choose(settings, engine)
    assert answers() == here
    assert HeadBlock.objects.count() == blocks


@pytest.mark.django_db
def test_an_engine_that_is_away_is_answered_like_a_database_that_is(
    settings: Any, client: Client, token: str, now_ms: int
):
    choose(settings, "http://127.0.0.1:1")
    answer = push(client, token, snappy(write_request(({"__name__": "m"}, [(now_ms, 1.0)]))))
    assert answer.status_code == 503
