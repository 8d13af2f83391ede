"""Metrics in, on disk and out again: remote write over HTTP, first touch of series, bytes a sample, query latency.

The sender runs on the same processors as what it measures, so samples a second of wall time are a lower bound. Samples
a second and core divide by the processor time of the console's whole tree of processes, from the supervisor to
PostgreSQL (for a peer: of its process), until what came is packed, and leave the sender out. Background work counts
while samples come in; while the console only waits for its minute to pack them, its idle load is taken off. Requests
are built before the clock starts. Peers start on empty files and are sent the same bytes, and get the same seconds to
settle. Durability is the console's default: each answer waits for the disk; neither peer waits for it.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import numpy.typing as npt
import psutil
import psycopg

from bench import peers, roles
from bench.harness import Console, Report, report_from_arguments, running_console
from bench.remote_write import Labels, Target, bodies, send

CONNECTIONS = 2
STEP_MS = 15_000
SHAPE_STEPS = 960
# By whether the run is a quick one.
IDLE_SECONDS = {True: 8.0, False: 30.0}
# What holds samples once, and what holds them again or something of them.
COUNTED = ("metrics_headblock", "metrics_recentblock", "metrics_groupblock")
BESIDE = ("metrics_rollupblock", "metrics_exemplar", "metrics_unsentblock", "metrics_series", "metrics_metric")
SIZES = (500, 2_000, 10_000)
SETTLE_SECONDS = 120.0
PEER_SETTLE_SECONDS = 6.0
# The packer has come round when no more head blocks are left than those of its last pause.
FEW_HEADS = 50
LIMITS = {
    "INGEST_SAMPLES_PER_SECOND": "100000000",
    "INGEST_REQUESTS_PER_SECOND": "1000000",
    "INGEST_NEW_SERIES_PER_SECOND": "1000000",
    "INGEST_SERIES_PER_SOURCE": "2000000",
    "INGEST_PAST_SECONDS": "604800",
}
Floats = npt.NDArray[np.float64]


@dataclass
class Product:
    """What is measured: where to send, how much processor time it has used, how to ask it."""

    name: str
    target: Target
    cpu_seconds: Callable[[], float]
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    # Waits until the product has put away what it took.
    settle: Callable[[], None] = lambda: time.sleep(PEER_SETTLE_SECONDS)
    # What it uses of a core when nothing comes in.
    idle_share: float = 0.0

    def ask(self, client: httpx.Client, path: str, **parameters: object) -> httpx.Response:
        """Send a query; raises where it is refused."""
        url = f"http://127.0.0.1:{self.target.port}/api/v1/{path}"
        answer = client.get(url, params={**self.parameters, **parameters}, timeout=60)  # type: ignore[dict-item]
        answer.raise_for_status()
        return answer


def named(metric: str, count: int) -> list[Labels]:
    """Return series as an exporter names them."""
    return [
        {
            "__name__": metric, "handler": f"/api/v1/things/{number % 10}", "method": "GET", "job": "node",
            "instance": f"host-{number // 10:05d}.example.org:9100",
        }
        for number in range(count)
    ]  # fmt: skip


def counters(series: int, steps: int) -> Floats:
    """Return counters that rise at rates of their own."""
    random = np.random.default_rng(1)
    rises = random.integers(1, 400, (series, 1)) + random.integers(0, 20, (series, steps))
    return np.cumsum(rises, axis=1).astype(float)


def cpu_seconds(console: Console) -> float:
    """Return the processor time of web and PostgreSQL."""
    total, found = 0.0, roles.by_role(console)
    for process in [*found.get("web", []), *found.get("postgres", [])]:
        try:
            used = process.cpu_times()
        except psutil.Error:
            continue
        total += used.user + used.system
    return total


def tree_cpu_seconds(console: Console) -> float:
    """Return the processor time of the whole tree: supervisor, roles, PostgreSQL, Valkey."""
    total = 0.0
    for process in console.tree():
        with suppress(psutil.Error):
            used = process.cpu_times()
            total += used.user + used.system + used.children_user + used.children_system
    return total


def packed(address: str) -> None:
    """Return when the compactor has packed what the doors stored; raises where it does not keep up."""
    with psycopg.connect(address, autocommit=True) as connection:
        end = time.monotonic() + SETTLE_SECONDS
        while (connection.execute("SELECT count(*) FROM metrics_headblock").fetchone() or (0,)) > (FEW_HEADS,):
            if time.monotonic() > end:
                raise RuntimeError("the compactor does not keep up")
            time.sleep(0.5)


def idle_share(product: Product, seconds: float) -> float:
    """Return what the product uses of a core while nothing comes in."""
    before = product.cpu_seconds()
    time.sleep(seconds)
    return (product.cpu_seconds() - before) / seconds


def throughput(product: Product, requests: list[bytes], samples: int) -> tuple[float, float]:
    """Return million samples a second, and a second of processor time.

    While it settles, the idle load is taken off: the console packs once a minute, and idles till then.
    """
    before, begun = product.cpu_seconds(), time.perf_counter()
    send(product.target, requests, connections=CONNECTIONS)
    wall = time.perf_counter() - begun
    waited = time.perf_counter()
    product.settle()
    used = product.cpu_seconds() - before - product.idle_share * (time.perf_counter() - waited)
    return samples / wall / 1e6, samples / max(used, 0.01) / 1e6


def grid(steps: int) -> list[int]:
    """Return the times of scrapes that end now."""
    end = int(time.time() * 1000) // STEP_MS * STEP_MS
    return [end - (steps - 1 - step) * STEP_MS for step in range(steps)]


def measure(product: Product, *, quick: bool) -> dict[str, float]:
    """Return all figures that are comparable between products."""
    figures: dict[str, float] = {}
    product.idle_share = idle_share(product, IDLE_SECONDS[quick])
    # Oldest first and both metrics together: Prometheus takes nothing much older than the newest it has.
    asked = [*named("asked_1", 1_000), *named("asked_0", 100)]
    every = 8 if quick else 1
    times = grid(6 * 240)[::every]
    send(product.target, bodies(asked, counters(len(asked), len(times)), times, 1_000), connections=1)
    loaded_at = int(time.time())
    fresh = named("fresh_total", 2_000 if quick else 30_000)
    requests = bodies(fresh, counters(len(fresh), 1), grid(1), 1_000)
    rate, _ = throughput(product, requests, len(fresh))
    figures["first touch of a series (1/s)"] = rate * 1e6
    for series in (10_000,) if quick else (10_000, 100_000):
        for size in SIZES:
            figures |= pushed(product, series, size, steps=(500_000 if quick else 2_000_000) // series)
    for number, (series, hours) in enumerate(((100, 1), (1_000, 6))):
        label = f"sum by (rate) over HTTP, {series:,} series, {hours} h at 60 s (ms)"
        figures[label] = latency_ms(product, f"asked_{number}", loaded_at, hours, repeats=5 if quick else 15)
    return figures


def pushed(product: Product, series: int, size: int, *, steps: int) -> dict[str, float]:
    """Return what is taken of so many series in requests of this size, after two steps that make them known."""
    # An even number of requests a step, so that a series stays on its connection and in order.
    series = -(-series // (2 * size)) * 2 * size
    sent = named(f"pushed_{series}_{size}_total", series)
    times, columns = grid(steps + 2), counters(series, steps + 2)
    send(product.target, bodies(sent, columns[:, :2], times[:2], size), connections=1)
    product.settle()
    requests = bodies(sent, columns[:, 2:], times[2:], size)
    wall, core = throughput(product, requests, series * steps)
    label = f"remote write, {series:,} series, {size:,} a request"
    return {f"{label} (M samples/s)": wall, f"{label} (M samples/s/core)": core}


def latency_ms(product: Product, metric: str, end: int, hours: int, *, repeats: int) -> float:
    """Return the median of some runs after one that warms up."""
    asked = {
        "query": f"sum by (handler) (rate({metric}[5m]))", "start": end - hours * 3600, "end": end, "step": 60
    }  # fmt: skip
    taken = []
    with httpx.Client(headers=product.headers) as client:
        until = time.monotonic() + 20  # a peer shows fresh samples only after a while
        while not product.ask(client, "query_range", **asked).json()["data"]["result"]:
            if time.monotonic() > until:
                raise RuntimeError(f"{product.name} does not show what it was sent")
            time.sleep(0.5)
        for _ in range(repeats):
            begun = time.perf_counter()
            product.ask(client, "query_range", **asked)
            taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken)


def shapes(series: int, steps: int) -> dict[str, Floats]:
    """Return the four kinds of series whose size on disk is told."""
    random = np.random.default_rng(2)
    return {
        "counters": counters(series, steps),
        "gauges": np.repeat(random.integers(0, 100, (series, -(-steps // 12))), 12, axis=1)[:, :steps].astype(float),
        "2-decimal walk": np.round(np.cumsum(random.normal(0, 1, (series, steps)), axis=1) + 500, 2),
        "noisy floats": random.normal(100, 10, (series, steps)),
    }


def shapes_sent(target: Target) -> None:
    """Send the series whose size on disk is told."""
    for number, columns in enumerate(shapes(200, SHAPE_STEPS).values()):
        send(target, bodies(named(f"shape_{number}", 200), columns, grid(SHAPE_STEPS), 200), connections=1)


def disk(report: Report, console: Console, target: Target, peers_bytes: dict[str, int]) -> None:
    """Print bytes a sample after compaction: of the blocks of each shape, and of every table that holds samples."""
    shapes_sent(target)
    address = roles.environment(console)["DATABASE_URL"]
    packed(address)
    with psycopg.connect(address, autocommit=True) as connection:
        for number, label in enumerate(shapes(1, 1)):
            row = connection.execute(
                "SELECT sum(octet_length(data)), sum(b.samples), count(*) FROM"
                " (SELECT metric_id, samples, data FROM metrics_groupblock"
                " UNION ALL SELECT metric_id, samples, data FROM metrics_recentblock) b"
                " JOIN metrics_metric m ON m.id = b.metric_id WHERE m.name = %s",
                [f"shape_{number}"],
            ).fetchone()
            if row and row[1]:
                report.figure(
                    f"blocks after compaction, {label}", float(row[0] / row[1]), f"B/sample ({row[2]} blocks)"
                )
        samples, used = _held(connection)
    report.note(f"disk of {samples:,} samples: {used}")
    report.figure(
        "on disk, all tables with samples and their indexes (B/sample)", sum(used.values()) / samples,
        peers={name: held / samples for name, held in peers_bytes.items()},
    )  # fmt: skip


def _held(connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[int, dict[str, int]]:
    """Return the samples that are stored, and the bytes of each table (with its partitions) that holds any."""
    counted = " UNION ALL ".join(f"SELECT samples FROM {table}" for table in COUNTED)  # noqa: S608 - our own names
    row = connection.execute(f"SELECT sum(samples)::bigint FROM ({counted}) AS blocks").fetchone()  # noqa: S608
    used = {
        table: int(found[0])
        for table in (*COUNTED, *BESIDE)
        if (
            found := connection.execute(
                "SELECT pg_total_relation_size(t.oid) + coalesce((SELECT sum(pg_total_relation_size(inhrelid))"
                " FROM pg_inherits WHERE inhparent = t.oid), 0) FROM pg_class t WHERE t.oid = %s::regclass",
                [table],
            ).fetchone()
        )
    }
    return (int(row[0]) if row else 0), used


def directory_bytes(path: Path) -> int:
    """Return what the files below a directory take up."""
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


def of_peers(report: Report) -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Measure what is installed; returns figures, and the bytes of each data directory in the end."""
    found: dict[str, dict[str, float]] = {}
    held: dict[str, int] = {}
    for name in peers.installed():
        with peers.running(name) as peer:
            parameters = {"nocache": "1"} if peer.nocache else {}
            product = Product(name, Target(peer.port), peer.cpu_seconds, parameters)
            title = f"{name} {peers.version(name)}"
            found[title] = measure(product, quick=report.quick)
            shapes_sent(product.target)
            product.settle()
            held[title] = directory_bytes(peer.data)
    if not found:
        report.note("neither prometheus nor victoria-metrics is installed: no peers")
    return found, held


def main() -> None:
    """Print all figures."""
    report = report_from_arguments("ingest", __doc__ or "")
    report.note(
        "one machine for all; per core = the console's whole tree until all is packed (a peer: its process), no sender"
    )
    report.note("the console waits for the disk before it answers; the peers do not")
    report.note(
        f"queries read samples {120 if report.quick else 15} s apart; the median of warm runs, caches of answers off"
    )
    others, held = of_peers(report)
    with running_console(LIMITS) as console:
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics", "backfill"], "query": True})
        target = Target(urlsplit(console.url).port or 80, token=made["token"])
        address = roles.environment(console)["DATABASE_URL"]
        product = Product(
            "console", target, lambda: tree_cpu_seconds(console), {}, made["query_headers"], lambda: packed(address)
        )  # fmt: skip
        for label, value in measure(product, quick=report.quick).items():
            beside = {name: figures[label] for name, figures in others.items()}
            report.figure(label, value, peers=beside)
        disk(report, console, target, held)
    report.finish()


if __name__ == "__main__":
    main()
