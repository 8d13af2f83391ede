"""Who does the work: Celery in a normal run, and how late things get when the hands, the net or the database fall away.

One console of its own. A rule over this machine's own CPU fires and is told; then ready-made alerts come through the
door under a policy of two steps while, one after the other,
- nothing is wrong (the share of Celery's work is counted per kind),
- evaluator and dispatcher are stopped (SIGSTOP) and Redis is emptied,
- worker, beat and Redis are stopped,
- PostgreSQL is killed with -9.
Every alert must be told in both steps; what is measured is how late.
"""

import datetime as dt
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import psutil
import psycopg
import redis
from prometheus_client.parser import text_string_to_metric_families

from bench.harness import Console, Report, report_from_arguments, running_console
from bench.receivers import Receivers, receiving
from bench.roles import by_role, environment, furnish, kill

ALERTS, QUICK_ALERTS = 200, 16
PER_SECOND = 10.0
SECOND_STEP_SECONDS = 2
RULE_SECONDS = 30.0
DRAIN_SECONDS = 40.0
IDLE_SECONDS, QUICK_IDLE_SECONDS = 30.0, 2.0
DOOR_SECONDS = 2.0
DOOR_THREADS = 4
KINDS = ("evaluate", "escalate", "dispatch")
SETTINGS = {"STORM_CONTROL_ENABLED": "false", "OUTBOUND_ALLOWED": "127.0.0.0/8:*"}
WANTED = {
    "scopes": ["ingest:alerts"],
    "policies": [
        {
            "name": "hands",
            "triggers": [{}],
            "steps": [{"delay_seconds": at, "channels": ["hands"]} for at in (0, SECOND_STEP_SECONDS)],
        }
    ],
    "groups": [
        {
            "name": "hands",
            "interval_seconds": 2,
            "rules": [{"name": "Busy", "spec": {"expr": "cpu_usage_percent > 1"}, "severity": "low"}],
        }
    ],
}


