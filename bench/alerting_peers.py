"""The console beside a real Prometheus and Alertmanager: same rules, same samples, same routes.

Prometheus gets a rule file and tells an Alertmanager of its alerts; the console imports the same rule file
(`manage.py rules import`) and the same Alertmanager file (`manage.py alertmanager import`; only the receivers'
addresses differ). Each push of samples goes to both with the same times. Then are compared, and a difference ends the
run with 1:

- when each alert was pending and firing, by the series `ALERTS` that both write: each stretch begins and ends within
  one interval of the other's;
- which alerts each receiver was told of, by all their labels, in which order they began and ended, in which words.

Alertmanager waits for nothing here (`group_wait: 0s`, groups of one alert), since the console never waits; `continue`,
grouping and repeats are what the import says it does not carry, so no route uses them.
"""

import contextlib
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from bench import peers
from bench.harness import TREE, Console, Report, free_port, report_from_arguments, running_console
from bench.receivers import Receivers, receiving
from bench.roles import environment, furnish
from bench.samples import Door, Pushed

ALERTMANAGERS = ("prometheus-alertmanager", "alertmanager")
START_SECONDS = 30
INTERVAL_SECONDS = 5
STEPS, QUICK_STEPS = 36, 18
DRAIN_SECONDS = 30.0
HOSTS = 6
SETTINGS = {"STORM_CONTROL_ENABLED": "false", "OUTBOUND_ALLOWED": "127.0.0.0/8:*"}
HOT = {
    "alert": "Hot", "expr": "peers_temperature > 80", "for": "15s",
    "labels": {"severity": "warning", "team": "{{ $labels.zone }}"},
    "annotations": {"summary": "{{ $labels.instance }} is at {{ $value }} degrees"},
}  # fmt: skip
GROUPS: list[dict[str, Any]] = [
    {"name": "peers-hosts", "interval": f"{INTERVAL_SECONDS}s", "rules": [
        {"alert": "HostDown", "expr": "peers_up == 0", "labels": {"severity": "critical"},
         "annotations": {"summary": "{{ $labels.instance }} is down"}},
        HOT,
        {"alert": "Boiling", "expr": "peers_temperature > 90", "keep_firing_for": "10s", "labels": {"severity": "page"},
         "annotations": {"summary": "{{ $labels.instance }} boils in {{ $labels.zone | toUpper }}"}},
    ]},
    {"name": "peers-zones", "interval": f"{INTERVAL_SECONDS}s", "rules": [
        {"record": "zone:peers_temperature:avg", "expr": "avg by (zone) (peers_temperature)"},
        {"alert": "ZoneHot", "expr": "zone:peers_temperature:avg > 70", "for": "10s",
         "labels": {"severity": "warning"}},
        {"alert": "ZoneBusy", "expr": "sum by (zone) (rate(peers_requests_total[20s])) > 100",
         "annotations": {"summary": "{{ $labels.zone }} is busy"}},
        {"alert": "NobodyBoils", "expr": "absent(peers_temperature > 90)", "for": "10s",
         "labels": {"severity": "info"}},
    ]},
]  # fmt: skip
ROUTE = {
    "receiver": "rest", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "4h",
    "routes": [
        {"receiver": "pager", "matchers": ["severity=~critical|page"]},
        {"receiver": "zones", "matchers": ['team=~"zone-[ab]"'],
         "routes": [{"receiver": "special", "matchers": ["instance=host-1"]}]},
        {"receiver": "zones", "matchers": ["alertname=~Zone.*", "zone!=zone-c"]},
    ],
}  # fmt: skip
INHIBIT = [{"source_matchers": ["alertname=HostDown"], "target_matchers": ["alertname=Hot"], "equal": ["instance"]}]
# The console's own rules speak too, of the machine's load for one: only what the file names is compared.
NAMES = frozenset(rule["alert"] for group in GROUPS for rule in group["rules"] if "alert" in rule)
RECEIVERS = ("rest", "pager", "zones", "special")
# For each host the steps, from and until, in which it is as hot as that, in a run of 18 steps and again in the next.
HEAT: tuple[tuple[tuple[int, int, float], ...], ...] = (
    ((2, 9, 85.0),), ((3, 8, 95.0),), ((4, 6, 85.0),), ((6, 11, 85.0),), ((2, 5, 95.0), (9, 12, 95.0)), (),
)  # fmt: skip
DOWN, DOWN_HOST = (2, 14), 3
BUSY = (5, 10)
Key = tuple[tuple[str, str], ...]


