"""The compactor killed with SIGKILL at every point of every step, and PostgreSQL in its place: what is lost or doubled.

A PostgreSQL of its own (fsync on, as the console runs it). For each step and point a day of samples is stored in head
blocks, the earlier steps are done, and a process of its own compacts until it kills itself, or every process of
PostgreSQL, which is then started again. Everything is read back by the store, compared bit by bit, and the samples in
all blocks are counted; then the compaction is finished and both are done once more, with the roll-ups. In the last two
rows the kill comes at a random moment of the real `manage.py compact --once` while another thread goes on storing; what
was not acknowledged then may be there or not.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import django
import numpy as np
import numpy.typing as npt

from aivillage_console.embedded import PostgresServer
from bench.compactor_deaths import POINTS, kill_server
from bench.harness import TREE, Report

SERIES, STEPS, BATCHES = 230, 40, 24
DAY_MS = 86_400_000
# Three days ago, so that windows and day are closed for the real command as well.
BEGIN_MS = (int(time.time() * 1000) // DAY_MS - 3) * DAY_MS
NOW_MS = BEGIN_MS + 3 * DAY_MS
SPACING_MS = DAY_MS // (STEPS * BATCHES)
STEP_NAMES = ("compact_once", "pack_windows", "pack_days", "roll_days")
TABLES = ("metrics_headblock", "metrics_recentblock", "metrics_groupblock", "metrics_rollupblock")
KILLED = ("compactor", "PostgreSQL")
ROUNDS = {True: 1, False: 2}
RANDOM_ROUNDS = {True: 3, False: 15}
START_SECONDS = 60.0
Floats = npt.NDArray[np.float64]


class Damage(NamedTuple):
    """Samples that are gone, that are there more than once, and that have another value."""

    lost: int = 0
    doubled: int = 0
    changed: int = 0


@dataclass
class Cell:
    """What came of the rounds of one step and point."""

    rounds: int = 0
    killed: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0

    def add(self, damage: Damage) -> None:
        """Note what one look found."""
        self.lost += damage.lost
        self.doubled += damage.doubled
        self.changed += damage.changed


@dataclass
class Kept:
    """What was acknowledged, by series and time; what was offered and not acknowledged may be stored or not."""

    sure: dict[tuple[int, int], float] = field(default_factory=dict)
    unsure: dict[tuple[int, int], float] = field(default_factory=dict)


class Bench:
    """One database and the process that looks at it."""

    def __init__(self, server: PostgresServer) -> None:
        """Set Django up and make the tables."""
        os.environ |= {
            "DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "aivillage_console.settings", "ROLE": "bench",
            "SECRET_KEY": "only-for-a-bench-that-serves-nobody-and-keeps-nothing", "STATE_DIR": str(server.root),
        }  # fmt: skip
        self.server = server
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415 - only now is Django set up

        call_command("migrate", verbosity=0)
        from bench import compactor_store  # noqa: PLC0415 - its models need Django

        self.store = compactor_store
        self.ids = compactor_store.series(SERIES)
        self.random = np.random.default_rng(1)

    def fill(self, kept: Kept, batch: int) -> None:
        """Store one batch and remember it."""
        ids = np.tile(self.ids, STEPS)
        times = BEGIN_MS + (np.repeat(np.arange(STEPS), SERIES) * BATCHES + batch) * SPACING_MS
        values = self.random.integers(0, 1 << 40, times.size).astype(float) / 8
        rows = dict(zip(zip(ids.tolist(), times.tolist(), strict=True), values.tolist(), strict=True))
        (kept.sure if self.store.append(ids, times, values) else kept.unsure).update(rows)

    def fresh(self) -> Kept:
        """Empty the tables and fill them."""
        self.store.empty(TABLES)
        kept = Kept()
        for batch in range(BATCHES // 2):
            self.fill(kept, batch)
        return kept

    def damage(self, kept: Kept) -> Damage:
        """Compare what is stored with what was acknowledged."""
        found, rows = self.store.read(BEGIN_MS, NOW_MS)
        lost = sum(key not in found for key in kept.sure)
        wrong = sum(value != kept.sure.get(key, kept.unsure.get(key)) for key, value in found.items())
        return Damage(lost, rows - len(found), wrong)

    def rolled_damage(self) -> Damage:
        """Compare the roll-ups' counts with the samples that are stored."""
        found, _ = self.store.read(BEGIN_MS, NOW_MS)
        told = self.store.rolled_samples()
        return Damage(max(0, len(found) - told), max(0, told - len(found)))

    def back(self) -> None:
        """Start PostgreSQL again where it was killed."""
        self.store.let_go()
        if not self.server.running():
            self.server.start()

    def finish(self, kept: Kept) -> Damage:
        """Do all steps; returns the damage there is then."""
        self.store.do_all(STEP_NAMES, NOW_MS)
        samples, rolled = self.damage(kept), self.rolled_damage()
        return Damage(samples.lost + rolled.lost, samples.doubled + rolled.doubled, samples.changed)


def killed_at(bench: Bench, step: str, point: str, *, whole_server: bool) -> tuple[Kept, bool]:
    """Fill, do the earlier steps and die; tells whether something was killed."""
    kept = bench.fresh()
    bench.store.do_all(STEP_NAMES[: STEP_NAMES.index(step)], NOW_MS)
    bench.store.let_go()
    process = bench.server.process
    pid = process.pid if process is not None and whole_server else 0
    command = [sys.executable, "-m", "bench.compactor_deaths", step, point, str(NOW_MS), str(pid)]
    done = subprocess.run(command, cwd=TREE, stderr=subprocess.DEVNULL, check=False)
    if process is not None and whole_server:
        # Only who was killed ends here.
        process.wait(30)
        return kept, True
    return kept, done.returncode < 0


