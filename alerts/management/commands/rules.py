"""`manage.py rules`: checks, tests, imports and exports Prometheus' rule files."""

import argparse
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from aivillage_console.lib.durations import BadDuration, parse_ms
from alerts import services
from alerts.backtesting.words import quieter, rules_of, tried
from alerts.engine.prometheus.linting import duplicates_of, shown_duplicates
from alerts.engine.prometheus.rule_files import RuleFile, read_rule_file
from alerts.engine.prometheus.unit_tests.choosing import BadPattern, chosen_of
from alerts.engine.prometheus.unit_tests.files import TestFile, read_test_file
from alerts.engine.prometheus.unit_tests.running import Outcome, Rules, run_tests
from alerts.models import Rule
from alerts.services.backtests import LONGEST_DAYS
from alerts.services.rule_files import Action, Named

LINT_FAILED = 3
SIGNS = {"create": "+", "change": "~", "delete": "-"}
COUNTED: dict[Action, str] = {"create": "created", "change": "changed", "delete": "deleted", "keep": "unchanged"}
# What the test tool of Prometheus calls the syntax that is experimental.
EXPERIMENTS = frozenset({
    "promql-experimental-functions", "promql-duration-expr", "promql-extended-range-selectors",
    "promql-binop-fill-modifiers", "promql-delayed-name-removal",
})  # fmt: skip


