"""Real senders: Prometheus and VictoriaMetrics' vmagent scrape a real node_exporter and write to a real console."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from bench import roles
from bench.harness import Console, free_port, running_console

SENDERS = ("prometheus", "vmagent", "prometheus-node-exporter")
PATIENCE_SECONDS = 90
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, SENDERS)), reason="prometheus, vmagent and node_exporter are not all installed"
)


@contextmanager
def started(root: Path, *command: str) -> Iterator[None]:
    with (root / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=root)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def scrape_config(sender: str, exporter: int) -> str:
    labels = f"static_configs: [{{targets: ['127.0.0.1:{exporter}'], labels: {{sender: {sender}}}}}]"
    return f"scrape_configs: [{{job_name: node, scrape_interval: 1s, {labels}}}]\n"


def start_senders(stack: ExitStack, root: Path, url: str, token: str) -> None:
    exporter = free_port()
    node = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{exporter}"]
    stack.enter_context(started(root, *node))
    write = f"remote_write: [{{url: '{url}/api/v1/write', authorization: {{credentials: {token}}}}}]\n"
    (root / "prometheus.yml").write_text(scrape_config("prometheus", exporter) + write)
    (root / "vmagent.yml").write_text(scrape_config("vmagent", exporter))
    stack.enter_context(
        started(
            root, "prometheus", f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/data",
            f"--web.listen-address=127.0.0.1:{free_port()}",
        )
    )  # fmt: skip
    stack.enter_context(
        started(
            root, "vmagent", f"-promscrape.config={root}/vmagent.yml", f"-remoteWrite.tmpDataPath={root}/queue",
            f"-remoteWrite.url={url}/api/v1/write", f"-remoteWrite.bearerToken={token}",
            f"-httpListenAddr=127.0.0.1:{free_port()}",
        )
    )  # fmt: skip


def answered(console: Console, cookies: dict[str, str], query: str) -> dict[str, float]:
    """Return the value of each sender."""
    answer = httpx.get(f"{console.url}/api/v1/query", params={"query": query}, cookies=cookies, timeout=30).json()
    return {one["metric"]["sender"]: float(one["value"][1]) for one in answer["data"]["result"]}


def test_what_prometheus_and_vmagent_scrape_is_read_back_from_the_console(tmp_path: Path):
    with running_console() as console, ExitStack() as stack:
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics"], "session": True})
        start_senders(stack, tmp_path, console.url, made["token"])
        end = time.monotonic() + PATIENCE_SECONDS
        both = {"prometheus": 1.0, "vmagent": 1.0}
        while (
            answered(console, made["cookies"], 'min by (sender) (count_over_time(up{job="node"}[5m]) > bool 3)') != both
        ):
            assert time.monotonic() < end, [path.read_text()[-1000:] for path in tmp_path.glob("*.log")]
            time.sleep(1)
        cookies = made["cookies"]
        assert answered(console, cookies, 'min by (sender) (up{job="node"})') == both
        series = answered(console, cookies, 'count by (sender) ({__name__=~"node_.+"})')
        assert series["prometheus"] == series["vmagent"] > 100
        memory = answered(console, cookies, "max by (sender) (node_memory_MemTotal_bytes)")
        assert memory["prometheus"] == memory["vmagent"] > 1e8
