"""Random lives of alerts over the real tables: fire, end, flap, lose data, and whatever people do, in any order.

The services that decide, escalate, tell and wake are those of the console; they keep what they decide in the memory
that backtests have, or with `--tables` in PostgreSQL, where each sequence is a transaction that is rolled back.
After every step the whole world is looked at: no state contradicts another, no alert that fires is forgotten by its
policy, every message that is not sent has one reason of the list, no receiver hears of an end before its beginning. At
the end of a sequence everything ends and two days pass: nothing is owed any more, and whoever heard of a beginning has
heard of its end. Seeds are numbers, so a sequence that fails is run again with `--first SEED --sequences 1`.
"""

import argparse
import os
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import django

from aivillage_console.embedded import PostgresServer
from bench.harness import Report

SEQUENCES, QUICK_SEQUENCES = 10_000, 200
MOST_SHOWN = 5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.lifecycle", description=__doc__)
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--tables", action="store_true", help="over the tables, not in memory")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SEQUENCES} sequences")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    return parser.parse_args()


def measure(report: Report, first: int, sequences: int, *, memory: bool) -> int:
    """Run the sequences in a process that has a database; return how many went wrong."""
    from django.core.management import call_command  # noqa: PLC0415 - only now is Django set up
    from django.db import transaction  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    from alerts.models import AlertEvent  # noqa: PLC0415
    from bench import lifecycle_memory  # noqa: PLC0415 - its models need Django
    from bench import lifecycle_world as world  # noqa: PLC0415

    rule = world.furnish()
    steps, wrong, told, withheld, changes = 0, 0, Counter[str](), Counter[str](), 0
    began = time.monotonic()
    for seed in range(first, first + sequences):
        one = world.World(rule, lifecycle_memory.Lives() if memory else world.Rows())
        with transaction.atomic():
            try:
                steps += world.run(one, seed)
            except AssertionError:
                wrong += 1
                if wrong <= MOST_SHOWN:
                    print(f"seed {seed}: {'; '.join(one.log)}\n{traceback.format_exc(limit=-3)}", flush=True)
            told.update(one.told)
            withheld.update(row.withheld for row in one.store.messages if row.withheld)
            changes += len(one.store.events) if memory else AlertEvent.objects.count()
            transaction.set_rollback(True)
    report.figure("sequences", sequences, f"(seeds {first} to {first + sequences - 1})")
    report.figure("sequences in which a state was lost or contradicted another", wrong)
    report.figure("steps", steps)
    report.figure("changes of alerts", changes)
    report.figure("messages told", sum(told.values()), ", ".join(f"{n} {kind}" for kind, n in told.most_common()))
    kept = ", ".join(f"{n} {why}" for why, n in withheld.most_common())
    report.figure("messages kept back, each with one reason", sum(withheld.values()), kept)
    report.figure("took", time.monotonic() - began, "s")
    return wrong


def main() -> None:
    """Start a database, run, and fail where anything went wrong."""
    chosen = _arguments()
    report = Report("lifecycle", chosen.quick, chosen.json)
    with tempfile.TemporaryDirectory(prefix="console-bench-") as root:
        server = PostgresServer(Path(root) / "postgres")
        server.start()
        try:
            os.environ |= {
                "DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "aivillage_console.settings", "ROLE": "bench",
                "SECRET_KEY": "only-for-a-bench-that-serves-nobody-and-keeps-nothing", "STATE_DIR": root,
                "CELERY_ENABLED": "false",
            }  # fmt: skip
            django.setup()
            wrong = measure(
                report, chosen.first, QUICK_SEQUENCES if chosen.quick else chosen.sequences, memory=not chosen.tables
            )
        finally:
            server.stop()
    report.finish()
    if wrong:
        raise SystemExit(f"{wrong} sequences went wrong")


if __name__ == "__main__":
    main()
