"""Rule evaluation at scale: how late the rules of a tick are done, and what they cost, beside Prometheus.

1,000 hosts send a gauge and a counter every 15 s while rules in groups of 50 ask about them: seven in ten compare the
gauge of one host, two average it over five minutes, one sums the rates of a zone of ten. One host in a hundred is above
its threshold all the time and another one every few minutes, so alerts begin and end. Prometheus gets the same rules as
a file and the same samples by remote write, one product at a time.

Lag is the time from a tick until its whole group has been evaluated and stored. For the console it is read from the
database five times a second; Prometheus tells how long its groups took and spreads them over the interval, where the
console evaluates all of them at the tick: its durations stand beside the lag, not in its place. Processor time is of
the whole tree of processes, PostgreSQL and Valkey included, while nothing but this runs; the idle load is in it.
"""

import contextlib
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psycopg

from bench import peers, roles
from bench.harness import Report, report_from_arguments, running_console
from bench.ingest import LIMITS, tree_cpu_seconds
from bench.remote_write import Labels, Target, bodies, send

HOSTS, ZONE_HOSTS, GROUP_RULES = 1_000, 10, 50
STEP_MS = 15_000
HISTORY_STEPS = 40
POLL_SECONDS = 0.2
# Rules, their interval in seconds, and for how many seconds they are watched.
WHOLE = ((1_000, 15, 150), (10_000, 60, 300))
QUICK = ((500, 15, 40),)


@dataclass
class Watched:
    """What was seen of one product under one load."""

    lags: list[float] = field(default_factory=list)
    missed: int = 0
    cores: float = 0.0
    firing: int = 0

    def quantile(self, share: float) -> float:
        """Return a quantile of the lags, in seconds."""
        return float(np.quantile(self.lags, share)) if self.lags else float("nan")


def series() -> list[Labels]:
    """Return the gauges of all hosts and then their counters."""
    places = [
        {"instance": f"host-{host:04d}", "job": "bench", "zone": f"zone-{host // ZONE_HOSTS:03d}"}
        for host in range(HOSTS)
    ]
    return [{"__name__": name, **place} for name in ("rules_load", "rules_requests_total") for place in places]


