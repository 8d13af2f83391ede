"""`manage.py amtest`: runs tables and timelines of grouping, routing, silences and the like on the engine."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError

from alerts.engine.alertmanager.config import load
from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.trials import tables, timelines
from alerts.engine.alertmanager.trials.cases import Case

Judge = Callable[[Any, Path], Iterator[Case]]
NAMED_CONFIGS = ("conf.good", "conf.bad", "conf.routing")


class UnknownForm(ValueError):
    """A file this command cannot judge."""


class Command(BaseCommand):
    """Run each file by itself; the exit code is 1 where anything failed."""

    help = "Run timelines and tables of Alertmanager behaviour under a fake clock."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the files and where the cases go."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="A file, or a folder of them.")
        parser.add_argument("--json", type=Path, metavar="FILE", help="Write every case to this file.")
        parser.add_argument("--failures", action="store_true", help="Print what failed and why.")

    def handle(self, *_args: Any, paths: list[Path], json: Path | None, failures: bool, **_options: Any) -> None:
        """Run all files, print a line for each and the total."""
        found: list[tuple[Path, list[Case]]] = []
        for path in _files(paths):
            try:
                cases = list(_judged(path))
            except UnknownForm as problem:
                self.stderr.write(f"{path}: {problem}")
                continue
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
                self.stdout.write(f"  {case.name}: {case.message}")


def _row(path: Path, case: Case) -> dict[str, Any]:
    return {"file": str(path), "case": case.name, "ok": case.ok, "message": case.message}


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} is not there: give a file or a folder of timelines and tables.")
        if path.is_file():
            yield path
            continue
        yield from (each for each in sorted(path.rglob("*")) if _is_judged(each))


def _is_judged(path: Path) -> bool:
    return path.suffix == ".json" or (path.suffix == ".yml" and path.name.startswith(NAMED_CONFIGS))


def _judged(path: Path) -> Iterator[Case]:
    if path.suffix != ".json":
        yield _named_config(path)
        return
    try:
        content = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as problem:
        raise UnknownForm(f"not JSON: {problem}") from problem
    judge = _judge(content, path)
    if judge is None:
        raise UnknownForm("no timelines and no table of a known form")
    yield from judge(content, path)


def _judge(content: Any, path: Path) -> Judge | None:
    """Return what judges a file, by what its rows hold."""
    if isinstance(content, dict):
        return (lambda rows, _: tables.time_intervals(rows)) if "timeIntervalTestCases" in content else None
    fields = set(content[0]) if content and isinstance(content[0], dict) else set()
    syntax = "utf8" if "utf8" in path.stem else "classic"
    for needed, judge in (
        ({"steps"}, lambda rows, _: timelines.run(rows)),
        ({"valid"}, lambda rows, at: tables.configurations(rows, _Files(at.parent))),
        ({"config", "labels"}, lambda rows, _: tables.routes(rows)),
        ({"input"}, lambda rows, _: tables.matchers(rows, syntax)),
    ):
        if needed <= fields:
            return judge
    return None


class _Files(dict[str, str]):
    """Texts of the files a table names, read when asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def get(self, name: str, default: Any = None) -> Any:
        """Return a file's text."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else default


def _named_config(path: Path) -> Case:
    """Return whether a configuration named good or bad is one."""
    wanted = not path.name.startswith("conf.bad")
    try:
        load(path.read_text(encoding="utf-8"))
    except BadConfig as problem:
        return Case(path.name, ok=not wanted, message=str(problem))
    return Case(path.name, ok=wanted, message="" if wanted else "taken, but should be refused")