def compacting() -> subprocess.Popen[bytes]:
    """Start the real command."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "compact", "--once"], cwd=TREE, env={**os.environ, "ROLE": "compactor"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def until_at_work(bench: Bench, compactor: subprocess.Popen[bytes]) -> None:
    """Return when the command holds the compactor's lock."""
    end = time.monotonic() + START_SECONDS
    while not bench.store.compactor_at_work() and compactor.poll() is None:
        if time.monotonic() > end:
            raise RuntimeError("the compactor does not begin")
        time.sleep(0.002)


def killed_some_time(bench: Bench, seconds: float, *, whole_server: bool) -> tuple[Kept, bool]:
    """Kill the real command at some moment, while samples keep coming; tells whether it still ran."""
    kept = bench.fresh()
    stop = threading.Event()

    def go_on() -> None:
        for batch in range(BATCHES // 2, BATCHES):
            if not stop.wait(seconds / BATCHES):
                bench.fill(kept, batch)
        bench.store.let_go()

    compactor = compacting()
    until_at_work(bench, compactor)
    writer = threading.Thread(target=go_on)
    writer.start()
    time.sleep(seconds * float(bench.random.uniform(0.0, 0.9)))
    ran = compactor.poll() is None
    process = bench.server.process
    if process is not None and whole_server:
        kill_server(process.pid)
        process.wait(30)
    else:
        compactor.kill()
    stop.set()
    compactor.wait()
    writer.join()
    return kept, ran


def rounds(bench: Bench, count: int, kill: Callable[[], tuple[Kept, bool]]) -> Cell:
    """Kill so many times and look after each."""
    cell = Cell()
    for _ in range(count):
        kept, killed = kill()
        cell.rounds, cell.killed = cell.rounds + 1, cell.killed + killed
        bench.back()
        cell.add(bench.damage(kept))
        cell.add(bench.finish(kept))
    return cell


def told(report: Report, who: str, step: str, point: str, cell: Cell) -> None:
    """Print one row."""
    row = f"{who:<11}{step:<16}{point:<20}{cell.killed:>3} of {cell.rounds:<3}"
    print(f"{row}{cell.lost:>7}{cell.doubled:>9}{cell.changed:>9}", flush=True)
    report.figures[f"{who}, {step}, {point}"] = vars(cell)


def undisturbed_seconds(bench: Bench) -> float:
    """Return how long the real command works when nobody kills it."""
    bench.fresh()
    compactor = compacting()
    until_at_work(bench, compactor)
    begun = time.monotonic()
    compactor.wait()
    return time.monotonic() - begun


def watchful(bench: Bench) -> bool:
    """Tell whether a block that is gone and one that is there twice are noticed."""
    kept = bench.fresh()
    clean = bench.damage(kept)
    bench.store.repeat_a_head()
    doubled = bench.damage(kept)
    bench.store.forget_two_heads()
    lost = bench.damage(kept)
    one = SERIES * STEPS
    return (clean, doubled, lost) == (Damage(), Damage(0, one, 0), Damage(one, 0, 0))


def matrix(report: Report, bench: Bench, only: str | None) -> list[Cell]:
    """Kill at all points; returns what came of it."""
    cells = []
    if not watchful(bench):
        raise RuntimeError("the bench does not see what it looks for")
    report.note("a head block that was deleted and one that was there twice were both noticed before the kills")
    print(f"{'killed':<11}{'step':<16}{'point':<20}{'killed':>9}{'lost':>8}{'doubled':>9}{'changed':>9}")
    seconds = undisturbed_seconds(bench)
    for who in (only,) if only else KILLED:
        whole = who == "PostgreSQL"
        for step in STEP_NAMES:
            for point in POINTS:
                cell = rounds(bench, ROUNDS[report.quick], partial(killed_at, bench, step, point, whole_server=whole))
                told(report, who, step, point, cell)
                cells.append(cell)
        random = partial(killed_some_time, bench, seconds, whole_server=whole)
        cell = rounds(bench, RANDOM_ROUNDS[report.quick], random)
        told(report, who, "the command", "any moment, storing", cell)
        cells.append(cell)
    return cells


@contextmanager
def server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL of its own; nothing of it stays."""
    root = Path(tempfile.mkdtemp(prefix="aivillage-bench-"))
    root.chmod(0o755)
    made = PostgresServer(root)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)
        if made.root != root:
            shutil.rmtree(made.root, ignore_errors=True)


def main() -> None:
    """Print the matrix and the sum."""
    parser = argparse.ArgumentParser(prog="python -m bench.compactor_kills", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round a point")
    parser.add_argument("--only", choices=KILLED, help="kill this one only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    arguments = parser.parse_args()
    report = Report("compactor_kills", arguments.quick, arguments.json)
    begun = datetime.now(UTC)
    with server() as postgres:
        cells = matrix(report, Bench(postgres), arguments.only)
    report.figure("kills", sum(cell.killed for cell in cells))
    report.figure("samples lost", sum(cell.lost for cell in cells))
    report.figure("samples doubled", sum(cell.doubled for cell in cells))
    report.figure("values changed", sum(cell.changed for cell in cells))
    report.figure("time", (datetime.now(UTC) - begun).total_seconds(), "s")
    report.finish()


if __name__ == "__main__":
    main()