@dataclass
class Bench:
    """A furnished console and its receiver."""

    console: Console
    receivers: Receivers
    env: dict[str, str]
    token: str
    acked_at: dict[str, float] = field(default_factory=dict)

    def send(self, phase: str, count: int) -> list[str]:
        """Post so many alerts at the rate; each is sent again until the door says yes."""
        names = [f"{phase}{number:04d}" for number in range(count)]
        began = time.monotonic()
        with httpx.Client(timeout=15.0, headers={"Authorization": f"Bearer {self.token}"}) as http:
            for number, name in enumerate(names):
                time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
                while not self._one(http, name):
                    time.sleep(0.1)
        return names

    def _one(self, http: httpx.Client, name: str) -> bool:
        ends_at = dt.datetime.fromtimestamp(time.time() + 7200, dt.UTC).isoformat()
        alert = {"labels": {"alertname": "Hands", "id": name}, "endsAt": ends_at}
        with suppress(httpx.HTTPError):
            if http.post(f"{self.console.url}/api/v2/alerts", json=[alert]).status_code == httpx.codes.OK:
                self.acked_at[name] = time.time()
                return True
        return False

    def arrivals(self) -> dict[tuple[str, int], float]:
        """Return when each step of each alert first arrived."""
        first: dict[tuple[str, int], float] = {}
        for receipt in list(self.receivers.receipts):
            message = receipt.payload
            first.setdefault((message["labels"].get("id", ""), message.get("escalation_step", 0)), receipt.at)
        return first

    def lateness(self, names: list[str]) -> tuple[list[float], int]:
        """Wait for both steps of all; return how late each was, and how many never came."""
        owed = {(name, step) for name in names for step in (1, 2)}
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until and owed - set(self.arrivals()):
            time.sleep(0.2)
        got = self.arrivals()
        due = {key: self.acked_at[key[0]] + (SECOND_STEP_SECONDS if key[1] == 2 else 0) for key in owed}
        return sorted(max(0.0, got[key] - due[key]) for key in owed if key in got), len(owed - set(got))

    def work(self) -> dict[tuple[str, str], float]:
        """Return the console's own count of work by kind and hand."""
        text = httpx.get(f"{self.console.url}/metrics", timeout=10.0).text
        return {
            (sample.labels["kind"], sample.labels["hand"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "console_work_total"
        }

    def due_by_clock(self) -> float:
        """Return by how many seconds the rule group is late now."""
        with psycopg.connect(self.env["DATABASE_URL"]) as connection:
            late = connection.execute(
                "SELECT extract(epoch FROM now() - last_evaluated_at) FROM alerts_rulegroup WHERE name = 'hands'"
            ).fetchone()
        return float(late[0]) if late and late[0] is not None else 0.0


@contextmanager
def stopped(console: Console, *roles: str) -> Iterator[None]:
    """Stop the processes of some roles for a while; they stay alive, as a frozen machine's do."""
    found = [process for role in roles for process in by_role(console).get(role, [])]
    for process in found:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in found:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)


def told(report: Report, label: str, bench: Bench, names: list[str]) -> int:
    """Print how late the messages of a phase were; return how many never came."""
    late, missing = bench.lateness(names)
    cuts = statistics.quantiles(late, n=100, method="inclusive") if len(late) > 1 else [0.0] * 99
    report.figure(f"{label}: late, p50", cuts[49], "s")
    report.figure(f"{label}: late, p99", cuts[98], "s")
    report.figure(f"{label}: late, most", late[-1] if late else 0.0, "s")
    report.figure(f"{label}: never told", missing, "messages")
    return missing


def rule(report: Report, bench: Bench) -> None:
    """Measure from the grid time of the evaluation that fired to the receiver."""
    until = time.monotonic() + RULE_SECONDS
    while time.monotonic() < until:
        for receipt in list(bench.receivers.receipts):
            message = receipt.payload
            if message["alert_name"] == "Busy" and message["kind"] == "fire":
                at = dt.datetime.fromisoformat(message["timestamp"]).timestamp()
                report.figure("rule: grid time to the receiver", receipt.at - at, "s")
                return
        time.sleep(0.1)
    report.figure("rule: grid time to the receiver", "never", "")


def idle(report: Report, bench: Bench, seconds: float) -> None:
    """Measure the CPU of each role while nothing is posted."""
    watched = {role: list(found) for role, found in by_role(bench.console).items()}
    before = {role: _cpu_seconds(found) for role, found in watched.items()}
    time.sleep(seconds)
    for role in ("evaluator", "dispatcher", "worker", "beat"):
        used = _cpu_seconds(watched.get(role, [])) - before.get(role, 0.0)
        report.figure(f"idle: CPU of {role}", 100.0 * used / seconds, "% of a core")


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def share(report: Report, before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> None:
    """Print the share of Celery's work of each kind."""
    for kind in KINDS:
        done = {hand: after[(k, hand)] - before.get((k, hand), 0.0) for k, hand in after if k == kind}
        total = sum(done.values())
        report.figure(f"normal: {kind} by celery", 100.0 * done.get("celery", 0.0) / total if total else 0.0, "%")


def flush(env: dict[str, str]) -> None:
    """Empty Redis."""
    with suppress(redis.RedisError), redis.Redis.from_url(env["REDIS_URL"]) as client:
        client.flushall()


def door(report: Report, bench: Bench, size: int) -> None:
    """Measure how many new alerts a second the door commits, with so many in one request."""
    until = time.monotonic() + DOOR_SECONDS
    taken: list[int] = []

    def posting(sender: int) -> None:
        with httpx.Client(timeout=30.0, headers={"Authorization": f"Bearer {bench.token}"}) as http:
            number = 0
            while time.monotonic() < until:
                alerts = [{"labels": {"alertname": "Door", "id": f"{size}-{sender}-{number + i}"}} for i in range(size)]
                number += size
                if http.post(f"{bench.console.url}/api/v2/alerts", json=alerts).status_code == httpx.codes.OK:
                    taken.append(size)

    began = time.monotonic()
    threads = [threading.Thread(target=posting, args=(sender,)) for sender in range(DOOR_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.figure(f"door: new alerts, {size} a request", sum(taken) / (time.monotonic() - began), "alerts/s")


def phases(report: Report, bench: Bench, count: int) -> int:
    """Run the four phases; return how many messages were never told."""
    before = bench.work()
    missing = told(report, "normal", bench, bench.send("normal", count))
    share(report, before, bench.work())
    with stopped(bench.console, "evaluator", "dispatcher"):
        names = bench.send("sweepers", count // 2)
        flush(bench.env)
        missing += told(report, "sweepers off, Redis emptied", bench, names + bench.send("flushed", count // 2))
        report.figure("sweepers off: rule evaluated, seconds ago", bench.due_by_clock(), "s")
    with stopped(bench.console, "worker", "beat", "valkey-server"):
        missing += told(report, "Celery and Redis off", bench, bench.send("frozen", count))
        report.figure("Celery and Redis off: rule evaluated, seconds ago", bench.due_by_clock(), "s")
    sweepers = {
        process.pid for role in ("evaluator", "dispatcher", "worker") for process in by_role(bench.console)[role]
    }
    kill(by_role(bench.console).get("postgres", []))
    missing += told(report, "PostgreSQL killed", bench, bench.send("crash", count))
    alive = {process.pid for role in ("evaluator", "dispatcher", "worker") for process in by_role(bench.console)[role]}
    report.figure("PostgreSQL killed: hands and sweepers that had to restart", len(sweepers - alive), "processes")
    return missing


def main() -> int:
    """Run; ends with 1 when a message was never told."""
    report = report_from_arguments("hands", __doc__ or "")
    with receiving() as receivers, running_console(SETTINGS) as console:
        env = environment(console)
        made = furnish(env, {**WANTED, "channels": [{"name": "hands", "url": receivers.url("hands")}]})
        bench = Bench(console, receivers, env, made["token"])
        rule(report, bench)
        idle(report, bench, QUICK_IDLE_SECONDS if report.quick else IDLE_SECONDS)
        missing = phases(report, bench, QUICK_ALERTS if report.quick else ALERTS)
        door(report, bench, 1)
        door(report, bench, 100)
    report.finish()
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
