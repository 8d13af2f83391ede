"""Conformance over HTTP: the golden data set loaded by remote write, the golden queries asked of everybody there is.

The console is a whole one of its own, with the doors' bounds on time and the retention raised by settings; Prometheus
and VictoriaMetrics are asked the same where they are installed.
"""

import contextlib
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench import peers, roles
from bench.conformance import COMPLIANCE_TOLERANCE, Answer, corpora_dir, same
from bench.harness import Report, report_from_arguments, running_console
from bench.ingest import LIMITS, Product, cpu_seconds
from bench.remote_write import Labels, Target, history, send
from metrics.promql.types import STALE_NAN

TEN_YEARS_SECONDS = 10 * 365 * 86_400
SETTINGS = {
    **LIMITS,
    "INGEST_PAST_SECONDS": str(TEN_YEARS_SECONDS),
    "BACKFILL_PAST_SECONDS": str(TEN_YEARS_SECONDS),
    "RETENTION_DAYS": "3650",
}
SPAN_MS = 600_000
QUICK = 60


def lines_of(path: Path) -> Iterator[Any]:
    """Yield the documents of a compressed file."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def load(folder: Path, products: Sequence[Product]) -> int:
    """Send the data set to everybody, ten minutes after the other; returns how many samples it has.

    An hour behind the newest sample Prometheus takes nothing more.
    """
    spans: dict[int, list[tuple[Labels, list[tuple[int, float]]]]] = {}
    sent = 0
    for one in lines_of(folder / "golden-dataset.jsonl.gz"):
        found: dict[int, list[tuple[int, float]]] = {}
        for at, value in one["samples"]:
            found.setdefault(at // SPAN_MS, []).append((at, STALE_NAN if value == "stale" else float(value)))
        for span, samples in found.items():
            spans.setdefault(span, []).append((one["labels"], samples))
            sent += len(samples)
    requests = [history(spans[span]) for span in sorted(spans)]
    for product in products:
        send(product.target, requests, connections=1)
    return sent


def answer_of(told: httpx.Response) -> Answer | None:
    """Return an answer as samples by label set, None where the query was refused."""
    document = told.json()
    if document["status"] != "success":
        return None
    return {
        frozenset(one["metric"].items()): {round(float(at) * 1000): float(text) for at, text in one["values"]}
        for one in document["data"]["result"]
    }


def passes(product: Product, client: httpx.Client, query: dict[str, Any]) -> bool:
    """Ask one query and compare."""
    told = client.get(
        f"http://127.0.0.1:{product.target.port}/api/v1/query_range",
        params={**product.parameters, **{name: query[name] for name in ("query", "start", "end", "step")}},
    )
    got = answer_of(told)
    if query["should_fail"] or got is None:
        return bool(query["should_fail"]) and got is None and told.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    wanted = {
        frozenset(one["metric"].items()): {round(at * 1000): float(text) for at, text in one["values"]}
        for one in query["result"] or []
    }
    return same(got, wanted, COMPLIANCE_TOLERANCE)


def measure(report: Report, product: Product, queries: Sequence[dict[str, Any]], *, names_failures: bool) -> None:
    """Count what a product answers as recorded."""
    with httpx.Client(headers=product.headers, timeout=120) as client:
        failed = [query["query"] for query in queries if not passes(product, client, query)]
    report.figure(f"{product.name}: queries passed", len(queries) - len(failed), f"of {len(queries)}")
    for query in failed if names_failures else failed[:0]:
        report.note(f"failed: {product.name} {query}")


def main() -> None:
    """Load everybody, ask everybody; `--quick` asks a part of the queries of the console alone."""
    report = report_from_arguments("promql_compliance", __doc__ or "")
    corpora = corpora_dir()
    folder = None if corpora is None else corpora / "prom-compliance" / "promql"
    if folder is None or not folder.is_dir():
        report.figure("skipped", "CORPORA_DIR is not set and no corpora lie beside the project")
        report.finish()
        return
    queries = list(lines_of(folder / "golden-results.jsonl.gz"))
    if report.quick:
        queries = queries[:: len(queries) // QUICK]
    with contextlib.ExitStack() as stack:
        others = []
        for name in [] if report.quick else peers.installed():
            peer = stack.enter_context(peers.running(name))
            parameters = {"nocache": "1"} if peer.nocache else {}
            others.append(Product(f"{name} {peers.version(name)}", Target(peer.port), peer.cpu_seconds, parameters))
        console = stack.enter_context(running_console(SETTINGS))
        made = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics", "backfill"], "query": True})
        target = Target(urlsplit(console.url).port or 80, token=made["token"])
        ours = Product("console", target, lambda: cpu_seconds(console), headers=made["query_headers"])
        report.figure("samples loaded", load(folder, [ours, *others]))
        for product in (ours, *others):
            measure(report, product, queries, names_failures=product is ours)
    report.finish()


if __name__ == "__main__":
    main()
