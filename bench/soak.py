"""Thirty minutes at 50,000 samples a second: whether memory is flat, lag steady, and all there that was acknowledged.

A console of its own, with the settings it comes with, takes 10,000 series (counters and gauges, one in 500 replaced
each minute) by remote write on two connections at one pace. Every 15 seconds are noted: proportional
set size and processor time by role, samples offered and acknowledged, how old the newest sample is that a query sees,
what waits for the compactor, bytes on disk and the time of a dashboard's query. Afterwards the medians of the first and
the last third are compared (the first tenth is warm-up), and every minute is asked how many samples it holds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg

from aivillage_observability.processes import role_of
from bench import roles
from bench.harness import Console, Report, running_console
from bench.idle import cpu_seconds, memory_by_role
from bench.remote_write import Target
from bench.soak_load import MINUTE_MS, SAMPLES_PER_SECOND, Load

EVERY_SECONDS = 15.0
WARM_UP_SHARE = 0.1
GROWTH_LIMIT = 0.10
JUDGED_FROM_SECONDS = 600.0
# What a sample may be behind the clock, and a head block behind the compactor that comes every minute.
LAG_LIMIT_SECONDS = 2.0
HEAD_AGE_LIMIT_SECONDS = 90.0
DASHBOARD_SECONDS, DASHBOARD_STEP = 300, 15
DASHBOARD = "sum by (handler) (rate(soak_requests_0_total[1m]))"
NEWEST = 'min(timestamp({newest="yes"}))'
EVERYTHING = 'sum(count_over_time({job="soak"}[1m]))'
BACKLOG = """
SELECT (SELECT count(*) FROM metrics_headblock),
       (SELECT coalesce(sum(octet_length(data)), 0) FROM metrics_headblock),
       (SELECT extract(epoch FROM console_now()) - min(t_min) / 1000.0 FROM metrics_headblock),
       (SELECT count(*) FROM metrics_recentblock),
       (SELECT count(*) FROM metrics_recentblock WHERE level = 1),
       (SELECT coalesce(sum(octet_length(data)), 0) FROM metrics_recentblock),
       pg_database_size(current_database()), (SELECT sum(size) FROM pg_ls_waldir())
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that was seen at one time."""

    at_seconds: float
    memory_mb: dict[str, float]
    cpu_cores: dict[str, float]
    offered: int
    acknowledged: int
    lag_seconds: float
    head_blocks: int
    head_bytes: int
    oldest_head_seconds: float
    recent_blocks: int
    minute_blocks: int
    recent_bytes: int
    database_bytes: int
    wal_bytes: int
    dashboard_ms: float

    @property
    def memory_total_mb(self) -> float:
        """Memory of the whole tree."""
        return sum(self.memory_mb.values())


class Watcher:
    """Looks at a console from outside."""

    def __init__(self, console: Console, headers: dict[str, str], load: Load) -> None:
        """Begin the counts."""
        self._console, self._load = console, load
        self._client = httpx.Client(base_url=f"{console.url}/api/v1", headers=headers, timeout=60)
        self._database = psycopg.connect(roles.environment(console)["DATABASE_URL"], autocommit=True)
        self._begun = self._looked_at = time.monotonic()
        self._used = self._cpu_by_role()

    def _cpu_by_role(self) -> dict[str, float]:
        found: dict[str, list[psutil.Process]] = {}
        for process in self._console.tree():
            try:
                role = "supervisor" if process.pid == self._console.process.pid else role_of(process)
            except psutil.Error:
                continue
            found.setdefault(role, []).append(process)
        return {role: cpu_seconds(processes) for role, processes in found.items()}

    def ask(self, path: str, **parameters: str | float) -> list[dict[str, list[str]]]:
        """Return the result of a query."""
        answer = self._client.get(path, params=parameters)
        answer.raise_for_status()
        result: list[dict[str, list[str]]] = answer.json()["data"]["result"]
        return result

    def newest_lag_seconds(self) -> float:
        """Return how old the oldest of the newest samples is: each request has one series that is asked."""
        now = time.time()
        result = self.ask("/query", query=NEWEST, time=now)
        return now - float(result[0]["value"][1]) if result else float("nan")

    def dashboard_ms(self) -> float:
        """Return how long a question of a dashboard takes."""
        end, begun = int(time.time()), time.perf_counter()
        self.ask("/query_range", query=DASHBOARD, start=end - DASHBOARD_SECONDS, end=end, step=DASHBOARD_STEP)
        return (time.perf_counter() - begun) * 1000

    def look(self) -> Moment:
        """Return what there is now."""
        used, now = self._cpu_by_role(), time.monotonic()
        passed = now - self._looked_at
        cores = {role: (spent - self._used.get(role, 0.0)) / passed for role, spent in used.items()}
        self._used, self._looked_at = used, now
        counts, memory = self._load.counts, memory_by_role(self._console)
        offered, acknowledged = counts.offered, counts.acknowledged
        lag = self.newest_lag_seconds()
        row = self._database.execute(BACKLOG).fetchone() or (0,) * 8
        heads, head_bytes, age, recent, minutes, recent_bytes, database_bytes, wal_bytes = (
            float(value or 0) for value in row
        )
        return Moment(
            at_seconds=now - self._begun, memory_mb=memory, cpu_cores=cores, offered=offered, acknowledged=acknowledged,
            lag_seconds=lag, head_blocks=int(heads), head_bytes=int(head_bytes), oldest_head_seconds=age,
            recent_blocks=int(recent), minute_blocks=int(minutes), recent_bytes=int(recent_bytes),
            database_bytes=int(database_bytes), wal_bytes=int(wal_bytes), dashboard_ms=self.dashboard_ms(),
        )  # fmt: skip

    def restart(self) -> None:
        """Begin the clock here."""
        self._begun = time.monotonic()

    def missing(self) -> tuple[int, int, int]:
        """Return samples acknowledged, those of them no query finds, and those found that nobody acknowledged."""
        lost = more = 0
        for minute, count in sorted(self._load.counts.by_minute.items()):
            # Left-open: a minute holds the times after its beginning up to its end.
            result = self.ask("/query", query=EVERYTHING, time=minute * MINUTE_MS / 1000)
            found = int(float(result[0]["value"][1])) if result else 0
            lost, more = lost + max(0, count - found), more + max(0, found - count)
        return self._load.counts.acknowledged, lost, more

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
        self._database.close()


TITLES = (
    f"{'min':>6}{'offered/s':>10}{'ack/s':>8}{'PSS MB':>8}{'web':>6}{'postgr':>7}{'compac':>7}{'cores':>6}{'lag s':>7}"
    f"{'heads':>6}{'oldest s':>9}{'minute':>7}{'recent MB':>10}{'disk MB':>8}{'WAL MB':>7}{'query ms':>9}"
)


def line(before: Moment | None, one: Moment) -> str:
    """Return one row of the table."""
    passed = one.at_seconds - (before.at_seconds if before else 0.0)
    offered = (one.offered - (before.offered if before else 0)) / passed
    taken = (one.acknowledged - (before.acknowledged if before else 0)) / passed
    web, postgres, compactor = (one.memory_mb.get(role, 0.0) for role in ("web", "postgres", "compactor"))
    return (
        f"{one.at_seconds / 60:6.2f}{offered:10,.0f}{taken:8,.0f}{one.memory_total_mb:8.0f}{web:6.0f}{postgres:7.0f}"
        f"{compactor:7.0f}{sum(one.cpu_cores.values()):6.2f}{one.lag_seconds:7.2f}{one.head_blocks:6d}"
        f"{one.oldest_head_seconds:9.1f}{one.minute_blocks:7d}{one.recent_bytes / 1e6:10.1f}"
        f"{one.database_bytes / 1e6:8.0f}{one.wal_bytes / 1e6:7.0f}{one.dashboard_ms:9.1f}"
    )


def watched(watcher: Watcher, seconds: float) -> list[Moment]:
    """Look every quarter of a minute for so long, and print what is seen."""
    print(TITLES, flush=True)
    moments: list[Moment] = []
    begun = time.monotonic()
    while (due := begun + (len(moments) + 1) * EVERY_SECONDS) <= begun + seconds + 1:
        time.sleep(max(0.0, due - time.monotonic()))
        moments.append(watcher.look())
        print(line(moments[-2] if len(moments) > 1 else None, moments[-1]), flush=True)
    return moments


def thirds(moments: list[Moment], of: Callable[[Moment], float]) -> tuple[float, float]:
    """Return the medians of the first and of the last third after the warm-up."""
    warm = moments[int(len(moments) * WARM_UP_SHARE) :]
    length = max(1, len(warm) // 3)
    return statistics.median(map(of, warm[:length])), statistics.median(map(of, warm[-length:]))


def compared(report: Report, moments: list[Moment]) -> dict[str, bool]:
    """Print first and last thirds; returns what holds."""
    rows: list[tuple[str, Callable[[Moment], float], str]] = [
        ("memory of the whole tree", lambda one: one.memory_total_mb, "MB PSS"),
        *((f"memory of {role}", lambda one, role=role: one.memory_mb.get(role, 0.0), "MB PSS")
          for role in sorted(moments[-1].memory_mb, key=lambda role: -moments[-1].memory_mb[role])),
        ("processors used", lambda one: sum(one.cpu_cores.values()), "cores"),
        ("age of the newest sample a query sees", lambda one: one.lag_seconds, "s"),
        ("age of the oldest head block", lambda one: one.oldest_head_seconds, "s"),
        ("minute blocks that wait", lambda one: one.minute_blocks, "blocks"),
        ("dashboard's query", lambda one: one.dashboard_ms, "ms"),
    ]  # fmt: skip
    found = {}
    for label, of, unit in rows:
        first, last = found[label] = thirds(moments, of)
        report.figure(f"{label}, first third", first, unit)
        report.figure(f"{label}, last third", last, f"{unit} ({100 * (last / first - 1) if first else 0:+.1f} %)")
    memory, lag = found["memory of the whole tree"], found["age of the newest sample a query sees"]
    worst_age = max(one.oldest_head_seconds for one in moments)
    report.figure("longest age of a head block", worst_age, "s")
    report.figure("longest age of the newest sample seen", max(one.lag_seconds for one in moments), "s")
    return {
        "memory flat": memory[1] < memory[0] * (1 + GROWTH_LIMIT),
        "lag steady": lag[1] < LAG_LIMIT_SECONDS and worst_age < HEAD_AGE_LIMIT_SECONDS,
    }


def soak(report: Report, seconds: float) -> None:
    """Run the load, watch it, and judge."""
    with running_console() as console:
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics"], "query": True})
        load = Load(Target(urlsplit(console.url).port or 80, token=made["token"]))
        # What is compiled or loaded once is not what is measured.
        load.prime()
        watcher = Watcher(console, made["query_headers"], load)
        watcher.look()
        watcher.restart()
        load.start()
        try:
            moments = watched(watcher, seconds)
        finally:
            load.stop()
        holds = compared(report, moments)
        acknowledged, lost, more = watcher.missing()
        watcher.close()
    counts = load.counts
    report.figure("offered", counts.offered, "samples")
    report.figure("acknowledged", acknowledged, f"samples ({100 * acknowledged / counts.offered:.3f} %)")
    report.figure("series that ended and others that began", counts.churned, "series")
    report.figure("tries that were refused", counts.refused, "; ".join(counts.reasons) or "requests")
    report.figure("acknowledged but not found", lost, "samples")
    report.figure("found but never acknowledged", more, "samples")
    report.figure(
        "bytes of database a sample, not compacted yet", moments[-1].database_bytes / moments[-1].acknowledged, "B"
    )
    holds |= {
        "nothing missing": lost == 0,
        "nothing doubled": more == 0,
        "all taken": acknowledged >= 0.99 * seconds * SAMPLES_PER_SECOND,
    }
    if seconds < JUDGED_FROM_SECONDS:
        report.note("too short to judge memory")
        holds.pop("memory flat")
    report.figures["moments"] = [asdict(one) for one in moments]
    verdict = ", ".join(f"{label}: {'yes' if held else 'NO'}" for label, held in holds.items())
    report.figure("verdict", "PASSED" if all(holds.values()) else "FAILED", verdict)


def main() -> None:
    """Run the soak."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--quick", action="store_true", help="one minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    arguments = parser.parse_args()
    report = Report("soak", arguments.quick, arguments.json)
    minutes = 1.0 if arguments.quick else arguments.minutes
    report.note(
        f"{SAMPLES_PER_SECOND:,} samples/s for {minutes:g} minutes, default settings, {psutil.cpu_count()} CPUs"
    )
    soak(report, minutes * 60)
    report.finish()


if __name__ == "__main__":
    main()
