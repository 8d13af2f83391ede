"""How long a backtest takes: 7 and 30 days of one rule at 60 s, over 1, 10 and 100 series with a sample every 15 s.

Thirty days of samples are stored, and packed by the console's compactor. Each series is a noisy level; it exceeds the
rule's threshold for a few minutes about three times a day (`calm`), or for half of every hour (`busy`), each series at
times of its own. The rule waits two minutes, keeps firing for one and has a cooldown; a policy of two steps tells two
channels; there are ten silences, a mute time and an inhibition. The first backtest of a process loads the query
kernels and is told apart; of the others the median of three is shown.
"""

import os
import subprocess
import sys
import time
from datetime import datetime, timedelta
from typing import Any

import django
import numpy as np
import psutil

from bench import roles
from bench.harness import Report, report_from_arguments, running_console

CHILD = "BENCH_BACKTEST"
DAYS, STEP_MS, MINUTE = 30, 15_000, 60
SIZES = (1, 10, 100)
GOALS = {7: 1.0, 30: 5.0}
REPEATS = 3
SETTLE_SECONDS, FEW_HEADS = 120.0, 2


def values_of(random: np.random.Generator, kind: str, steps: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a level with noise, above 80 for some minutes at a time."""
    values = 50 + np.round(random.normal(0, 4, steps), 1)
    every, lasts = (240 * 24 // 3, 40) if kind == "calm" else (240, 120)
    for begin in range(int(random.integers(0, every)), steps, every):
        at = begin + int(random.integers(0, every // 4))
        values[at : at + lasts] = 90 + np.round(random.normal(0, 2, values[at : at + lasts].size), 1)
    return values


def fill(end_ms: int, kinds: tuple[str, ...]) -> int:
    """Store the samples, a day at a time, and wait until the compactor has packed them; return how many."""
    from aivillage_console.accounts.services import source_named  # noqa: PLC0415
    from aivillage_console.lib import clock  # noqa: PLC0415
    from metrics.domain import SeriesBatch  # noqa: PLC0415
    from metrics.services import result_append  # noqa: PLC0415

    random = np.random.default_rng(7)
    names = [
        {"__name__": f"heat_{kind}_{size}", "host": f"h{i}"}
        for kind in kinds for size in SIZES for i in range(size)
    ]  # fmt: skip
    steps = DAYS * 86_400_000 // STEP_MS
    columns = [values_of(random, labels["__name__"].split("_")[1], steps) for labels in names]
    day = 86_400_000 // STEP_MS
    for first in range(0, steps, day):
        times = end_ms - (steps - 1 - np.arange(first, first + day, dtype=np.int64)) * STEP_MS
        batch = SeriesBatch(
            labels=names, sample_series=np.repeat(np.arange(len(names)), day), timestamps_ms=np.tile(times, len(names)),
            values=np.concatenate([column[first : first + day] for column in columns]),
        )  # fmt: skip
        result_append(batch, source=source_named("bench"), now=clock.now())
    until = time.monotonic() + SETTLE_SECONDS
    while _heads() > FEW_HEADS and time.monotonic() < until:
        time.sleep(1)
    return steps * len(names)


def _heads() -> int:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metrics_headblock")
        return int(cursor.fetchone()[0])


def furnish(now: datetime) -> Any:
    """Store what keeps quiet and who is told; return the group of the rules."""
    from alerts.models import (  # noqa: PLC0415
        Channel,
        Inhibition,
        MuteTime,
        Policy,
        PolicyStep,
        RuleGroup,
        Silence,
    )

    matchers = [{"name": "host", "value": "h3", "isRegex": False, "isEqual": True}]
    for day in range(10):
        begin = now - timedelta(days=3 * day + 1)
        Silence.objects.create(
            matchers=matchers, starts_at=begin, ends_at=begin + timedelta(hours=6), author="bench", reason="bench"
        )
    MuteTime.objects.create(name="bench", intervals=[{"weekdays": ["saturday", "sunday"]}], matchers=["host=h5"])
    Inhibition.objects.create(
        name="bench", source_matchers=["host=h0"], target_matchers=["host=~h7.*"], equal=["severity"]
    )
    policy = Policy.objects.create(name="bench", position=0)
    for place, delay in enumerate((0, 300)):
        step = PolicyStep.objects.create(policy=policy, position=place, delay_seconds=delay)
        step.channels.set([Channel.objects.create(name=f"bench {place}", config={"url": "http://127.0.0.1:9/"})])
    return RuleGroup.objects.create(name="bench", interval_seconds=MINUTE, due_at=now, enabled=False)


def inside(report: Report) -> None:
    """Fill and measure, in a process that has the console's environment."""
    django.setup()
    from django.db import transaction  # noqa: PLC0415

    from aivillage_console.lib import clock  # noqa: PLC0415
    from alerts.models import Rule  # noqa: PLC0415
    from alerts.services.backtest import backtest  # noqa: PLC0415
    from metrics.services import partitions_prepare  # noqa: PLC0415

    kinds = ("calm",) if report.quick else ("calm", "busy")
    now = clock.now()
    partitions_prepare(now=now)
    end_ms = int(now.timestamp() // 60 * 60_000)
    begun = time.perf_counter()
    report.note(f"{fill(end_ms, kinds):,} samples stored and packed in {time.perf_counter() - begun:.0f} s")
    with transaction.atomic():
        group = furnish(now)
    end_at = clock.at_seconds(end_ms / 1000)
    first = True
    for kind in kinds:
        for size in SIZES:
            rule = Rule(
                group=group, name=f"bench {kind} {size}", spec={"expr": f"heat_{kind}_{size} > 80"}, severity="high",
                for_seconds=120, keep_firing_for_seconds=60, cooldown_seconds=600,
            )  # fmt: skip
            for days, goal in GOALS.items():
                taken: list[float] = []
                cpu = time.process_time()
                for _ in range((1 if report.quick else REPEATS) + first):
                    begun = time.perf_counter()
                    found = backtest(rule, start_at=end_at - timedelta(days=days), end_at=end_at)
                    taken.append(time.perf_counter() - begun)
                if first:
                    report.figure("first of a process, with the kernels", taken.pop(0), "s")
                    first = False
                told = sum(not each.withheld for firing in found.firings for each in firing.told)
                label = f"{days} days, {size} series, {kind}: {len(found.firings)} firings, {told} told"
                report.figure(label, float(np.median(taken)), f"s (goal {goal:g})")
                report.figure("  of that in this process", (time.process_time() - cpu) / len(taken), "s of CPU")
                if found.errors:
                    raise RuntimeError(found.errors[0])
    report.figure("memory of the process at the end", psutil.Process().memory_info().rss / 1e6, "MB")


def main() -> None:
    """Run the parent, which owns the console, or the child, which measures."""
    report = report_from_arguments("backtest", __doc__ or "")
    if os.environ.get(CHILD):
        inside(report)
        report.finish()
        return
    with running_console() as console:
        env = {**roles.environment(console), "ROLE": "bench", CHILD: "1"}
        env["DJANGO_SETTINGS_MODULE"] = "aivillage_console.settings"
        subprocess.run([sys.executable, "-m", "bench.backtest", *sys.argv[1:]], env=env, check=True)


if __name__ == "__main__":
    main()
