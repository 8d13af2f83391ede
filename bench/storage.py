"""Bytes a sample on disk of a mixed set: 2,000 series, half counters and half gauges, a day that is over, every 15 s.

Twenty metrics of 100 series each (`SHAPES` has their makers and the seeds are fixed), sent by remote write in the order
of time. What is measured:

* console: `pg_total_relation_size` (rows, TOAST, indexes) of every table that holds samples, after the compactor has
  packed the day and PostgreSQL has vacuumed as its autovacuum does; the tables of series and names are told apart.
* Prometheus: the blocks of a snapshot that its admin API takes, which holds everything, chunks and index; without its
  write-ahead log. The full run first waits until the head is compacted as far as Prometheus does by itself.
* VictoriaMetrics: its directories `data` and `indexdb` after `force_flush` and `force_merge`.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import numpy.typing as npt
import psycopg

from bench import peers, roles
from bench.harness import Console, Report, report_from_arguments, running_console
from bench.ingest import LIMITS
from bench.remote_write import Labels, Target, bodies, send

STEP_MS = 15_000
DAY_MS = 86_400_000
SERIES_PER_METRIC = {True: 20, False: 100}
STEPS = DAY_MS // STEP_MS
# So many steps are made into requests at a time.
CHUNK_STEPS = 240
GOAL = 1.0
PACK_SECONDS = 400.0
HEAD_SECONDS = 120.0
COUNT = 'sum(count_over_time({job="mixed"}[24h]))'
SAMPLE_TABLES = ("metrics_groupblock", "metrics_rollupblock", "metrics_recentblock", "metrics_headblock")
SERIES_TABLES = ("metrics_series", "metrics_metric", "metrics_metadataentry")
Floats = npt.NDArray[np.float64]
Random = np.random.Generator


def _daily(random: Random, series: int, median: float) -> Floats:
    """Return what is expected of each series at each step: its own level, higher by day than at night."""
    level = median * random.lognormal(0, 1, (series, 1))
    phase = random.uniform(0, 0.5, (series, 1))
    return np.asarray(level * (1 + 0.6 * np.sin(2 * np.pi * (np.arange(STEPS) / STEPS + phase))))


def _requests(random: Random, series: int) -> Floats:
    """Count events that come by themselves."""
    return np.cumsum(random.poisson(_daily(random, series, 20.0)), axis=1).astype(float)


def _errors(random: Random, series: int) -> Floats:
    """Count what is rare."""
    rates = random.uniform(0.005, 0.1, (series, 1))
    return np.cumsum(random.poisson(rates, (series, STEPS)), axis=1).astype(float)


def _bytes(random: Random, series: int) -> Floats:
    """Count the bytes of transfers whose sizes differ."""
    transfers = random.poisson(_daily(random, series, 20.0))
    return np.cumsum(np.round(transfers * random.normal(1_400, 150, transfers.shape)), axis=1)


def _seconds(random: Random, series: int) -> Floats:
    """Count the processor time a kernel tells, in hundredths of a second."""
    used = random.poisson(np.minimum(_daily(random, series, 60.0), 1_500.0))
    return np.round(np.cumsum(used, axis=1) / 100, 2)


def _walk(spread: float, decimals: int) -> Callable[[Random, int], Floats]:
    def made(random: Random, series: int) -> Floats:
        start = random.uniform(20, 80, (series, 1))
        return np.round(start + np.cumsum(random.normal(0, spread, (series, STEPS)), axis=1), decimals)

    return made


def _ratio(random: Random, series: int) -> Floats:
    """Tell a share of one that comes back to its middle, with three decimals."""
    out = np.empty((series, STEPS))
    now = middle = random.uniform(0.2, 0.8, series)
    for step in range(STEPS):
        now = now + 0.1 * (middle - now) + random.normal(0, 0.01, series)
        out[:, step] = now
    return np.round(np.clip(out, 0, 1), 3)


def _memory(random: Random, series: int) -> Floats:
    """Tell whole pages in use, which move at every third step or so."""
    moves = random.normal(0, 300, (series, STEPS)).round() * (random.uniform(size=(series, STEPS)) < 0.4)
    return np.asarray((np.cumsum(moves, axis=1) + random.integers(200_000, 900_000, (series, 1))) * 4_096)


def _queue(random: Random, series: int) -> Floats:
    """Tell how many wait, a small whole number."""
    return random.poisson(np.minimum(_daily(random, series, 2.0), 40.0)).astype(float)


def _level(changes: int) -> Callable[[Random, int], Floats]:
    def made(random: Random, series: int) -> Floats:
        out = np.repeat(random.integers(1, 500, (series, 1)), STEPS, axis=1).astype(float)
        for row in out:
            for at in random.integers(0, STEPS, changes):
                row[at:] = random.integers(1, 500)
        return out

    return made


SHAPES: dict[str, Callable[[Random, int], Floats]] = {
    **{f"http_requests_{number}_total": _requests for number in range(4)},
    **{f"errors_{number}_total": _errors for number in range(2)},
    **{f"network_{number}_bytes_total": _bytes for number in range(2)},
    **{f"cpu_{number}_seconds_total": _seconds for number in range(2)},
    "build_info": _level(0), "limit_bytes": _level(0), "replicas": _level(8), "workers": _level(40),
    "temperature_celsius": _walk(0.1, 2), "voltage_volts": _walk(0.02, 2), "pressure_bars": _walk(0.01, 3),
    "utilisation_ratio": _ratio, "memory_bytes": _memory, "queue_length": _queue,
}  # fmt: skip


def named(metric: str, count: int) -> list[Labels]:
    """Return series as the exporters of some hosts name them."""
    hosts = [f"host-{place // 4:03d}.example.org:9100" for place in range(count)]
    return [
        {"__name__": metric, "job": "mixed", "instance": host, "part": str(place % 4)}
        for place, host in enumerate(hosts)
    ]  # fmt: skip


def made(*, quick: bool) -> tuple[list[Labels], Floats]:
    """Return the series and their values, a row each; a shape alone can be made again from its place and the seed."""
    count = SERIES_PER_METRIC[quick]
    labels = [one for metric in SHAPES for one in named(metric, count)]
    columns = [make(np.random.default_rng(place), count) for place, make in enumerate(SHAPES.values())]
    return labels, np.concatenate(columns)


def day_before() -> int:
    """Return the beginning of the last day that is over, in milliseconds."""
    return int(time.time() * 1000) // DAY_MS * DAY_MS - DAY_MS


def sent(target: Target, labels: list[Labels], columns: Floats, begin_ms: int) -> None:
    """Send everything in the order of time."""
    for first in range(0, STEPS, CHUNK_STEPS):
        times = [begin_ms + step * STEP_MS for step in range(first, first + CHUNK_STEPS)]
        send(target, bodies(labels, columns[:, first : first + CHUNK_STEPS], times, 2_000), connections=1)


def directory_bytes(root: Path) -> int:
    """Return the sum of the sizes of the files."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def prometheus(peer: peers.Peer, *, quick: bool, end_ms: int) -> tuple[int, dict[str, float]]:
    """Return the samples in a snapshot, and bytes by what they are."""
    address = f"http://127.0.0.1:{peer.port}/api/v1"
    until = time.monotonic() + (0 if quick else HEAD_SECONDS)
    while time.monotonic() < until:
        head = httpx.get(f"{address}/status/tsdb").json()["data"]["headStats"]
        if head["minTime"] > end_ms - 4 * 3_600_000:
            break
        time.sleep(2)
    name = httpx.post(f"{address}/admin/tsdb/snapshot", timeout=300).raise_for_status().json()["data"]["name"]
    root = peer.data / "snapshots" / name
    samples = sum(json.loads(path.read_text())["stats"]["numSamples"] for path in root.glob("*/meta.json"))
    chunks = sum(directory_bytes(path) for path in root.glob("*/chunks"))
    return samples, {"samples": chunks, "series": directory_bytes(root) - chunks}


