"""The label index: how fast a million series are loaded cold, how fast matchers find among them, what they hold."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import django
import numpy as np
import psutil

from bench import roles
from bench.harness import Report, report_from_arguments, running_console

CHILD = "BENCH_LABELS_SERIES"
METRICS = 100
# Ten labels a series, as an HTTP service behind a mesh has them; one million of them are 500 instances.
FILL = """
INSERT INTO metrics_metric (id, name, type, unit, help)
    SELECT 900000 + m, 'bench_metric_' || m, 'counter', '', '' FROM generate_series(0, %(metrics)s - 1) m;
INSERT INTO metrics_series (id, metric_id, fingerprint, labels, created_at, last_seen_at)
    SELECT 200000000 + (i / %(each)s) * (%(each)s + 200) / 200 * 200 + i %% %(each)s, 900000 + i / %(each)s,
           decode(md5(i::text), 'hex'),
           jsonb_build_object(
               '__name__', 'bench_metric_' || i / %(each)s, 'cluster', 'eu-west-1', 'job', 'api-server',
               'instance', '10.0.' || (i / 20 %% 500) / 250 || '.' || (i / 20 %% 500) %% 250 || ':9100',
               'pod', 'api-server-7d9f8b6c5-' || i / 20 %% 500, 'zone', 'z' || i %% 10,
               'handler', '/api/v1/resource' || i %% 20, 'code', (ARRAY['200', '201', '404', '500'])[1 + i %% 4],
               'method', (ARRAY['GET', 'POST'])[1 + i %% 2], 'shard', 's' || i %% 100),
           now(), now()
    FROM generate_series(0, %(series)s - 1) i;
"""
MATCHERS = {
    "name": [("__name__", "=", "bench_metric_7")],
    "name and instance": [("__name__", "=", "bench_metric_7"), ("instance", "=", "10.0.1.100:9100")],
    "name and a pattern": [("__name__", "=", "bench_metric_7"), ("handler", "=~", "/api/v1/resource1.*")],
    "name, no 5xx, one pod": [
        ("__name__", "=", "bench_metric_7"),
        ("code", "!~", "5.."),
        ("pod", "=", "api-server-7d9f8b6c5-44"),
    ],
    "no name, one pod": [("pod", "=", "api-server-7d9f8b6c5-44")],
}


def median_ms(call: Callable[[], object], repeats: int = 20) -> float:
    """Return the median time of a call."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        taken.append((time.perf_counter() - begun) * 1000)
    return float(np.median(taken))


def inside(report: Report, series: int) -> None:
    """Fill, load and ask, in a process that has the console's environment."""
    django.setup()
    from django.db import connection  # noqa: PLC0415

    from metrics.promql.types import Matcher  # noqa: PLC0415
    from metrics.store.postgres import PostgresStore  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(FILL, {"metrics": METRICS, "each": series // METRICS, "series": series})
        cursor.execute("ANALYZE metrics_series")
    process = psutil.Process()
    before = process.memory_info().rss
    store = PostgresStore()
    begun, used = time.perf_counter(), process.cpu_times().user
    store.refresh()
    seconds = time.perf_counter() - begun
    used = process.cpu_times().user - used
    report.figure("series", float(len(store.catalogue)))
    report.figure("loaded cold, a million series", seconds / len(store.catalogue) * 1e6, "s")
    report.figure("of that in this process, a million series", used / len(store.catalogue) * 1e6, "s of CPU")
    report.figure("memory, a million series", (process.memory_info().rss - before) / len(store.catalogue), "MB")
    for label, matchers in MATCHERS.items():
        asked = [Matcher(name, op, value) for name, op, value in matchers]  # type: ignore[arg-type]
        found = sum(part.rows.size for part in store.catalogue.find(asked))
        taken = median_ms(partial(store.catalogue.find, asked))
        report.figure(f"matcher: {label} ({found} series)", taken, "ms")
    report.figure("nothing new since the last look", median_ms(store.refresh), "ms")
    report.finish()


def main() -> None:
    """Start a console for its database and measure in a process beside it."""
    report = report_from_arguments("labels", __doc__ or "")
    series = 100_000 if report.quick else 1_000_000
    if os.environ.get(CHILD):
        inside(report, int(os.environ[CHILD]))
        return
    with running_console() as console:
        env = {**roles.environment(console), "ROLE": "bench", CHILD: str(series)}
        env["DJANGO_SETTINGS_MODULE"] = "aivillage_console.settings"
        subprocess.run([sys.executable, "-m", "bench.labels", *sys.argv[1:]], env=env, check=True)


if __name__ == "__main__":
    main()
