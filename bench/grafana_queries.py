"""Every query of public dashboards and rules over a real node exporter: the console's answers beside Prometheus'.

Prometheus scrapes the exporter (and itself) every second and sends what it scraped to the console by remote write, so
both hold the same samples at the same times. The console must answer every query; where Prometheus can, the values are
compared. Steps lie off the scrapes, so that closed and left-open windows hold the same samples.
"""

import contextlib
import math
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.conformance import corpora_dir
from bench.dashboards import Question, kube_prometheus, node_exporter_full, variables_of
from bench.harness import Console, Report, free_port, report_from_arguments, running_console
from bench.roles import environment, furnish

SCRAPE_SECONDS = 60
START_SECONDS = 30
TOLERANCE = 1e-9
STEP_SECONDS = 5
CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: node-exporter
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{own}"]}}]
remote_write:
  - url: {console}/api/v1/write
    authorization: {{credentials: {token}}}
    queue_config: {{batch_send_deadline: 500ms}}
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question on both sides."""

    question: Question
    ours: httpx.Response
    theirs: httpx.Response

    @property
    def result(self) -> list[dict[str, Any]]:
        """Return the console's series."""
        return list(self.ours.json()["data"]["result"]) if self.ours.is_success else []


@contextlib.contextmanager
def _started(command: list[str], ready_url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(ready_url, timeout=2).is_success:
                    break
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def scraping(console: Console, token: str) -> Iterator[tuple[str, str]]:
    """Run an exporter and a Prometheus that scrapes it and forwards; yields its address and the exporter's instance."""
    exporter, own = free_port(), free_port()
    root = Path(tempfile.mkdtemp(prefix="aivillage-grafana-"))
    config = CONFIG.format(exporter=exporter, own=own, console=console.url, token=token)
    (root / "prometheus.yml").write_text(config)
    node = ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{exporter}"]
    store = [
        "prometheus", f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/data",
        f"--web.listen-address=127.0.0.1:{own}", "--log.level=error",
    ]  # fmt: skip
    try:
        with (
            _started(node, f"http://127.0.0.1:{exporter}/metrics"),
            _started(store, f"http://127.0.0.1:{own}/-/ready"),
        ):
            yield f"http://127.0.0.1:{own}", f"127.0.0.1:{exporter}"
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _ask(client: httpx.Client, base: str, question: Question, end: float) -> httpx.Response:
    if question.instant:
        form = {"query": question.query, "time": f"{end:.3f}"}
        return client.post(f"{base}/api/v1/query", data=form)
    form = {"query": question.query, "start": f"{end - 30:.3f}", "end": f"{end:.3f}", "step": str(STEP_SECONDS)}
    return client.post(f"{base}/api/v1/query_range", data=form)


def _points(response: httpx.Response) -> dict[tuple[Any, ...], list[tuple[float, float]]]:
    data = response.json()["data"]
    if data["resultType"] == "scalar":
        return {(): [(data["result"][0], float(data["result"][1]))]}
    found = {}
    for row in data["result"]:
        pairs = row["values"] if "values" in row else [row["value"]]
        found[tuple(sorted(row["metric"].items()))] = [(float(at), float(text)) for at, text in pairs]
    return found


def _alike(ours: httpx.Response, theirs: httpx.Response) -> bool:
    left, right = _points(ours), _points(theirs)
    if left.keys() != right.keys():
        return False
    return all(
        len(left[key]) == len(right[key]) and all(_same(a, b) for a, b in zip(left[key], right[key], strict=True))
        for key in left
    )


def _same(left: tuple[float, float], right: tuple[float, float]) -> bool:
    if math.isnan(left[1]) or math.isnan(right[1]):
        return math.isnan(left[1]) and math.isnan(right[1])
    return left[0] == right[0] and math.isclose(left[1], right[1], rel_tol=TOLERANCE, abs_tol=1e-12)


def _settled(prometheus: str, console: Console, headers: dict[str, str], end: float) -> None:
    """Wait until the console has what Prometheus scraped up to `end`."""
    until = time.monotonic() + START_SECONDS
    form = {"query": 'sum(timestamp(up)) + count({job!=""})', "time": f"{end:.3f}"}
    while time.monotonic() < until:
        theirs = httpx.post(f"{prometheus}/api/v1/query", data=form).json()["data"]["result"]
        ours = httpx.post(f"{console.url}/api/v1/query", data=form, headers=headers).json()["data"]["result"]
        if theirs and ours and theirs[0]["value"][1] == ours[0]["value"][1]:
            return
        time.sleep(0.5)


def measure(console: Console, report: Report) -> None:
    """Ask every question on both sides and print the counts."""
    made = furnish(environment(console), {"scopes": ["ingest:metrics"], "query": True})
    write, headers = made["token"], made["query_headers"]
    corpora = corpora_dir()
    if corpora is None:
        raise SystemExit("the dashboards are not there: set CORPORA_DIR")
    with scraping(console, write) as (prometheus, instance):
        time.sleep(20 if report.quick else SCRAPE_SECONDS)
        # Off the whole and half seconds at which scrapes tend to happen.
        end = math.floor(time.time()) - 5 + 0.357
        _settled(prometheus, console, headers, end)
        variables = variables_of(instance, "node-exporter", socket.gethostname())
        sets = {
            "node-exporter-full": node_exporter_full(corpora, variables),
            "kube-prometheus": kube_prometheus(corpora, variables),
        }
        with (
            httpx.Client(timeout=60) as theirs,
            httpx.Client(timeout=60, headers=headers) as ours,
        ):
            for name, questions in sets.items():
                asked = [
                    Asked(question, _ask(ours, console.url, question, end), _ask(theirs, prometheus, question, end))
                    for question in questions
                ]
                _print(report, name, asked)


def _print(report: Report, name: str, asked: list[Asked]) -> None:
    succeeded = [one for one in asked if one.ours.is_success and one.ours.json()["status"] == "success"]
    compared = [one for one in succeeded if one.theirs.is_success]
    counts = Counter(
        succeeded=len(succeeded),
        data=sum(bool(one.result) for one in succeeded),
        compared=len(compared),
        equal=sum(_alike(one.ours, one.theirs) for one in compared),
    )
    report.note(f"{name}: succeeded {counts['succeeded']} of {len(asked)}; {counts['data']} returned data")
    report.figure(f"{name}: succeeded", counts["succeeded"], f"of {len(asked)}")
    report.figure(f"{name}: with data", counts["data"], f"of {len(asked)}")
    report.figure(f"{name}: as Prometheus answers", counts["equal"], f"of {counts['compared']} it can answer")
    for one in asked:
        if not one.ours.is_success:
            report.note(f"refused ({one.question.origin}): {one.question.query[:100]}: {one.ours.text[:160]}")
    for one in [one for one in compared if not _alike(one.ours, one.theirs)][:10]:
        report.note(f"other ({one.question.origin}): {one.question.query[:160]}")


def main() -> None:
    """Run the check on a console of its own."""
    report = report_from_arguments("grafana_queries", __doc__ or "")
    for program in ("prometheus", "prometheus-node-exporter"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    with running_console() as console:
        report.note(f"console on port {urlsplit(console.url).port}, scrapes every second")
        measure(console, report)
    report.finish()


if __name__ == "__main__":
    main()