def victoria(peer: peers.Peer, *, samples: int) -> tuple[int, dict[str, float]]:
    """Return the samples, and bytes by what they are."""
    address = f"http://127.0.0.1:{peer.port}"
    httpx.get(f"{address}/internal/force_flush", timeout=60).raise_for_status()
    httpx.get(f"{address}/internal/force_merge", timeout=60).raise_for_status()
    sizes: list[int] = []
    # The merge goes on behind the answer: it is over when nothing has changed for a while.
    while len(sizes) < 60 and (len(sizes) < 6 or len(set(sizes[-6:])) > 1):
        time.sleep(1)
        sizes.append(directory_bytes(peer.data))
    found = httpx.get(
        f"{address}/api/v1/query",
        params={"query": COUNT, "time": day_before() // 1000 + 86_399, "nocache": "1"},
        timeout=120,
    ).json()["data"]["result"]  # fmt: skip
    told = int(float(found[0]["value"][1])) if found else 0
    if told != samples:
        raise RuntimeError(f"VictoriaMetrics finds {told:,} of {samples:,} samples")
    index = directory_bytes(peer.data / "indexdb")
    return samples, {"samples": directory_bytes(peer.data / "data"), "series": index}


def of_peers(labels: list[Labels], columns: Floats, *, quick: bool) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Measure what is installed."""
    begin = day_before()
    for name in peers.installed():
        with peers.running(name) as peer:
            sent(Target(peer.port), labels, columns, begin)
            samples, found = (
                prometheus(peer, quick=quick, end_ms=begin + DAY_MS)
                if name == "prometheus"
                else victoria(peer, samples=columns.size)
            )
            yield f"{name} {peers.version(name)}", samples, found


def packed(connection: psycopg.Connection[tuple[int, ...]], day: str) -> None:
    """Return when the day is packed and rolled up; raises where that takes too long."""
    end = time.monotonic() + PACK_SECONDS
    waiting = (
        "SELECT (SELECT count(*) FROM metrics_headblock WHERE t_min < %(end)s)"
        " + (SELECT count(*) FROM metrics_recentblock WHERE day = %(day)s)"
        " + (SELECT count(*) FROM (SELECT DISTINCT group_no FROM metrics_groupblock WHERE day = %(day)s) g)"
        " - (SELECT count(*) FROM metrics_rollupblock WHERE day = %(day)s)"
    )
    asked = {"day": day, "end": day_before() + DAY_MS}
    while (connection.execute(waiting, asked).fetchone() or (0,))[0]:
        if time.monotonic() > end:
            raise RuntimeError("the compactor does not come to an end")
        time.sleep(1)


def sizes(connection: psycopg.Connection[tuple[int, ...]], tables: tuple[str, ...]) -> dict[str, int]:
    """Return the bytes of each table with its partitions, indexes and TOAST."""
    rows = connection.execute(
        "SELECT coalesce(p.relname, c.relname)::text, sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c"
        " LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent"
        " WHERE c.relkind = 'r' AND coalesce(p.relname, c.relname) = ANY(%s) GROUP BY 1",
        [list(tables)],
    ).fetchall()
    return {str(name): int(size) for name, size in rows}


def of_console(report: Report, console: Console, labels: list[Labels], columns: Floats) -> dict[str, float]:
    """Send, wait, measure, and print by table and by metric."""
    token = roles.furnish(roles.environment(console), {"scopes": ["ingest:metrics", "backfill"]})["token"]
    begin = day_before()
    day = datetime.fromtimestamp(begin / 1000, UTC).date().isoformat()
    sent(Target(urlsplit(console.url).port or 80, token=token), labels, columns, begin)
    with psycopg.connect(roles.environment(console)["DATABASE_URL"], autocommit=True) as connection:
        begun = time.monotonic()
        packed(connection, day)
        report.note(
            f"the console packed and rolled up the day in {time.monotonic() - begun:.0f} s after the last sample"
        )
        held = connection.execute(
            "SELECT sum(samples)::bigint FROM metrics_groupblock WHERE day = %s", [day]
        ).fetchone()
        if held != (columns.size,):
            raise RuntimeError(f"the console holds {held} of {columns.size:,} samples")
        for table in (*SAMPLE_TABLES, *SERIES_TABLES):
            connection.execute(f"VACUUM {table}")
        found = sizes(connection, (*SAMPLE_TABLES, *SERIES_TABLES))
        by_metric(report, connection, day)
    for table, size in found.items():
        report.figure(f"console, {table}", size / columns.size, "B/sample")
    return {
        "raw": float(found["metrics_groupblock"]),
        "samples": float(sum(found[table] for table in SAMPLE_TABLES)),
        "series": float(sum(found[table] for table in SERIES_TABLES)),
    }


def by_metric(report: Report, connection: psycopg.Connection[tuple[int, ...]], day: str) -> None:
    """Print the bytes of the blocks' data by kind of series."""
    rows = connection.execute(
        "SELECT m.name, sum(octet_length(b.data))::float8 / sum(b.samples), count(*) FROM metrics_groupblock b"
        " JOIN metrics_metric m ON m.id = b.metric_id WHERE b.day = %s GROUP BY 1 ORDER BY 2 DESC",
        [day],
    ).fetchall()
    for name, size, blocks in rows:
        report.figure(f"console, data of {name}", float(size), f"B/sample ({blocks} blocks)")


def main() -> None:
    """Measure all, then compare."""
    report = report_from_arguments("storage", __doc__ or "")
    labels, columns = made(quick=report.quick)
    report.note(f"{len(labels):,} series, {columns.size:,} samples")
    others = {}
    for name, samples, found in of_peers(labels, columns, quick=report.quick):
        report.note(f"{name}: {samples:,} samples in {sum(found.values()) / 1e6:,.1f} MB")
        others[name] = {**{part: size / samples for part, size in found.items()}, "all": sum(found.values()) / samples}
    with running_console(LIMITS) as console:
        ours = {part: size / columns.size for part, size in of_console(report, console, labels, columns).items()}
    report.figure("raw samples, packed (one table)", ours["raw"], "B/sample", peers={"goal": GOAL})
    for label, part in (("all tables of samples, roll-ups too", "samples"), ("series and names", "series")):
        report.figure(label, ours[part], "B/sample", peers={name: one[part] for name, one in others.items()})
    everything = {name: one["all"] for name, one in others.items()}
    report.figure("everything", ours["samples"] + ours["series"], "B/sample", peers=everything)
    report.finish()


if __name__ == "__main__":
    main()
