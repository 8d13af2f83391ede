"""The engine beside a running Prometheus: the same random samples in both, generated queries, answers compared.

Samples lie off whole seconds and evaluations elsewhere, so that no sample lies on the edge of a window: Prometheus 2
counts the left edge in, version 3 and the engine do not. Counters begin at 1000 after a reset, because versions differ
in how far they extrapolate below zero.
"""

import itertools
import random
from collections.abc import Callable, Iterator

import httpx
import numpy as np

from bench import peers
from bench.conformance import Answer, answer_of, same
from bench.harness import Report, report_from_arguments
from bench.peers import Peer
from bench.remote_write import Labels, Target, bodies, send
from metrics.promql.engine import evaluate
from metrics.promql.memory import MemorySource
from metrics.promql.types import STALE_NAN, Floats, Ints, QueryError, SeriesColumns

PROGRAM = "prometheus"
START_MS = 1_790_000_000_321
FIRST_MS, LAST_MS, STEP_MS = START_MS + 1_800_456, START_MS + 5_400_456, 97_000
SCRAPES, SCRAPE_MS = 400, 15_000
TOLERANCE = 1e-7
SEED = 20_261_121
COUNTING = ("rate", "increase", "irate", "resets", "changes")
DRIFT = ("delta", "idelta", "deriv", "resets", "changes")
OVER_TIME = ("sum", "avg", "min", "max", "count", "last", "stddev", "stdvar", "present")
ELEMENTWISE = ("abs", "ceil", "floor", "sqrt", "ln", "sgn", "hour", "minute", "day_of_week", "sin", "round")
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group")
# Without atan2, which keeps the metric's name in Prometheus 2.
ARITHMETIC = ("+", "-", "*", "/", "%")
COMPARISONS = (">", "<", ">=", "<=", "==", "!=")


def series_of(job: str) -> list[Labels]:
    """Name the gauges, counters and buckets of one job."""
    instances = [{"job": job, "instance": f"{job}{number}"} for number in range(4)]
    plain = [{"__name__": name, **one} for name, one in itertools.product(("gauge", "other", "hits_total"), instances)]
    bounds = ("0.1", "0.5", "1", "5", "+Inf")
    return plain + [{"__name__": "h_bucket", "le": le, **one} for one, le in itertools.product(instances, bounds)]