def values(step: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what all series have at a step: one host in a hundred is high, and the one after it now and then."""
    hosts = np.arange(HOSTS)
    load = 0.2 + 0.1 * np.sin(step / 7 + hosts)
    load[hosts % 100 == 0] = 0.95
    load[(hosts % 100 == 1) & ((step // 8 + hosts // 100) % 2 == 0)] = 0.95
    return np.concatenate([load, (step + 1) * (100.0 + hosts % 17)])


def expression(number: int) -> str:
    """Return the query of a rule."""
    host = number % HOSTS
    if number % 10 < 7:
        return f'rules_load{{instance="host-{host:04d}"}} > 0.9'
    if number % 10 < 9:
        return f'avg_over_time(rules_load{{instance="host-{host:04d}"}}[5m]) > 0.9'
    zone = host // ZONE_HOSTS
    return f'sum by (zone) (rate(rules_requests_total{{zone="zone-{zone:03d}"}}[5m])) > 1000'


def groups(rules: int, interval_seconds: int) -> list[dict[str, Any]]:
    """Return the groups as the console takes them."""
    return [
        {
            "name": f"bench-{interval_seconds}-{first // GROUP_RULES:04d}", "interval_seconds": interval_seconds,
            "rules": [
                {"name": f"R{interval_seconds}x{number:05d}", "spec": {"expr": expression(number)}, "severity": "low"}
                for number in range(first, first + GROUP_RULES)
            ],
        }
        for first in range(0, rules, GROUP_RULES)
    ]  # fmt: skip


def rule_file(rules: int, interval_seconds: int) -> str:
    """Return the groups as a Prometheus rule file; JSON is YAML."""
    return json.dumps({
        "groups": [
            {
                "name": each["name"], "interval": f"{interval_seconds}s",
                "rules": [{"alert": r["name"], "expr": r["spec"]["expr"]} for r in each["rules"]],
            }
            for each in groups(rules, interval_seconds)
        ]
    })  # fmt: skip


@contextlib.contextmanager
def fed(target: Target) -> Iterator[None]:
    """Send ten minutes of the past, and then a sample of each series every 15 seconds until left."""
    labels, stop = series(), threading.Event()
    begin_ms = int(time.time() * 1000) // STEP_MS * STEP_MS - HISTORY_STEPS * STEP_MS
    columns = np.stack([values(step) for step in range(HISTORY_STEPS)], axis=1)
    times = [begin_ms + step * STEP_MS for step in range(HISTORY_STEPS)]
    send(target, bodies(labels, columns, times, len(labels)), connections=1)

    def run() -> None:
        step = HISTORY_STEPS
        while not stop.wait(max(0.0, (begin_ms + step * STEP_MS) / 1000 - time.time())):
            send(target, bodies(labels, values(step)[:, None], [begin_ms + step * STEP_MS], len(labels)), connections=1)
            step += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def processor(read: Callable[[], float], seconds: float, watch: Callable[[], None]) -> float:
    """Call `watch` for so many seconds and return how many cores the product used meanwhile."""
    before, begun = read(), time.monotonic()
    while time.monotonic() - begun < seconds:
        time.sleep(POLL_SECONDS)
        watch()
    return (read() - before) / (time.monotonic() - begun)


class Ticks:
    """Reads from the database when the tick of each group was done."""

    def __init__(self, address: str) -> None:
        """Connect."""
        self._connection = psycopg.connect(address, autocommit=True)
        self._seen = dict(self._read())
        self.lags: list[float] = []

    def _read(self) -> list[tuple[str, float]]:
        rows = self._connection.execute(
            "SELECT name, extract(epoch FROM last_evaluated_at) FROM alerts_rulegroup WHERE name LIKE 'bench-%'"
        )
        return [(name, float(at or 0)) for name, at in rows.fetchall()]

    def look(self) -> None:
        """Note the lag of each group that has got further since the last look."""
        now = time.time()
        for name, at in self._read():
            if at != self._seen.get(name):
                self._seen[name] = at
                self.lags.append(now - at)

    def count(self, query: str) -> int:
        """Return the answer of a query that counts."""
        return int((self._connection.execute(query).fetchone() or (0,))[0] or 0)


def console(rules: int, interval_seconds: int, seconds: float) -> Watched:
    """Watch the console under a load."""
    with running_console({**LIMITS, "STORM_CONTROL_ENABLED": "false"}) as running:
        env = roles.environment(running)
        made = roles.furnish(env, {"scopes": ["ingest:metrics", "backfill"]})
        with fed(Target(urlsplit(running.url).port or 80, token=made["token"])):
            roles.furnish(env, {"groups": groups(rules, interval_seconds)})
            time.sleep(interval_seconds)  # The first tick compiles queries and opens connections.
            ticks, seen = Ticks(env["DATABASE_URL"]), Watched()
            missed = "SELECT sum(missed) FROM alerts_rulegroup WHERE name LIKE 'bench-%'"
            before = ticks.count(missed)
            seen.cores = processor(lambda: tree_cpu_seconds(running), seconds, ticks.look)
            seen.missed, seen.lags = ticks.count(missed) - before, ticks.lags
            seen.firing = ticks.count("SELECT count(*) FROM alerts_alert WHERE state = 'firing' AND name LIKE 'R%'")
            failed = ticks.count("SELECT count(*) FROM alerts_rule WHERE name LIKE 'R%' AND last_error <> ''")
            if failed:
                raise RuntimeError(f"{failed} rules could not be evaluated: these figures would be of nothing")
    return seen


def _gauges(port: int, query: str) -> list[float]:
    answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=10).json()
    return [float(row["value"][1]) for row in answer["data"]["result"]]


def prometheus(rules: int, interval_seconds: int, seconds: float) -> Watched:
    """Watch Prometheus under the same load; it scrapes itself to tell how its groups fare."""

    def prepare(root: Path, port: int) -> None:
        (root / "rules.yml").write_text(rule_file(rules, interval_seconds))
        (root / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "5s"}, "rule_files": [f"{root}/rules.yml"],
            "scrape_configs": [{"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        }))  # fmt: skip

    seen = Watched()
    with peers.running("prometheus", prepare=prepare) as peer, fed(Target(peer.port)):
        time.sleep(interval_seconds)
        seen.cores = processor(peer.cpu_seconds, seconds, lambda: None)
        seen.lags = _gauges(peer.port, f"max_over_time(prometheus_rule_group_last_duration_seconds[{seconds:.0f}s])")
        seen.missed = round(sum(_gauges(peer.port, "sum(prometheus_rule_group_iterations_missed_total)")))
        seen.firing = round(sum(_gauges(peer.port, 'count(ALERTS{alertstate="firing"})')))
    return seen


def measure(report: Report, rules: int, interval_seconds: int, seconds: float) -> None:
    """Print the figures of one load."""
    what = f"{rules:,} rules each {interval_seconds} s"
    theirs = prometheus(rules, interval_seconds, seconds) if "prometheus" in peers.installed() else None
    ours = console(rules, interval_seconds, seconds)
    beside = f"prometheus {peers.version('prometheus')}"
    report.figure(f"{what}: lag of a group, median", statistics.median(ours.lags), "s")
    report.figure(f"{what}: lag of a group, p99 (goal: under {interval_seconds})", ours.quantile(0.99), "s")
    report.figure(f"{what}: ticks missed", ours.missed, "")
    report.figure(f"{what}: alerts firing at the end", ours.firing, "")
    report.figure(f"{what}: processors used", ours.cores, "cores", peers={beside: theirs.cores} if theirs else {})
    if theirs:
        report.figure(f"{what}: {beside}, longest evaluation of a group, p99", theirs.quantile(0.99), "s")
        report.figure(f"{what}: {beside}, iterations missed", theirs.missed, "")
        report.figure(f"{what}: {beside}, alerts firing at the end", theirs.firing, "")


def main() -> None:
    """Measure each load, the peer first."""
    report = report_from_arguments("rules", __doc__ or "")
    for rules, interval_seconds, seconds in QUICK if report.quick else WHOLE:
        measure(report, rules, interval_seconds, seconds)
    report.finish()


if __name__ == "__main__":
    main()
