"""Writing and asking at once: 150,000 samples a second come in while a dashboard asks again every 50 milliseconds.

Each product has the same hour of samples, gets the same new ones on two connections at the same pace and is asked the
same four questions in turn on a third. Printed are the milliseconds of an answer, how much of the pace was kept, and
the processor time of the product (the console: web and PostgreSQL) for each second of wall time.
"""

import contextlib
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from bench import peers, roles
from bench.harness import Report, report_from_arguments, running_console
from bench.ingest import LIMITS, Product, counters, cpu_seconds, named
from bench.remote_write import Target, bodies, send

SERIES = 10_000
REQUEST_SAMPLES = 2_000
SAMPLES_PER_SECOND = 150_000
REFRESH_SECONDS = 0.05
STEP_MS = 15_000
HISTORY_STEPS = 240
QUERIES = (
    "sum by (handler) (rate(mixed_total[5m]))",
    "topk(5, mixed_total)",
    'rate(mixed_total{instance="host-00003.example.org:9100"}[5m])',
    "count(mixed_total)",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one product did under the load."""

    p50_ms: float
    p95_ms: float
    kept: float
    cores: float


def history(product: Product, begin_ms: int) -> None:
    """Send the hour before."""
    times = [begin_ms + step * STEP_MS for step in range(HISTORY_STEPS)]
    send(
        product.target,
        bodies(named("mixed_total", SERIES), counters(SERIES, HISTORY_STEPS), times, 5_000),
        connections=1,
    )


def writing(product: Product, requests: Sequence[bytes], stop: threading.Event, sent: list[int]) -> None:
    """Send requests at the pace until told to stop; behind the pace, as fast as they are taken."""
    begun = time.monotonic()
    for number, body in enumerate(requests):
        ahead = begun + number * REQUEST_SAMPLES / SAMPLES_PER_SECOND - time.monotonic()
        if (ahead > 0 and stop.wait(ahead)) or stop.is_set():
            return
        send(product.target, [body], connections=1)
        sent.append(REQUEST_SAMPLES)


def asking(product: Product, seconds: float) -> list[float]:
    """Refresh the dashboard for so long; returns the milliseconds of each answer."""
    taken, number, until = [], 0, time.monotonic() + seconds
    with httpx.Client(headers=product.headers, timeout=60) as client:
        while time.monotonic() < until:
            begun = time.perf_counter()
            end = int(time.time())
            query = QUERIES[number % len(QUERIES)]
            product.ask(client, "query_range", query=query, start=end - 3600, end=end, step=60)
            taken.append(time.perf_counter() - begun)
            number += 1
            time.sleep(max(0.0, REFRESH_SECONDS - taken[-1]))
    return [one * 1000 for one in taken]


def measure(product: Product, seconds: float) -> Outcome:
    """Load one product and ask it."""
    now_ms = int(time.time() * 1000) // STEP_MS * STEP_MS
    history(product, now_ms - HISTORY_STEPS * STEP_MS)
    steps = int(seconds * 1.5 * SAMPLES_PER_SECOND / SERIES)
    times = [now_ms + step * 100 for step in range(steps)]
    requests = bodies(named("mixed_total", SERIES), 1e9 + counters(SERIES, steps), times, REQUEST_SAMPLES)
    stop, sent = threading.Event(), [0]
    writer = threading.Thread(target=writing, args=(product, requests, stop, sent))
    before, begun = product.cpu_seconds(), time.monotonic()
    writer.start()
    taken = asking(product, seconds)
    stop.set()
    writer.join()
    wall = time.monotonic() - begun
    p95 = statistics.quantiles(taken, n=20)[-1]
    kept = sum(sent) / (wall * SAMPLES_PER_SECOND)
    return Outcome(statistics.median(taken), p95, kept, (product.cpu_seconds() - before) / wall)


def tell(report: Report, ours: Outcome, others: dict[str, Outcome]) -> None:
    """Print the figures side by side."""
    for label, unit, field in (
        ("answer while writing, median", "ms", "p50_ms"),
        ("answer while writing, p95", "ms", "p95_ms"),
        (f"share of {SAMPLES_PER_SECOND:,} samples/s that was taken", "", "kept"),
        ("processors used", "cores", "cores"),
    ):
        beside = {name: float(getattr(outcome, field)) for name, outcome in others.items()}
        report.figure(label, float(getattr(ours, field)), unit, peers=beside)


def main() -> None:
    """Measure one product after the other."""
    report = report_from_arguments("mixed", __doc__ or "")
    seconds = 10.0 if report.quick else 60.0
    others = {}
    for name in peers.installed():
        with peers.running(name) as peer:
            parameters = {"nocache": "1"} if peer.nocache else {}
            product = Product(name, Target(peer.port), peer.cpu_seconds, parameters=parameters)
            others[f"{name} {peers.version(name)}"] = measure(product, seconds)
    with contextlib.ExitStack() as stack:
        console = stack.enter_context(running_console(LIMITS))
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics", "backfill"], "query": True})
        target = Target(urlsplit(console.url).port or 80, token=made["token"])
        ours = Product("console", target, lambda: cpu_seconds(console), headers=made["query_headers"])
        tell(report, measure(ours, seconds), others)
    report.finish()


if __name__ == "__main__":
    main()
