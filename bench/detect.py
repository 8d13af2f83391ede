"""How well attacks are told from innocent values, how fast, and how long an event takes through the whole server.

Recall and false alarms are printed per source of a corpus of single values, JSON lines {src, kind, payload}: by default
the development half of web-payloads-unified beside this tree. A value is caught from the score that alerts on, by the
scorer of its kind. libinjection, where its package builds, sees the same values in all the readings that decoding
makes of them. Then one console of its own takes events through its door at a steady pace, and many at once.
"""

import argparse
import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aivillage_observability.scoring import ALERT_FROM, TEXT_CHARS_MAX, Injection, score_injection
from aivillage_observability.scoring.decoding import readings
from bench.detect_server import whole_path
from bench.harness import TREE, Report

CORPUS = TREE.parent / "shared/data/web-payloads-unified/dev.jsonl.gz"
QUICK_VALUES = 12_000
WORST_EVENTS, QUICK_WORST_EVENTS = 1000, 120
BUDGET_MS = 50.0
OWN = {"sqli": "sqli", "xss": "xss", "traversal": "traversal", "cmdi": "command"}
HOSTILE = (
    "'", '"', "(", "((((1", "/*", "/*a*/", "--", "#\n", "<", "<a ", "<a b='", '<a b="', "%25", "&#x", "&lt;", "\\x27",
    "0x2e", "' or ", "' or 1=1 ", "union select ", "a ", "1 ", "select a,", "`", "$(", "|id", "; ls ", "../", "..\\",
    "/.../", "{{", "${", "[!]", "=", "@@", "onx=", "data:;a", "url(", "\uff07", "\0", "\n", "f(f(", "\"><", "etc/",
    "['$", "%u002", "%c0%ae", "1.e", "java\tscript:", "='", "a='", "<!--", "*)(",
    "a=1;", "|+a", "for %a in (", "if ", "</a>", '<a ="', "$a[b]{c}", "&#60;", "\\0065", "{a,", "c''a", "http://a@",
)  # fmt: skip
PEER = """
import json, sys
import libinjection
for line in sys.stdin:
    caught = {"sqli": False, "xss": False}
    for text in json.loads(line):
        caught["sqli"] = caught["sqli"] or libinjection.is_sql_injection(text)["is_sqli"]
        caught["xss"] = caught["xss"] or libinjection.is_xss(text)["is_xss"]
    print(json.dumps(caught))
"""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the corpus and what it is said to be."""

    source: str
    kind: str
    text: str


def corpus(path: Path, most: int | None) -> list[Value]:
    """Read a corpus; of a long one a random part is taken, the same one every time."""
    raw = path.read_bytes()
    rows = [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()]
    values = [Value(row["src"], row["kind"], row["payload"]) for row in rows]
    return random.Random(7).sample(values, most) if most is not None and most < len(values) else values


def quantiles(report: Report, label: str, seconds: Sequence[float], peers: Mapping[str, float] | None = None) -> None:
    """Print p50, p95 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    for name, cut in (("p50", cuts[49]), ("p95", cuts[94]), ("p99", cuts[98])):
        report.figure(f"{label}, {name}", 1000 * cut, "ms", peers=peers if name == "p99" else None)


def scored(report: Report, values: Sequence[Value]) -> list[Injection]:
    """Score every value once, timed by the processor time of this thread, so that neighbours do not count."""
    seconds, found = [], []
    began = time.thread_time()
    for value in values:
        before = time.thread_time()
        found.append(score_injection(value.text))
        seconds.append(time.thread_time() - before)
    report.figure("scoring, one thread", len(values) / (time.thread_time() - began), "events/s")
    quantiles(report, "scoring a value", seconds)
    return found


def worst(report: Report, events: int) -> None:
    """Score texts of 64 Ki characters made to be slow."""
    seconds = []
    for number in range(events):
        sign = HOSTILE[number % len(HOSTILE)]
        text = (sign * TEXT_CHARS_MAX)[:TEXT_CHARS_MAX]
        before = time.thread_time()
        score_injection(text)
        seconds.append(time.thread_time() - before)
    quantiles(report, f"scoring {events} hostile texts of 64 Ki", seconds, {"budget": BUDGET_MS})


def shares(values: Sequence[Value], caught: Callable[[int, Value], bool]) -> dict[tuple[str, str], float]:
    """Return for each source and kind the share that was caught, in percent."""
    seen: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for at, value in enumerate(values):
        seen[value.source, value.kind].append(caught(at, value))
    return {key: 100 * sum(marks) / len(marks) for key, marks in sorted(seen.items())}