def temperature(host: int, step: int) -> float:
    """Return how hot a host is at a step."""
    return next((heat for start, end, heat in HEAT[host] if start <= step % QUICK_STEPS < end), 50.0)


def samples(pushed: Pushed, step: int, totals: list[float]) -> None:
    """Give every series its value of a step."""
    busy, place = BUSY[0] <= step % QUICK_STEPS < BUSY[1], step % QUICK_STEPS
    for host in range(HOSTS):
        labels = {"instance": f"host-{host}", "zone": f"zone-{'abc'[host // 2]}", "job": "peers"}
        totals[host] += INTERVAL_SECONDS * (200.0 if busy and host >= 3 else 10.0)
        down = host == DOWN_HOST and DOWN[0] <= place < DOWN[1]
        pushed.put({"__name__": "peers_temperature", **labels}, temperature(host, step))
        pushed.put({"__name__": "peers_up", **labels}, 0.0 if down else 1.0)
        pushed.put({"__name__": "peers_requests_total", **labels}, totals[host])


# The two products.


def alertmanager_file(receivers: Receivers, whose: str) -> str:
    """Return the Alertmanager file with one product's receivers; JSON is YAML."""
    return json.dumps({
        "route": ROUTE, "inhibit_rules": INHIBIT,
        "receivers": [
            {"name": name, "webhook_configs": [{"url": receivers.url(f"{whose}/{name}")}]} for name in RECEIVERS
        ],
    })  # fmt: skip


@contextlib.contextmanager
def alertmanager(program: str, receivers: Receivers) -> Iterator[int]:
    """Run an Alertmanager; yields its port."""
    root, port = Path(tempfile.mkdtemp(prefix="aivillage-peer-")), free_port()
    (root / "alertmanager.yml").write_text(alertmanager_file(receivers, "peer"))
    command = [
        program, f"--config.file={root}/alertmanager.yml", f"--storage.path={root}/data", "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + START_SECONDS
        while not _ready(f"http://127.0.0.1:{port}/-/ready"):
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"{program} did not start: {(root / 'log').read_text()[-500:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(root, ignore_errors=True)


def _ready(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=1).is_success
    return False


@contextlib.contextmanager
def prometheus(alertmanager_port: int) -> Iterator[str]:
    """Run Prometheus with the rules; yields its address."""

    def prepare(root: Path, _port: int) -> None:
        (root / "rules.yml").write_text(json.dumps({"groups": GROUPS}))
        (root / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1h", "evaluation_interval": f"{INTERVAL_SECONDS}s"},
            "rule_files": [f"{root}/rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]},
        }))  # fmt: skip

    with peers.running("prometheus", prepare=prepare) as peer:
        yield f"http://127.0.0.1:{peer.port}"


def imported(report: Report, console: Console, receivers: Receivers) -> None:
    """Give the console the two files, and print what it says it cannot carry."""
    env = {**os.environ, **environment(console), "ROLE": "bench"}
    for name, text in (
        ("rules", json.dumps({"groups": GROUPS})),
        ("alertmanager", alertmanager_file(receivers, "console")),
    ):
        path = console.root / f"{name}.yml"
        path.write_text(text)
        done = subprocess.run(
            [sys.executable, "manage.py", name, "import", str(path)],
            cwd=TREE, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} could not be imported:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
        for line in done.stdout.splitlines():
            if line.startswith("not carried") or line == done.stdout.splitlines()[-1]:
                report.note(f"{name} import: {line}")


# What was seen.


