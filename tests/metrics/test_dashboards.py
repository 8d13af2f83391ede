"""Public dashboards over a real node exporter, and a real Prometheus that reads the console's samples."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.live_server_helper import LiveServer

from bench.dashboards import Question, kube_prometheus, node_exporter_full, put_in, variables_of
from bench.harness import free_port
from tests.metrics.senders import push, snappy, write_request

INSTANCE = "127.0.0.1:9100"
VARIABLES = variables_of(INSTANCE, "node-exporter", socket.gethostname())


@contextlib.contextmanager
def started(program: str, port: int, path: str, *arguments: str) -> Iterator[str]:
    """Run a program of the distribution on loopback; the test is skipped where there is none."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    command = [program, f"--web.listen-address=127.0.0.1:{port}", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).is_success:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def pages(url: str) -> list[tuple[dict[str, str], float]]:
    """Return the series of an exporter's page as a scrape names them."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=10).text)
    target = {"job": "node-exporter", "instance": INSTANCE}
    return [
        ({"__name__": sample.name, **sample.labels, **target}, sample.value)
        for family in families
        for sample in family.samples
    ]


@pytest.mark.django_db
def test_every_query_of_the_dashboards_and_rules_succeeds(
    client: Client, token: str, issue: Callable[..., str], now_ms: int, corpora_dir: Path
):
    with started("prometheus-node-exporter", free_port(), "/metrics") as exporter:
        for age_ms in (2_000, 1_000, 0):
            message = write_request(*((labels, [(now_ms - age_ms, value)]) for labels, value in pages(exporter)))
            assert push(client, token, snappy(message)).status_code == 204
    headers = {"Authorization": f"Bearer {issue('query', kind='service', of=None)}"}
    failed, with_data = [], 0
    questions = [*node_exporter_full(corpora_dir, VARIABLES), *kube_prometheus(corpora_dir, VARIABLES)]
    for question in questions:
        answer = client.post(f"/api/v1/{path_of(question)}", form_of(question, now_ms // 1000), headers=headers)
        if answer.status_code != 200 or answer.json()["status"] != "success":
            failed.append((question.query, answer.content))
        else:
            with_data += bool(answer.json()["data"]["result"])
    assert failed == []
    assert len(questions) > 1_000
    assert with_data > 150


def path_of(question: Question) -> str:
    return "query" if question.instant else "query_range"


def form_of(question: Question, now: int) -> dict[str, str]:
    if question.instant:
        return {"query": question.query, "time": str(now)}
    return {"query": question.query, "start": str(now - 30), "end": str(now), "step": "5"}


def test_variables_are_put_in_however_they_are_written():
    assert put_in('a{b="$b",c=~"${c:regex}"}[$__range] [[d]] $none', {"b": "1", "c": "2", "__range": "5m"}) == (
        'a{b="1",c=~"2"}[5m]  '
    )


@pytest.mark.django_db(transaction=True)
def test_a_prometheus_answers_from_what_it_reads_here(
    live_server: LiveServer, client: Client, token: str, issue: Callable[..., str], now_ms: int, tmp_path: Path
):
    samples = [(now_ms - 120_000 + step * 15_000, float(step)) for step in range(9)]
    message = write_request(
        *(
            ({"__name__": "kept_here", "x": str(place)}, [(at, value * place) for at, value in samples])
            for place in (1, 2)
        )
    )
    assert push(client, token, snappy(message)).status_code == 204
    reader = issue("query", kind="service", of=None)
    config = (
        "remote_read:\n"
        f"  - url: {live_server.url}/api/v1/read\n"
        "    read_recent: true\n"
        f"    authorization: {{credentials: {reader}}}\n"
    )
    (tmp_path / "prometheus.yml").write_text(config)
    arguments = (
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        "--log.level=error",
    )
    with started("prometheus", free_port(), "/-/ready", *arguments) as prometheus:
        asked = {"query": "rate(kept_here[1m]) * 60", "time": str((now_ms - 1) / 1000)}
        body = httpx.get(f"{prometheus}/api/v1/query", params=asked, timeout=30).json()
    assert body["status"] == "success", body
    found = {row["metric"]["x"]: float(row["value"][1]) for row in body["data"]["result"]}
    assert found == pytest.approx({"1": 4.0, "2": 8.0})
