"""Queries over HTTP beside Prometheus and VictoriaMetrics: the same samples, the same questions, the same clock.

Every product is loaded with the same remote-write bytes and asked the same questions in turn, a connection each. A
figure is the median of warm runs; answer caches are off (the console keeps none, VictoriaMetrics is asked with
`nocache=1`). Samples lie off every step, so that closed and left-open windows hold the same ones; every answer of the
console is compared with Prometheus' to 1e-9. VictoriaMetrics computes rates by other rules, so its answers are
compared by the number of series only.
"""

import contextlib
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psycopg

from bench import peers, roles
from bench.harness import Console, Report, report_from_arguments, running_console
from bench.ingest import LIMITS, Floats, Product, counters, cpu_seconds
from bench.remote_write import Labels, Target, bodies, send

STEP_MS = 15_000
# Off every step of 15 s and 60 s.
SHIFT_MS = 7_000
SETTLE_SECONDS = 240.0
TOLERANCE = 1e-9
HISTOGRAM_BOUNDS = 50


@dataclass(frozen=True, slots=True)
class Size:
    """How much is loaded: series of each kind and hours of samples 15 s apart."""

    contiguous: tuple[int, ...]
    spread: int
    buckets: int
    hours: int
    repeats: int


QUICK = Size(contiguous=(100, 1_000), spread=2_000, buckets=1_000, hours=2, repeats=5)
WHOLE = Size(contiguous=(100, 1_000, 10_000), spread=10_000, buckets=5_000, hours=24, repeats=7)


@dataclass(frozen=True, slots=True)
class Case:
    """One question; a step of 0 is an instant query, no query at all asks for the values of a label."""

    label: str
    query: str
    hours: int = 0
    step_seconds: int = 0

    @property
    def title(self) -> str:
        """Return what is printed."""
        span = f", {self.hours} h at {self.step_seconds} s" if self.step_seconds else ""
        return f"{self.label}{span} (ms)"


def series_of(metric: str, count: int) -> list[Labels]:
    """Return a metric's series as an exporter names them; `pick` takes every tenth of them."""
    return [
        {
            "__name__": metric, "handler": f"/api/v1/things/{number % 10}", "job": "node", "pick": str(number * 7 % 10),
            "instance": f"host-{number // 10:05d}.example.org:9100",
        }
        for number in range(count)
    ]  # fmt: skip


