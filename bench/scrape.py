"""The scraper at scale: 1,000 targets of 500 samples every 15 s, and what share of a core that takes.

The targets are one small server on loopback that answers every path with the next of eight pages, so that values change
and series stay. Prometheus scrapes the same targets by the same configuration where it is installed.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import uvloop

from aivillage_observability.processes import role_of
from bench.harness import TREE, Console, Report, free_port, report_from_arguments, running_console
from bench.idle import cpu_seconds, pss_mb

SAMPLES = 500
PAGES = 8
INTERVAL_SECONDS = 15
TARGETS = {True: 200, False: 1_000}
SETTLE_SECONDS = {True: 35.0, False: 75.0}
WATCH_SECONDS = {True: 30.0, False: 90.0}


def page(turn: int) -> bytes:
    """Return one page: counters, gauges and a histogram, as a Go service shows them."""
    lines = ["# HELP http_requests_total Requests.", "# TYPE http_requests_total counter"]
    lines += [
        f'http_requests_total{{code="{code}",method="{method}",path="/api/v1/{path}"}} {turn * 37 + path}'
        for path in range(50) for code in (200, 404) for method in ("GET", "POST")
    ]  # fmt: skip
    lines += ["# TYPE latency_seconds histogram"]
    lines += [f'latency_seconds_bucket{{path="/{path}",le="{bound}"}} {turn * 11 + bound}'
              for path in range(20) for bound in range(10)]  # fmt: skip
    lines += ["# TYPE temperature_celsius gauge"]
    lines += [f'temperature_celsius{{sensor="s{sensor}"}} {20 + sensor / 7 + turn / 3!r}' for sensor in range(100)]
    return ("\n".join(lines) + "\n").encode()


def serve(ready: Connection) -> None:
    """Answer every request on one loopback port with the next page, over kept connections."""
    answers = []
    for turn in range(PAGES):
        body = page(turn)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n\r\n"
        answers.append(head.encode() + body)
    asked = [0]

    class Target(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.left = transport, b""

        def data_received(self, data: bytes) -> None:
            *whole, self.left = (self.left + data).split(b"\r\n\r\n")
            for _ in whole:
                asked[0] += 1
                self.transport.write(answers[asked[0] // 1000 % PAGES])  # type: ignore[attr-defined]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Target, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


@contextlib.contextmanager
def targets(count: int) -> Iterator[str]:
    """Start the targets and yield a configuration that names them."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    port = ours.recv()
    groups = [{"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/t/{n}", "instance": f"t{n}"}}
              for n in range(count)]  # fmt: skip
    interval = f"{INTERVAL_SECONDS}s"
    try:
        yield json.dumps({
            "global": {"scrape_interval": interval, "scrape_timeout": "10s"},
            "scrape_configs": [{"job_name": "bench", "static_configs": groups}],
        })  # fmt: skip
    finally:
        process.terminate()
        process.join()


def _manage(console: Console, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *words], cwd=TREE, env={**os.environ, "STATE_DIR": str(console.root)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout


# Tried again, because a process that asks for the first time reads half a million series beside a busy scraper.
ASK = """
import time
from metrics import selectors
from metrics.promql.types import QueryError
def ask(query):
    for _ in range(8):
        try:
            return float(selectors.instant_query(query, at_ms=int(time.time() * 1000)).values.sum())
        except QueryError as error:
            print(error)
    return float("nan")
print("ANSWER", ask("count(up == 1)"), ask("sum(scrape_samples_scraped)"),
      ask("quantile(0.99, scrape_duration_seconds)"), ask("sum(count_over_time(up[1m]))"))
"""


def _roles(console: Console) -> dict[str, list[psutil.Process]]:
    found: dict[str, list[psutil.Process]] = {}
    for process in console.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.setdefault(role_of(process), []).append(process)
    return found


def of_console(report: Report, configuration: str) -> float:
    """Measure the console; return the share of a core its scraper takes."""
    limits = {"INGEST_SERIES_PER_SOURCE": "5000000", "INGEST_NEW_SERIES_PER_SECOND": "200000"}
    with running_console(limits) as console, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prometheus.yml").write_text(configuration)
        _manage(console, "scrape_config", "import", f"{folder}/prometheus.yml")
        time.sleep(SETTLE_SECONDS[report.quick])
        roles = _roles(console)
        before, begun = {role: cpu_seconds(found) for role, found in roles.items()}, time.monotonic()
        time.sleep(WATCH_SECONDS[report.quick])
        took = time.monotonic() - begun
        shares = {role: 100 * (cpu_seconds(found) - before[role]) / took for role, found in roles.items()}
        for role in ("scraper", "postgres", "compactor"):
            report.figure(f"CPU of {role}", shares.get(role, 0.0), "% of one core")
        report.figure("CPU of the whole console", sum(shares.values()), "% of one core")
        up, samples, slow, scrapes = (
            float(word) for word in _manage(console, "shell", "-c", ASK).split("ANSWER")[1].split()
        )
        report.figure("targets up", up)
        report.figure("samples of one round", samples)
        report.figure("scrapes within a minute", scrapes)
        report.figure("99th of a hundred scrapes took", slow * 1000, "ms")
        report.figure("memory of the scraper", sum(map(pss_mb, roles["scraper"])), "MB PSS")
        return shares["scraper"]


def of_prometheus(report: Report, configuration: str) -> None:
    """Measure Prometheus on the same targets."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prometheus.yml").write_text(configuration)
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{free_port()}", "--log.level=error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            time.sleep(SETTLE_SECONDS[report.quick])
            watched = [psutil.Process(process.pid)]
            before, begun = cpu_seconds(watched), time.monotonic()
            time.sleep(WATCH_SECONDS[report.quick])
            percent = 100 * (cpu_seconds(watched) - before) / (time.monotonic() - begun)
            report.figure("CPU of Prometheus, storing included", percent, "% of one core")
            report.figure("memory of Prometheus", pss_mb(watched[0]), "MB PSS")
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    """Run the benchmark."""
    report = report_from_arguments("scrape", "1,000 targets of 500 samples every 15 s.")
    count = TARGETS[report.quick]
    report.note(f"{count} targets of {SAMPLES} samples every {INTERVAL_SECONDS} s, each over a connection of its own")
    with targets(count) as configuration:
        of_console(report, configuration)
        if shutil.which("prometheus"):
            of_prometheus(report, configuration)
        else:
            report.note("Prometheus is not installed here")
    report.finish()


if __name__ == "__main__":
    main()
