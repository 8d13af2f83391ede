"""`manage.py promqltest`: runs scripts in the language of Prometheus' engine tests."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from aivillage_console.lib import clock
from metrics.ingest.scratch import scratch_shelf
from metrics.promql.scripts.holding import MemoryShelf
from metrics.promql.scripts.running import Case, Shelf, run_script


class Command(BaseCommand):
    """Run each file by itself; the exit code is 1 where anything failed."""

    help = "Run PromQL test scripts on the engine, over memory or over the store."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the files and where their samples go."""
        parser.add_argument(
            "paths", nargs="+", type=Path, metavar="PATH", help="A script, or a folder of *.test files."
        )
        parser.add_argument("--store", action="store_true", help="Write to and read from PostgreSQL instead of memory.")
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write every case to this file.")
        parser.add_argument("--failures", action="store_true", help="Print what failed and why.")

    def handle(
        self, *_args: Any, paths: list[Path], store: bool, json: Path | None, failures: bool, **_options: Any
    ) -> None:
        """Run all files, print a line for each and the total."""
        found: list[tuple[Path, list[Case]]] = []
        with _shelf(store=store) as shelf:
            for path in _files(paths):
                cases = list(run_script(_text(path), shelf))
                found.append((path, cases))
                self._say(path, cases, failures=failures)
        if json is not None:
            rows = [_row(path, case) for path, cases in found for case in cases]
            json.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        passed = sum(case.ok for _, cases in found for case in cases)
        total = sum(len(cases) for _, cases in found)
        self.stdout.write(f"passed {passed} of {total}")
        if passed < total:
            raise SystemExit(1)

    def _say(self, path: Path, cases: list[Case], *, failures: bool) -> None:
        self.stdout.write(f"{path}: {sum(case.ok for case in cases)} of {len(cases)}")
        for case in cases:
            if failures and not case.ok:
                self.stdout.write(f"  line {case.line}: {case.query}\n    {case.message}")


@contextmanager
def _shelf(*, store: bool) -> Iterator[Shelf]:
    if not store:
        yield MemoryShelf()
        return
    with scratch_shelf(now=clock.now()) as shelf:
        yield shelf


def _files(paths: list[Path]) -> list[Path]:
    found = [file for path in paths for file in (sorted(path.glob("*.test")) if path.is_dir() else [path])]
    if not found:
        raise CommandError("no scripts there: name files, or folders with *.test files")
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as problem:
        raise CommandError(f"{path} cannot be read: {problem.strerror}") from problem


def _row(path: Path, case: Case) -> dict[str, Any]:
    return {"file": str(path), "line": case.line, "query": case.query, "ok": case.ok, "message": case.message}
