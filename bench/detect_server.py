"""The whole path of a security event in a running console: door, committed row, Celery, detectors, finding."""

import random
import time
from collections.abc import Sequence
from typing import Any

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from bench.harness import Console, Report, running_console
from bench.roles import environment, furnish

STEADY_PER_SECOND = 50
STEADY_SECONDS, QUICK_STEADY_SECONDS = 20, 5
AT_ONCE, QUICK_AT_ONCE = 5000, 1000
ROWS_A_REQUEST = 500
DRAIN_SECONDS = 120.0
GOAL_MS = 50.0
BUCKET = "0.05"

LAG = """
    SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
               WITHIN GROUP (ORDER BY extract(epoch FROM detected_at - received_at)),
           count(*), count(*) FILTER (WHERE threat_score >= 0.7), max(detected_at) - min(received_at)
    FROM security_securityevent WHERE event_id LIKE %s AND detected_at IS NOT NULL
"""
FOUND = """
    SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM f.found_at - e.received_at)), count(*)
    FROM security_finding f JOIN security_securityevent e ON e.id = f.event_id WHERE e.event_id LIKE %s
"""


def _rows(texts: Sequence[str], phase: str, first: int, count: int) -> list[dict[str, Any]]:
    chosen = random.Random(f"{phase}{first}").choices(texts, k=count)
    return [
        {
            "event_type": "api_request", "event_id": f"{phase}-{first + at}", "user_id": f"user{(first + at) % 997}",
            "source_ip": f"198.18.{(first + at) // 250 % 250}.{(first + at) % 250}",
            "details": {"endpoint": f"/page/{at % 50}", "input_data": text[:2000].encode("utf-8", "replace").decode()},
        }
        for at, text in enumerate(chosen)
    ]  # fmt: skip


def _post(http: httpx.Client, url: str, phase: str, number: int, rows: list[dict[str, Any]]) -> float:
    began = time.perf_counter()
    answer = http.post(f"{url}/api/v1/ingest/security-events", json={"batch_id": f"{phase}-{number}", "rows": rows})
    answer.raise_for_status()
    return time.perf_counter() - began


def _steady(report: Report, http: httpx.Client, url: str, texts: Sequence[str], seconds: int) -> int:
    began = time.monotonic()
    took = []
    for number in range(seconds * STEADY_PER_SECOND):
        time.sleep(max(0.0, began + number / STEADY_PER_SECOND - time.monotonic()))
        took.append(_post(http, url, "steady", number, _rows(texts, "steady", number, 1)))
    report.figure("door: one event a request, p95 to committed", 1000 * sorted(took)[int(0.95 * len(took))], "ms")
    return len(took)


def _at_once(report: Report, http: httpx.Client, url: str, texts: Sequence[str], count: int) -> None:
    began = time.perf_counter()
    for first in range(0, count, ROWS_A_REQUEST):
        _post(http, url, "once", first, _rows(texts, "once", first, ROWS_A_REQUEST))
    report.figure(f"door: {ROWS_A_REQUEST} events a request", count / (time.perf_counter() - began), "events/s")


def _drained(db: psycopg.Connection[Any], phase: str, wanted: int) -> list[Any]:
    until = time.monotonic() + DRAIN_SECONDS
    while True:
        row = db.execute(LAG, (f"{phase}-%",)).fetchone()
        if row is not None and (row[1] >= wanted or time.monotonic() > until):
            return list(row)
        time.sleep(0.2)


def _detectors(report: Report, console: Console) -> None:
    """Print which share of events the detectors were done with inside the goal, by the console's own histogram."""
    total = within = spent = 0.0
    for family in text_string_to_metric_families(httpx.get(f"{console.url}/metrics", timeout=10).text):
        for sample in family.samples:
            if sample.name == "security_detection_duration_seconds_count":
                total += sample.value
            elif sample.name == "security_detection_duration_seconds_sum":
                spent += sample.value
            elif sample.name == "security_detection_duration_seconds_bucket" and sample.labels["le"] == BUCKET:
                within += sample.value
    if total:
        report.figure("detectors: events done within 50 ms", 100 * within / total, "%")
        report.figure("detectors: mean time an event, windows and writing included", 1000 * spent / total, "ms")


def whole_path(report: Report, texts: Sequence[str]) -> None:
    """Send events through a console of its own and read from its tables how long each took."""
    steady, once = (QUICK_STEADY_SECONDS, QUICK_AT_ONCE) if report.quick else (STEADY_SECONDS, AT_ONCE)
    with running_console() as console:
        env = environment(console)
        token = furnish(env, {"scopes": ["ingest:security"]})["token"]
        headers = {"Authorization": f"Bearer {token}"}
        with (
            httpx.Client(timeout=30.0, headers=headers) as http,
            psycopg.connect(env["DATABASE_URL"], autocommit=True) as db,
        ):
            sent = _steady(report, http, console.url, texts, steady)
            lag, seen, caught, _ = _drained(db, "steady", sent)
            report.note(f"{STEADY_PER_SECOND} events a second, {seen} of {sent} seen, {caught} scored 0.7 or more")
            for name, value in zip(("p50", "p95", "p99"), lag or (), strict=False):
                report.figure(f"received to detected, {name}", 1000 * float(value), "ms")
            found = db.execute(FOUND, ("steady-%",)).fetchone()
            if found is not None and found[1]:
                report.figure("received to finding, p95", 1000 * float(found[0]), "ms")
            _at_once(report, http, console.url, texts, once)
            _, seen, caught, took = _drained(db, "once", once)
            report.note(f"{seen} of {once} sent at once were seen, {caught} scored 0.7 or more")
            report.figure("detected through Celery, all sent at once", seen / took.total_seconds(), "events/s")
        _detectors(report, console)
