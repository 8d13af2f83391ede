"""Bytes a sample as a console has them that takes the mixed set of `bench.storage` as it comes, a minute at a time.

A whole day cannot be waited for: the store and the compactor's own steps are called with the clock of the day, 1,440
passes, each after the four samples of its minute, then those of the night that pack and roll up the day. PostgreSQL
vacuums the tables that are emptied and filled again every quarter of an hour of that clock, as its autovacuum does.
Nothing goes over HTTP. What is measured is what `bench.storage` measures, which sends the day at once as backfill does.
"""

import os

import django
import numpy as np
import psycopg

from bench.compactor_kills import server
from bench.harness import Report, report_from_arguments
from bench.storage import DAY_MS, GOAL, SAMPLE_TABLES, SERIES_TABLES, STEP_MS, STEPS, day_before, made, sizes

MINUTE_MS = 60_000
STEPS_A_MINUTE = MINUTE_MS // STEP_MS
VACUUM_MINUTES = 15
NIGHT_MINUTES = 240
DATA = "SELECT coalesce(sum(octet_length(data)), 0)::bigint FROM {}"


def replayed(labels: list[dict[str, str]], columns: np.ndarray, connection: psycopg.Connection[tuple[int, ...]]) -> int:
    """Take the day in; returns how many samples were stored."""
    from bench import storage_replay  # noqa: PLC0415 - only now is Django set up

    ids, begin = storage_replay.series(labels), day_before()
    minutes = STEPS // STEPS_A_MINUTE
    for minute in range(minutes + NIGHT_MINUTES):
        now_ms = begin + (minute + 1) * MINUTE_MS
        if minute < minutes:
            first = minute * STEPS_A_MINUTE
            times = begin + np.arange(first, first + STEPS_A_MINUTE) * STEP_MS
            storage_replay.append(ids, times, columns[:, first : first + STEPS_A_MINUTE])
        storage_replay.passed(now_ms)
        if minute % VACUUM_MINUTES == 0:
            for table in ("metrics_headblock", "metrics_recentblock"):
                connection.execute(f"VACUUM {table}")
    row = connection.execute("SELECT sum(samples)::bigint FROM metrics_groupblock").fetchone()
    return int(row[0] or 0) if row else 0


def told(report: Report, connection: psycopg.Connection[tuple[int, ...]], samples: int) -> None:
    """Print each table and the sums."""
    for table in (*SAMPLE_TABLES, *SERIES_TABLES):
        connection.execute(f"VACUUM {table}")
    found = sizes(connection, (*SAMPLE_TABLES, *SERIES_TABLES))
    for table, size in found.items():
        report.figure(table, size / samples, "B/sample")
    for table in ("metrics_groupblock", "metrics_rollupblock"):
        row = connection.execute(DATA.format(table)).fetchone()
        report.figure(f"{table}, data alone", (row[0] if row else 0) / samples, "B/sample")
    raw = found["metrics_groupblock"] + found["metrics_recentblock"] + found["metrics_headblock"]
    report.figure("raw samples, all their tables", raw / samples, "B/sample", peers={"goal": GOAL})
    report.figure("the same with roll-ups", (raw + found["metrics_rollupblock"]) / samples, "B/sample")
    report.figure("series and names", sum(found[table] for table in SERIES_TABLES) / samples, "B/sample")


def main() -> None:
    """Replay and measure."""
    report = report_from_arguments("storage_live", __doc__ or "")
    labels, columns = made(quick=report.quick)
    report.note(f"{len(labels):,} series, {columns.size:,} samples, {DAY_MS // MINUTE_MS:,} passes and a night's")
    with server() as postgres:
        os.environ |= {
            "DATABASE_URL": postgres.url, "DJANGO_SETTINGS_MODULE": "aivillage_console.settings", "ROLE": "bench",
            "SECRET_KEY": "only-for-a-bench-that-serves-nobody-and-keeps-nothing", "STATE_DIR": str(postgres.root),
        }  # fmt: skip
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            stored = replayed(labels, columns, connection)
            if stored != columns.size:
                raise RuntimeError(f"{stored:,} of {columns.size:,} samples were packed")
            told(report, connection, columns.size)
    report.finish()


if __name__ == "__main__":
    main()