def buckets_of(count: int) -> list[Labels]:
    """Return the buckets of classic histograms, each with the same bounds."""
    bounds = [str(round(0.005 * 1.2**place, 6)) for place in range(HISTOGRAM_BOUNDS - 1)] + ["+Inf"]
    return [
        {"__name__": "asked_seconds_bucket", "le": bound, "instance": f"host-{owner:05d}", "job": "node"}
        for owner in range(count // HISTOGRAM_BOUNDS)
        for bound in bounds
    ]


def info_of(instances: int) -> list[Labels]:
    """Return the series a join takes a label from."""
    return [
        {"__name__": "asked_info", "instance": f"host-{number:05d}.example.org:9100", "version": f"v{number % 5}"}
        for number in range(instances)
    ]


def rising_buckets(count: int, steps: int) -> Floats:
    """Return bucket counters that grow with their bound."""
    random = np.random.default_rng(3)
    owners = count // HISTOGRAM_BOUNDS
    hits = random.integers(0, 5, (owners, HISTOGRAM_BOUNDS, steps))
    return np.cumsum(np.cumsum(hits, axis=1), axis=2).astype(float).reshape(owners * HISTOGRAM_BOUNDS, steps)


def grid(hours: int) -> list[int]:
    """Return the times of scrapes that ended a little ago."""
    end = int(time.time()) // 60 * 60_000 - 60_000
    steps = hours * 240
    return [end - SHIFT_MS - (steps - 1 - step) * STEP_MS for step in range(steps)]


def load(products: Sequence[Product], size: Size) -> int:
    """Send the same samples to everybody, an hour after the other; returns when they end, in seconds."""
    times = grid(size.hours + 1)
    instances = max(*size.contiguous, size.spread) // 10
    kinds = [
        *((series_of(f"asked_{count}_total", count), "counter") for count in size.contiguous),
        (series_of("asked_spread_total", size.spread), "counter"),
        (buckets_of(size.buckets), "bucket"),
        (info_of(instances), "info"),
    ]
    asked = [labels for series, _ in kinds for labels in series]
    before: Floats | None = None
    for start in range(0, len(times), 240):
        part = times[start : start + 240]
        columns = np.concatenate([_columns(len(series), len(part), kind) for series, kind in kinds])
        if before is not None:
            columns = columns + np.where([labels["__name__"] == "asked_info" for labels in asked], 0.0, before)[:, None]
        before = columns[:, -1]
        requests = bodies(asked, columns, part, 5_000)
        for product in products:
            send(product.target, requests, connections=1)
    return (times[-1] + SHIFT_MS) // 1000


def _columns(count: int, steps: int, kind: str) -> Floats:
    if kind == "counter":
        return counters(count, steps)
    return rising_buckets(count, steps) if kind == "bucket" else np.ones((count, steps))


def cases(size: Size) -> Iterator[Case]:
    """Yield what is asked."""
    spans = [hours for hours in (1, 6, 24) if hours <= size.hours]
    largest = size.contiguous[-1]
    middle = 1_000
    for hours in spans:
        for step in (15, 60):
            for count in size.contiguous:
                yield Case(
                    f"sum by (rate), {count:,} series", f"sum by (handler) (rate(asked_{count}_total[5m]))", hours, step
                )
            scattered = 'sum by (handler) (rate(asked_spread_total{pick="3"}[5m]))'
            yield Case(f"sum by (rate), {size.spread // 10:,} scattered series", scattered, hours, step)
        quantile = "histogram_quantile(0.9, sum by (le) (rate(asked_seconds_bucket[5m])))"
        yield Case(f"histogram_quantile, {size.buckets:,} buckets", quantile, hours, 60)
        yield Case(f"topk, {middle:,} series", f"topk(5, asked_{middle}_total)", hours, 60)
        yield Case(f"max_over_time[1h], {middle:,} series", f"max_over_time(asked_{middle}_total[1h])", hours, 60)
        join = f"rate(asked_{middle}_total[5m]) * on (instance) group_left (version) asked_info"
        yield Case(f"group_left, {middle:,} series", join, hours, 60)
        regex = f'sum(rate(asked_{largest}_total{{instance=~"host-0000[0-4].*"}}[5m]))'
        yield Case(f"regex selector, 50 of {largest:,} series", regex, hours, 60)
    yield Case(f"instant sum, {largest:,} series", f"sum by (handler) (asked_{largest}_total)")
    yield Case(
        "instant rate of one series", 'rate(asked_100_total{instance="host-00003.example.org:9100",pick="0"}[5m])'
    )
    yield Case("label values", "")


@contextlib.contextmanager
def asking(product: Product) -> Iterator[httpx.Client]:
    """Yield a client that keeps its connection."""
    with httpx.Client(headers=product.headers, timeout=120) as client:
        yield client


def ask(product: Product, client: httpx.Client, case: Case, end: int) -> httpx.Response:
    """Ask one question."""
    if not case.query:
        return product.ask(client, "label/instance/values", start=end - 3600, end=end)
    if not case.step_seconds:
        return product.ask(client, "query", query=case.query, time=end)
    start = end - case.hours * 3600
    return product.ask(client, "query_range", query=case.query, start=start, end=end, step=case.step_seconds)


def milliseconds(product: Product, client: httpx.Client, case: Case, end: int, repeats: int) -> tuple[float, Any]:
    """Return the median of warm runs and the answer."""
    answer = ask(product, client, case, end).json()["data"]
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        ask(product, client, case, end)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken), answer