def quality(
    report: Report, values: Sequence[Value], found: Sequence[Injection], peer: Sequence[Mapping[str, bool]]
) -> None:
    """Print recall and false alarms per source, beside the peer where it ran."""

    def own(at: int, value: Value) -> bool:
        scores = found[at]
        score = scores.worst if value.kind == "benign" else getattr(scores, OWN[value.kind])
        return bool(score.value >= ALERT_FROM)

    mine = shares(values, own)
    wide = shares(values, lambda at, _: found[at].worst.value >= ALERT_FROM)
    theirs = shares(values, lambda at, value: _peer_caught(peer[at], value)) if peer else {}
    counts = shares(values, lambda _at, _value: True)
    for source, kind in counts:
        key = (source, kind)
        sizes = sum(value.source == source and value.kind == kind for value in values)
        peers = {"libinjection": theirs[key]} if key in theirs and kind in {"sqli", "xss", "benign"} else None
        label = "false alarms" if kind == "benign" else f"recall {kind}"
        report.figure(f"{label}, {source} ({sizes} values)", mine[key], "%", peers=peers)
        if peers:
            report.note(f"libinjection: {peers['libinjection']:.2f} %")
        if wide[key] != mine[key]:
            report.figure(f"{label} by any scorer, {source}", wide[key], "%")


def _peer_caught(verdict: Mapping[str, bool], value: Value) -> bool:
    return any(verdict.values()) if value.kind == "benign" else verdict.get(value.kind, False)


def libinjection(report: Report, values: Sequence[Value], read: Callable[[str], list[str]]) -> list[dict[str, bool]]:
    """Build libinjection in an environment of its own and ask it about the same readings; empty where it cannot be."""
    with tempfile.TemporaryDirectory(prefix="aivillage-bench-") as directory:
        python = Path(directory) / "bin/python"
        for command in (
            [sys.executable, "-m", "venv", directory],
            [str(python), "-m", "pip", "install", "--quiet", "libinjection-python==1.1.6"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                report.note(f"libinjection is not beside ours: {done.stderr.strip()[-200:]}")
                return []
        lines = "\n".join(json.dumps(read(value.text)) for value in values)
        began = time.perf_counter()
        done = subprocess.run([str(python), "-c", PEER], input=lines, capture_output=True, text=True, check=False)
        report.figure("libinjection, one process", len(values) / (time.perf_counter() - began), "events/s")
    return [json.loads(line) for line in done.stdout.splitlines()]


def halves(report: Report, values: Sequence[Value], found: Sequence[Injection]) -> None:
    """Print how far recall lies apart between random halves: what chance alone makes of another sample."""
    apart: dict[str, list[float]] = defaultdict(list)
    for turn in range(20):
        side = [random.Random(f"{turn}-{at}").random() < 0.5 for at in range(len(values))]
        for kind, name in OWN.items():
            caught = [
                [getattr(found[at], name).value >= ALERT_FROM for at, value in enumerate(values)
                 if value.kind == kind and side[at] is half]
                for half in (True, False)
            ]  # fmt: skip
            if all(caught):
                apart[kind].append(abs(sum(caught[0]) / len(caught[0]) - sum(caught[1]) / len(caught[1])))
    for kind, distances in apart.items():
        report.figure(f"recall {kind} between random halves, mean distance", 100 * statistics.mean(distances), "points")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.detect", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller run, under 60 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    parser.add_argument("--corpus", type=Path, default=CORPUS, metavar="FILE", help="values as JSON lines, or .gz")
    parser.add_argument("--no-server", action="store_true", help="leave the whole path out")
    asked = parser.parse_args()
    report = Report("detect", asked.quick, asked.json)
    values: list[Value] = []
    if asked.corpus.exists():
        values = corpus(asked.corpus, QUICK_VALUES if asked.quick else None)
        report.note(f"{len(values)} values of {asked.corpus.name}; caught from {ALERT_FROM} on; single-threaded")
        found = scored(report, values)
        peer = libinjection(report, values, readings)
        quality(report, values, found, peer)
        halves(report, values, found)
    else:
        report.note(f"no corpus at {asked.corpus.name}: give one with --corpus")
    worst(report, QUICK_WORST_EVENTS if asked.quick else WORST_EVENTS)
    if not asked.no_server:
        whole_path(report, [value.text for value in values] or list(HOSTILE))
    report.finish()


if __name__ == "__main__":
    main()