@dataclass
class Seen:
    """What one product did: stretches of each alert by state and labels, and what its receivers were told."""

    stretches: dict[tuple[str, Key], list[tuple[float, float]]] = field(default_factory=dict)
    told: dict[tuple[str, Key], list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    told_at: dict[tuple[str, Key], list[float]] = field(default_factory=lambda: defaultdict(list))

    def hear(self, receiver: str, labels: Mapping[str, str], status: str, summary: str, at: float) -> None:
        """Note one message about one alert; saying the same again is no news."""
        key = (receiver, tuple(sorted(labels.items())))
        if not self.told[key] or self.told[key][-1][0] != status:
            self.told[key].append((status, summary if status == "firing" else ""))
            self.told_at[key].append(at)


def stretches(url: str, headers: Mapping[str, str], since: float) -> dict[tuple[str, Key], list[tuple[float, float]]]:
    """Return from when until when each alert was pending and firing, by the series ALERTS.

    What began before the run is left out: Prometheus writes the series only once it has restored what it knew.
    """
    found: dict[tuple[str, Key], list[tuple[float, float]]] = {}
    answer = httpx.get(f"{url}/api/v1/query", params={"query": "ALERTS[30m]"}, headers=dict(headers), timeout=30)
    for row in answer.raise_for_status().json()["data"]["result"]:
        if row["metric"]["alertname"] not in NAMES:
            continue
        labels = {name: text for name, text in row["metric"].items() if name not in ("__name__", "alertstate")}
        times = [float(at) for at, _ in row["values"]]
        breaks = [0, *(n for n, (a, b) in enumerate(pairwise(times), 1) if b - a > 1.5 * INTERVAL_SECONDS), len(times)]
        key = (row["metric"]["alertstate"], tuple(sorted(labels.items())))
        spans = [(times[start], times[end - 1] + INTERVAL_SECONDS) for start, end in pairwise(breaks)]
        found[key] = [span for span in spans if span[0] > since]
    return found


def ours(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of an alert as its rule gave them; the console keeps the severity's own text beside its own."""
    labels = {**message["labels"], "alertname": message["alert_name"]}
    original = labels.pop("severity_original", None)
    labels.pop("severity", None)
    return {**labels, "severity": original} if original else labels


def hear_all(receivers: Receivers) -> tuple[Seen, Seen]:
    """Return what the receivers of the console and of Alertmanager were told."""
    console, peer = Seen(), Seen()
    for receipt in list(receivers.receipts):
        _, whose, receiver = receipt.path.split("/")
        message = receipt.payload
        if whose == "peer":
            for alert in message["alerts"]:
                summary = alert["annotations"].get("summary", "")
                peer.hear(receiver, alert["labels"], alert["status"], summary, receipt.at)
        elif message["alert_name"] in NAMES:
            console.hear(receiver, ours(message), message["status"], message["summary"], receipt.at)
    return console, peer


# Comparing.


def compare_times(report: Report, console: Seen, peer: Seen) -> int:
    """Print how far the times are apart; return the number of differences."""
    wrong, apart = [], []
    for key in sorted(set(console.stretches) | set(peer.stretches)):
        mine, their = console.stretches.get(key, []), peer.stretches.get(key, [])
        gaps = [abs(a - b) for one, other in zip(mine, their, strict=False) for a, b in zip(one, other, strict=True)]
        apart += gaps
        if len(mine) != len(their) or max(gaps, default=0.0) > INTERVAL_SECONDS:
            wrong.append(f"{key[0]} {dict(key[1])}: {shown(mine)}; Prometheus {shown(their)}")
    report.figure("times: stretches of alerts compared", len(apart) // 2, "")
    report.figure("times: apart, median", statistics.median(apart) if apart else 0.0, "s")
    report.figure("times: apart, most", max(apart, default=0.0), "s")
    return told_of(report, f"times: more than {INTERVAL_SECONDS} s apart or missing", wrong)


def shown(found: list[tuple[float, float]]) -> str:
    """Return stretches to be read."""
    return ", ".join(f"{start % 10_000:.1f} to {end % 10_000:.1f}" for start, end in found) or "never"


def compare_told(report: Report, console: Seen, peer: Seen) -> int:
    """Print what was told by one and not by the other; return the number of differences."""
    keys = sorted(set(console.told) | set(peer.told))
    wrong = [
        f"{key[0]} {dict(key[1])}: {console.told.get(key)}; Alertmanager {peer.told.get(key)}"
        for key in keys
        if console.told.get(key) != peer.told.get(key)
    ]
    same = [key for key in keys if len(console.told_at.get(key, [])) == len(peer.told_at.get(key, []))]
    later = [a - b for key in same for a, b in zip(console.told_at[key], peer.told_at[key], strict=True)]
    report.figure("told: receivers and alerts compared", len(keys), "")
    for kind in ("firing", "resolved"):
        counts = [sum(status == kind for told in seen.told.values() for status, _ in told) for seen in (console, peer)]
        report.figure(f"told: {kind}, console; Alertmanager", f"{counts[0]}; {counts[1]}", "messages")
    report.figure("told: the console's message after Alertmanager's, median", statistics.median(later or [0.0]), "s")
    report.figure("told: the same, earliest", min(later, default=0.0), "s")
    report.figure("told: the same, latest", max(later, default=0.0), "s")
    return told_of(report, "told: different", wrong)


def told_of(report: Report, label: str, wrong: list[str]) -> int:
    """Print differences and return how many there are."""
    report.figure(label, len(wrong), "alerts")
    for line in wrong:
        report.note(line)
    return len(wrong)


# The run.


def best_moment(url: str) -> float:
    """Return the moment within an interval that is farthest before the next evaluation of everybody."""
    time.sleep(4.0 * INTERVAL_SECONDS)
    groups = httpx.get(f"{url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    # The console evaluates on the grid; Prometheus has for each group a place of its own within the interval.
    times = [dt.datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in groups]
    places = [0.0, *(at % INTERVAL_SECONDS for at in times)]
    moments = [tenth / 10 for tenth in range(10 * INTERVAL_SECONDS)]
    return max(moments, key=lambda moment: min((place - moment) % INTERVAL_SECONDS for place in places))


def run(pushed: Pushed, moment: float, steps: int) -> None:
    """Push step after step, each at the chosen moment of its interval; the last ones are calm."""
    totals = [0.0] * HOSTS
    start = (time.time() // INTERVAL_SECONDS + 1) * INTERVAL_SECONDS + moment
    for step in range(steps + 6):
        time.sleep(max(0.0, start + step * INTERVAL_SECONDS - time.time()))
        samples(pushed, step if step < steps else 0, totals)
        pushed.push_until_taken()


def settle(receivers: Receivers) -> tuple[Seen, Seen]:
    """Wait until both were told the same, or long enough."""
    until = time.monotonic() + DRAIN_SECONDS
    while True:
        console, peer = hear_all(receivers)
        if console.told == peer.told or time.monotonic() > until:
            return console, peer
        time.sleep(1.0)


def main() -> int:
    """Run both side by side; ends with 1 when they differed."""
    report = report_from_arguments("alerting_peers", __doc__ or "")
    program = next((name for name in ALERTMANAGERS if shutil.which(name)), None)
    if program is None or "prometheus" not in peers.installed():
        report.note("Prometheus and Alertmanager are not both installed: nothing was compared")
        return 2
    report.note(f"prometheus {peers.version('prometheus')}, {program} {peers.version(program)}")
    with (
        receiving() as receivers,
        running_console(SETTINGS) as console,
        alertmanager(program, receivers) as port,
        prometheus(port) as url,
    ):
        made = furnish(environment(console), {"scopes": ["ingest:metrics"], "query": True})
        pushed = Pushed([Door(url), Door(console.url, made["token"])])
        samples(pushed, 0, [0.0] * HOSTS)
        pushed.push_until_taken()
        imported(report, console, receivers)
        moment = best_moment(url)
        report.note(f"samples are pushed {moment:.1f} s after the console's grid")
        began = time.time()
        run(pushed, moment, QUICK_STEPS if report.quick else STEPS)
        mine, their = settle(receivers)
        mine.stretches = stretches(console.url, made["query_headers"], began)
        their.stretches = stretches(url, {}, began)
        faults = compare_times(report, mine, their) + compare_told(report, mine, their)
        report.figure("pushes that were not taken at once", pushed.refused, "")
    report.finish()
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