def values_of(series: list[Labels], rng: np.random.Generator) -> Floats:
    """Make a row of samples for each series, with stale markers and counter resets among them."""
    rows = np.empty((len(series), SCRAPES))
    for row, labels in enumerate(series):
        if labels["__name__"] in {"gauge", "other"}:
            rows[row] = rng.normal(3, 20, SCRAPES)
            continue
        level = {"0.1": 1, "0.5": 2, "1": 3, "5": 4}.get(labels.get("le", ""), 5)
        steps = 1000 + np.cumsum(rng.integers(1, 9, SCRAPES)) * level
        rows[row] = np.concatenate((steps[: SCRAPES // 2], steps[: SCRAPES - SCRAPES // 2]))
    rows[rng.random(rows.shape) < 0.02] = STALE_NAN
    return rows


def times_of(offset_ms: int, rng: np.random.Generator) -> Ints:
    """Make the instants of a job's scrapes, none on a whole second, with gaps longer than the look-back."""
    gaps = np.where(rng.random(SCRAPES) < 0.01, 30, 1)
    times: Ints = START_MS + offset_ms + np.cumsum(gaps) * SCRAPE_MS + rng.integers(0, 200, SCRAPES)
    return times


def loaded(peer: Peer) -> MemorySource:
    """Send the samples to the peer and keep the same in memory."""
    rng = np.random.default_rng(SEED)
    labels: list[Labels] = []
    requests: list[tuple[int, bytes]] = []
    times, values = [], []
    for job, offset_ms in (("a", 0), ("b", 7_000)):
        series, at = series_of(job), times_of(offset_ms, rng)
        rows = values_of(series, rng)
        requests += zip(at.tolist(), bodies(series, rows, at.tolist(), len(series)), strict=True)
        labels += series
        times.append(np.tile(at, len(series)))
        values.append(rows.ravel())
    # Prometheus takes nothing that lies far behind the newest sample.
    send(Target(peer.port), [body for _, body in sorted(requests)], connections=1)
    offsets = np.arange(len(labels) + 1, dtype=np.int64) * SCRAPES
    return MemorySource(SeriesColumns(labels, offsets, np.concatenate(times), np.concatenate(values)))


def _vector(pick: random.Random, depth: int) -> str:
    window = pick.choice(("1m", "5m", "17m"))
    choices: list[Callable[[], str]] = [
        lambda: pick.choice(("gauge", "other", 'gauge{job="a"}', 'other{instance=~"a.*"}', "gauge offset 3m")),
        lambda: f"{pick.choice(COUNTING)}(hits_total[{window}])",
        lambda: f"{pick.choice(DRIFT)}(other[{window}])",
        lambda: f"{pick.choice(OVER_TIME)}_over_time(gauge[{window}])",
        lambda: f"quantile_over_time({pick.choice((0, 0.3, 0.9, 2))}, other[{window}])",
        lambda: f"predict_linear(gauge[{window}], 60)",
        lambda: f"histogram_quantile({pick.choice((0, 0.5, 0.93, 1))}, rate(h_bucket[{window}]))",
        lambda: f"histogram_quantile(0.7, sum by (le, job) (increase(h_bucket[{window}])))",
        lambda: f"avg_over_time(rate(hits_total[2m])[{window}:1m])",
        lambda: f"max_over_time(gauge[{window}:30s])",
    ]
    if depth:
        inner = [_vector(pick, depth - 1) for _ in range(2)]
        choices += [
            lambda: f"{pick.choice(ELEMENTWISE)}({inner[0]})",
            lambda: f"{pick.choice(AGGREGATIONS)} by (job) ({inner[0]})",
            lambda: f"{pick.choice(AGGREGATIONS)} without (instance) ({inner[0]})",
            lambda: f"quantile by (job) ({pick.choice((0.1, 0.5))}, {inner[0]})",
            lambda: f"{pick.choice(('topk', 'bottomk'))}({pick.choice((1, 3))}, gauge)",
            lambda: f"({inner[0]}) {pick.choice(ARITHMETIC)} ({inner[1]})",
            lambda: f"({inner[0]}) {pick.choice(COMPARISONS)} bool ({inner[1]})",
            lambda: f"({inner[0]}) {pick.choice(COMPARISONS)} {pick.choice((0, 2.5))}",
            lambda: f"({inner[0]}) {pick.choice(('and', 'or', 'unless'))} ({inner[1]})",
            lambda: f"({inner[0]}) {pick.choice(ARITHMETIC)} on (job) group_left () sum by (job) ({inner[1]})",
            lambda: f"({inner[0]}) {pick.choice(ARITHMETIC)} on (job) ({inner[1]})",
            lambda: f"clamp({inner[0]}, -2, {pick.choice((0.5, 7))})",
            lambda: f"absent({inner[0]})",
            lambda: f'label_replace({inner[0]}, "kind", "k-$1", "instance", "(.).*")',
            lambda: f'count_values by (job) ("v", floor(({inner[0]}) / 10))',
        ]
    return pick.choice(choices)()


def queries(count: int) -> Iterator[str]:
    """Generate distinct queries, always the same ones."""
    pick = random.Random(SEED)
    seen: set[str] = set()
    while len(seen) < count:
        query = _vector(pick, pick.choice((0, 1, 2, 2)))
        if query not in seen:
            seen.add(query)
            yield query


def ours(query: str, source: MemorySource) -> Answer | None:
    """Answer by the engine; None is an error."""
    try:
        return answer_of(evaluate(query, start_ms=FIRST_MS, end_ms=LAST_MS, step_ms=STEP_MS, source=source))
    except QueryError:
        return None


def theirs(query: str, client: httpx.Client) -> Answer | None:
    """Answer by the peer; None is an error."""
    window = {"start": FIRST_MS / 1000, "end": LAST_MS / 1000, "step": STEP_MS / 1000}
    answer = client.get("/api/v1/query_range", params={"query": query, **window}).json()
    if answer["status"] != "success":
        return None
    return {
        frozenset(one["metric"].items()): {round(at * 1000): float(text) for at, text in one["values"]}
        for one in answer["data"]["result"]
    }


def agree(mine: Answer | None, other: Answer | None) -> bool:
    """Tell whether both failed, or both say the same."""
    if mine is None or other is None:
        return mine is other
    return same(mine, other, TOLERANCE)


def compare(report: Report, count: int) -> None:
    """Ask both every query and count where they agree."""
    agreed = failed = 0
    with peers.running(PROGRAM) as peer, httpx.Client(base_url=f"http://127.0.0.1:{peer.port}", timeout=30) as client:
        source = loaded(peer)
        for query in queries(count):
            mine, other = ours(query, source), theirs(query, client)
            failed += mine is None and other is None
            if agree(mine, other):
                agreed += 1
            else:
                report.note(f"differs: {query}")
    report.figure("queries answered alike", agreed, f"of {count}")
    report.figure("of these refused by both", failed)


def main() -> None:
    """Compare with Prometheus where it is installed."""
    report = report_from_arguments("promql_diff", __doc__ or "")
    if PROGRAM not in peers.installed():
        report.figure("skipped", f"{PROGRAM} is not installed")
    else:
        report.note(
            f"Prometheus {peers.version(PROGRAM)}, {SCRAPES} scrapes of 64 series, relative tolerance {TOLERANCE}"
        )
        compare(report, 100 if report.quick else 400)
    report.finish()


if __name__ == "__main__":
    main()
