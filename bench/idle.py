"""What the idle console costs: memory (proportional set size) and CPU of the whole process tree of `make run`.

Proportional set size counts a page shared by n processes as 1/n in each, so the sum is what the machine really gives.
The console watches its host meanwhile: idle means that nobody else sends and nobody looks.
"""

import contextlib
import time
from collections import defaultdict
from pathlib import Path

import psutil

from aivillage_observability.processes import role_of
from bench.harness import Console, Report, report_from_arguments, running_console

SETTLE_SECONDS = {True: 10.0, False: 60.0}
WATCH_SECONDS = {True: 30.0, False: 240.0}
MEMORY_GOAL_MB = 900.0
CPU_GOAL_PERCENT = 5.0


def pss_mb(process: psutil.Process) -> float:
    """Return the proportional set size of one process, 0 for one that has ended."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return user and system time of those still alive, with what their ended children used."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def memory_by_role(console: Console) -> dict[str, float]:
    """Return proportional set size by role, in MB."""
    rows: dict[str, float] = defaultdict(float)
    for process in console.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            rows["supervisor" if process.pid == console.process.pid else role_of(process)] += pss_mb(process)
    return dict(sorted(rows.items(), key=lambda row: -row[1]))


def watch(report: Report, console: Console) -> None:
    """Let the console settle, then measure it for a while."""
    time.sleep(SETTLE_SECONDS[report.quick])
    before, begun = cpu_seconds(console.tree()), time.monotonic()
    time.sleep(WATCH_SECONDS[report.quick])
    percent = 100 * (cpu_seconds(console.tree()) - before) / (time.monotonic() - begun)
    memory = memory_by_role(console)
    for role, megabytes in memory.items():
        report.figure(f"memory of {role}", megabytes, "MB PSS")
    report.figure("memory of the whole tree", sum(memory.values()), "MB PSS", peers={"goal": MEMORY_GOAL_MB})
    report.figure("CPU of the whole tree", percent, "% of one core", peers={"goal": CPU_GOAL_PERCENT})


def main() -> None:
    """Run the benchmark."""
    report = report_from_arguments("idle", "Memory and CPU of the idle console.")
    report.note(f"settle {SETTLE_SECONDS[report.quick]:g} s, then measure for {WATCH_SECONDS[report.quick]:g} s")
    with running_console() as console:
        report.figure("start to ready", console.started_seconds, "s")
        watch(report, console)
    report.finish()


if __name__ == "__main__":
    main()