def numbers(answer: Any) -> dict[str, list[tuple[float, float]]]:
    """Return the samples of an answer by series."""
    if isinstance(answer, list):
        return {text: [] for text in answer}
    return {
        repr(sorted(one["metric"].items())): [
            (float(at), float(value)) for at, value in one.get("values", [one.get("value", (0, 0))])
        ]
        for one in answer["result"]
    }


def differs(ours: Any, theirs: Any) -> str:
    """Say what two answers do not agree on, nothing where they agree to 1e-9."""
    left, right = numbers(ours), numbers(theirs)
    if left.keys() != right.keys():
        return f"{len(left)} series against {len(right)}"
    for name, samples in left.items():
        if [at for at, _ in samples] != [at for at, _ in right[name]]:
            return f"{len(samples)} samples against {len(right[name])} of {name[:80]}"
        for (at, mine), (_, other) in zip(samples, right[name], strict=True):
            if not math.isclose(mine, other, rel_tol=TOLERANCE, abs_tol=1e-12):
                return f"{mine!r} against {other!r} at {at:.0f} of {name[:80]}"
    return ""


def settle(console: Console) -> None:
    """Wait until the compactor has packed what was loaded."""
    address = roles.environment(console)["DATABASE_URL"]
    until = time.monotonic() + SETTLE_SECONDS
    with psycopg.connect(address, autocommit=True) as connection:
        while (connection.execute("SELECT count(*) FROM metrics_headblock").fetchone() or (0,)) > (50,):
            if time.monotonic() > until:
                raise RuntimeError("the compactor does not keep up")
            time.sleep(1)


def compare(report: Report, products: Sequence[Product], size: Size, end: int) -> None:
    """Ask every question of everybody; print figures, ratios and disagreements."""
    ours, others = products[0], products[1:]
    ratios: dict[str, list[float]] = {other.name: [] for other in others}
    wrong = 0
    with contextlib.ExitStack() as stack:
        clients = {product.name: stack.enter_context(asking(product)) for product in products}
        for case in cases(size):
            mine, answer = milliseconds(ours, clients[ours.name], case, end, size.repeats)
            beside = {}
            for other in others:
                beside[other.name], told = milliseconds(other, clients[other.name], case, end, size.repeats)
                ratios[other.name].append(beside[other.name] / mine)
                difference = differs(answer, told) if other.name.startswith("prometheus") else ""
                if difference:
                    wrong += 1
                    report.note(f"{case.title}: {difference}")
            report.figure(case.title, mine, peers=beside)
    for name, found in ratios.items():
        if found:
            report.figure(f"times as fast as {name}, geometric mean", statistics.geometric_mean(found))
            report.figure(f"times as fast as {name}, worst case", min(found))
    report.figure("answers that differ from Prometheus' by more than 1e-9", wrong)


def main() -> None:
    """Load everybody, then ask."""
    report = report_from_arguments("queries", __doc__ or "")
    size = QUICK if report.quick else WHOLE
    report.note(f"samples 15 s apart, {size.hours} h; median of {size.repeats} warm runs; answer caches off")
    with contextlib.ExitStack() as stack:
        others = []
        for name in peers.installed():
            peer = stack.enter_context(peers.running(name))
            parameters = {"nocache": "1"} if peer.nocache else {}
            others.append(Product(f"{name} {peers.version(name)}", Target(peer.port), peer.cpu_seconds, parameters))
        console = stack.enter_context(running_console(LIMITS))
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics", "backfill"], "query": True})
        target = Target(urlsplit(console.url).port or 80, token=made["token"])
        ours = Product("console", target, lambda: cpu_seconds(console), headers=made["query_headers"])
        end = load([ours, *others], size)
        settle(console)
        compare(report, [ours, *others], size, end)
    report.finish()


if __name__ == "__main__":
    main()
