"""Real receivers: a console sends to a Prometheus and a VictoriaMetrics; its sender is killed, a receiver is away."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from bench import roles
from bench.harness import Console, free_port, running_console
from tests.metrics.senders import snappy, write_request

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("prometheus", "victoria-metrics"))),
    reason="prometheus and victoria-metrics are not both installed",
)
PATIENCE_SECONDS = 120
BATCHES, SERIES = 12, 400


@contextmanager
def started(root: Path, *command: str) -> Iterator[None]:
    with (root / f"{command[0]}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=root)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def prometheus(root: Path, port: int) -> tuple[str, ...]:
    (root / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    return ("prometheus", f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/p",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver")  # fmt: skip


def victoria(root: Path, port: int) -> tuple[str, ...]:
    return ("victoria-metrics", f"-storageDataPath={root}/v", f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s", "-search.disableCache")  # fmt: skip


def until(asked: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not asked():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def count(port: int, query: str) -> float:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=10).json()
    except httpx.TransportError:
        return -1.0
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def push(console: Console, token: str, number: int) -> None:
    at = int(time.time() * 1000)
    body = snappy(write_request(*[({"__name__": "m", "i": str(i)}, [(at, float(number))]) for i in range(SERIES)]))
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
    }
    httpx.post(f"{console.url}/api/v1/write", content=body, headers=headers, timeout=30).raise_for_status()
    time.sleep(0.05)


MAKE = """
import json, sys
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from metrics.models import RemoteTarget
from metrics.remote_out.targets import target_save
for name, url in json.loads(sys.stdin.read()).items():
    queue = {"max_samples_per_send": 500, "max_backoff": "1s"}
    row = RemoteTarget(name=name, config={"url": url, "queue_config": queue})
    target_save(row, actor=Actor.system("test"), now=clock.now())
"""


def test_nothing_is_lost_when_the_sender_is_killed_and_a_receiver_is_away(tmp_path: Path):
    ports = {"prometheus": free_port(), "victoria": free_port()}
    total = f"sum(count_over_time(m[1h])) == {BATCHES * SERIES}"
    with running_console({"OUTBOUND_ALLOWED": "127.0.0.1/32:*"}) as console, ExitStack() as stack:
        env = roles.environment(console)
        token = roles.furnish(env, {"scopes": ["ingest:metrics"]})["token"]
        urls = {name: f"http://127.0.0.1:{port}/api/v1/write" for name, port in ports.items()}
        made = subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", MAKE], env={**env, "ROLE": "test"}, input=json.dumps(urls),
            text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        stack.enter_context(started(tmp_path, *prometheus(tmp_path, ports["prometheus"])))
        for number in range(BATCHES):
            push(console, token, number)
            if number in (3, 7):
                # In the middle of sending to one, and of trying the other, which is away.
                assert roles.kill(roles.by_role(console)["compactor"])
        until(lambda: count(ports["prometheus"], total) == BATCHES * SERIES, "prometheus has not everything")
        stack.enter_context(started(tmp_path, *victoria(tmp_path, ports["victoria"])))
        until(lambda: count(ports["victoria"], total) == BATCHES * SERIES, "victoria-metrics has not everything")