class Command(BaseCommand):
    """One word for each thing that is done with rule files."""

    help = "Check, test, import or export Prometheus rule files."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the words and what each takes."""
        words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
        test = words.add_parser("test", help="Run files of rule unit tests.")
        test.add_argument("--run", action="append", default=[], help="Only tests whose name matches this pattern.")
        check = words.add_parser("check", help="Say what is wrong with rule files.")
        check.add_argument("--lint-fatal", action="store_true", help="Exit with 3 where rules are there twice.")
        taken = words.add_parser("import", help="Make groups and rules of files, or bring them up to date.")
        taken.add_argument("--dry-run", action="store_true", help="Only say what would change.")
        taken.add_argument("--interval", default="1m", help="For groups that say none.")
        given = words.add_parser("export", help="Write the console's rules as rule files.")
        given.add_argument(
            "--directory", type=Path, help="Write a file for each that was imported, instead of printing."
        )
        tried = words.add_parser("backtest", help="Say what rules would have done, by their names or of rule files.")
        tried.add_argument("--days", type=float, default=7.0, help="How far back, 7 if nothing is said.")
        tried.add_argument("--zone", default="", help="Whose nights are counted; UTC if nothing is said.")
        tried.add_argument("--interval", default="1m", help="For groups of files that say none.")
        tried.add_argument("--suggest", action="store_true", help="Say what would make stored rules quieter, too.")
        for word in (test, check, taken, tried):
            word.add_argument("files", nargs="+", metavar="FILE")
            word.add_argument("--ignore-unknown-fields", action="store_true", help="Read over fields nobody knows.")
            word.add_argument("--enable-feature", action="append", default=[], help="Allow experimental PromQL.")

    def handle(self, *_args: Any, word: str, **options: Any) -> None:
        """Do what the word says."""
        works: dict[str, Callable[..., None]] = {
            "test": self.test_files, "check": self.check_files, "import": self.import_files,
            "export": self.export_files, "backtest": self.backtest,
        }  # fmt: skip
        works[word](**options)

    # Checking.

    def check_files(self, files: list[str], *, lint_fatal: bool, **options: Any) -> None:
        """Say of each file whether it can be read, and what its rules say twice."""
        broken = twice = False
        for name in files:
            self.stdout.write(f"Checking {name}")
            found = _rule_file(name, **options)
            for warning in found.warnings:
                self.stderr.write(f"  WARNING: {name}: {warning}")
            duplicates = [] if found.mistakes else duplicates_of(found.groups)
            broken, twice = broken or bool(found.mistakes), twice or bool(duplicates)
            self._say_checked(name, found, shown_duplicates(duplicates) if duplicates else "")
        if broken or (twice and lint_fatal):
            raise SystemExit(1 if broken else LINT_FAILED)

    def _say_checked(self, name: str, found: RuleFile, duplicates: str) -> None:
        if found.mistakes:
            self.stdout.write("  FAILED:")
            for mistake in found.mistakes:
                self.stdout.write(f"{name}: {mistake}")
        else:
            self.stdout.write(f"  SUCCESS: {found.rules} rules found")
        if duplicates:
            self.stdout.write(f"{name}: lint error {duplicates}")
        self.stdout.write("")

    # Testing.

    def test_files(self, files: list[str], *, run: list[str], **options: Any) -> None:
        """Run test files; the exit code is 1 where anything failed."""
        passed = total = failures = 0
        for name in files:
            outcomes = self._tested(name, run, **options)
            good, cases = sum(one.passed for one in outcomes), sum(one.cases for one in outcomes)
            ok = all(one.ok for one in outcomes)
            self.stdout.write(f"{name}: {'SUCCESS' if ok else 'FAILED'} ({good} of {cases})")
            for one in outcomes:
                for error in one.errors:
                    self.stdout.write(f"{error}\n")
            passed, total, failures = passed + good, total + cases, failures + (not ok)
        self.stdout.write(f"passed {passed} of {total}")
        if failures:
            raise SystemExit(1)

    def _tested(self, name: str, run: list[str], **options: Any) -> list[Outcome]:
        tests = _test_file(name)
        if tests.mistakes:
            errors = [f"  {name}: {mistake}" for mistake in tests.mistakes]
            return [Outcome(name, 1, 1, errors)]
        try:
            chosen = chosen_of(tests, run)
        except BadPattern as problem:
            raise CommandError(f"--run: {problem}") from problem
        rules = self._rules_of(name, tests, **options)
        return list(run_tests(tests, rules, chosen, experimental=_experimental(**options)))

    def _rules_of(self, name: str, tests: TestFile, **options: Any) -> Rules:
        groups, errors = [], []
        for pattern in tests.rule_files:
            # Relative to the test file; an absolute name stays what it is.
            found = sorted(glob(str(Path(name).parent / pattern)))  # noqa: PTH207 - the pattern may be absolute
            if not found:
                self.stderr.write(f"  WARNING: no file matches {pattern}")
            for path in found:
                file = _rule_file(path, **options)
                groups += file.groups
                errors += [f"{path}: {mistake}" for mistake in file.mistakes]
        return Rules(groups, errors)

    # In and out.

    def import_files(self, files: list[str], *, dry_run: bool, interval: str, **options: Any) -> None:
        """Take files in, and say what came of it."""
        named = [Named(Path(name).name, _rule_file(name, **options)) for name in files]
        try:
            interval_seconds = parse_ms(interval) // 1000
        except BadDuration as problem:
            raise CommandError(f"--interval: {problem}") from problem
        if len({one.name for one in named}) < len(named):
            raise CommandError("two files have the same name, by which the console tells them apart")
        plan = services.rule_files_import(
            named, actor=Actor.system("rules import"), now=clock.now(), interval_seconds=interval_seconds,
            dry_run=dry_run,
        )  # fmt: skip
        if plan.mistakes:
            raise CommandError("nothing was imported:\n" + "\n".join(plan.mistakes))
        for change in plan.changes:
            if change.action != "keep":
                fields = f": {', '.join(change.fields)}" if change.action == "change" else ""
                self.stdout.write(f"{SIGNS[change.action]} {change.what} {change.name}{fields}")
        counts = ", ".join(f"{plan.count(action)} {said}" for action, said in COUNTED.items())
        self.stdout.write(f"rules: {counts}{' (dry run: nothing was stored)' if dry_run else ''}")

    # The past.

    def backtest(
        self, files: list[str], *, days: float, zone: str, interval: str, suggest: bool, **options: Any
    ) -> None:
        """Try rules on the past and print what they would have done."""
        if not 0 < days <= LONGEST_DAYS:
            raise CommandError(f"--days is a number up to {LONGEST_DAYS}")
        try:
            nights = ZoneInfo(zone) if zone else None
            interval_seconds = parse_ms(interval) // 1000
        except (BadDuration, LookupError, ValueError) as problem:
            raise CommandError(f"--zone, --interval: {problem}") from problem
        rules = [rule for name in files for rule in self._tried(name, interval_seconds, **options)]
        for rule in rules:
            for line in tried(rule, days=days, zone=nights, now=clock.now()):
                self.stdout.write(line)
            if suggest and not rule._state.adding:
                for line in quieter(rule, days=days, actor=Actor.system("rules backtest"), now=clock.now()):
                    self.stdout.write(line)

    def _tried(self, name: str, interval_seconds: int, **options: Any) -> list[Rule]:
        if not Path(name).is_file():
            found = list(Rule.objects.filter(Q(name=name) | Q(alert_name=name)).select_related("group"))
            if not found:
                raise CommandError(f"{name} is neither a rule nor a file")
            return found
        file = _rule_file(name, **options)
        if file.mistakes:
            raise CommandError("\n".join(f"{name}: {mistake}" for mistake in file.mistakes))
        return rules_of(file, interval_seconds)

    def export_files(self, *, directory: Path | None, **_options: Any) -> None:
        """Write rule files."""
        files, left = services.rule_files_export(apart=directory is not None)
        for line in left:
            self.stderr.write(f"WARNING: {line}")
        for name, text in files.items():
            if directory is None:
                self.stdout.write(text)
            else:
                path = directory / (name if Path(name).suffix in (".yml", ".yaml") else f"{name}.yml")
                path.write_text(text)
                self.stdout.write(f"{path}: written")


def _experimental(*, enable_feature: list[str], **_options: Any) -> bool:
    asked = {name.strip() for names in enable_feature for name in names.split(",") if name.strip()}
    unknown = asked - EXPERIMENTS
    if unknown:
        raise CommandError(f"--enable-feature: {min(unknown)} is not known; known are {', '.join(sorted(EXPERIMENTS))}")
    return bool(asked) or bool(settings.CONFIG.promql_experimental)


def _content(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as problem:
        raise CommandError(f"{name} cannot be read: {problem.strerror}") from problem


def _rule_file(name: str, *, ignore_unknown_fields: bool = False, **options: Any) -> RuleFile:
    return read_rule_file(_content(name), ignores_unknown=ignore_unknown_fields, experimental=_experimental(**options))


def _test_file(name: str) -> TestFile:
    return read_test_file(_content(name))
