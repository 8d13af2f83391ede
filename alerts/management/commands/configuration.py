"""`manage.py configuration`: checks, plans, applies and exports the console's configuration as files."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from aivillage_console.accounts.services import Actor
from aivillage_console.env import environment
from aivillage_console.lib import clock
from alerts.engine.configuration.document import read_document
from alerts.services.as_code import (
    Changed,
    Given,
    Plan,
    Undecided,
    Wish,
    configuration_apply,
    configuration_export,
    configuration_plan,
)
from alerts.services.as_code.replaying import Delta, replayed, rule_delta
from alerts.services.as_code.shown import plan_lines
from alerts.services.as_code.state import known

# What a pipeline may go by.
MISTAKES, CHANGES, UNDECIDED = 1, 2, 3
CODES = """\
exit codes: 0 well, and for `plan` nothing to do; 1 a mistake, nothing was stored; 2 `plan` found changes;
3 conflicts are undecided, nothing was stored."""


class Command(BaseCommand):
    """Files say what they say, the console may say otherwise; both are merged."""

    help = "Check, plan, apply and export the configuration as YAML (docs/configuration.md)."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Say what the exit codes mean."""
        return super().create_parser(
            prog_name, subcommand, epilog=CODES, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add a word for each thing it can do."""
        words = parser.add_subparsers(dest="word", required=True, metavar="check|plan|apply|export")
        check = words.add_parser("check", help="Read files and say what is wrong in them; asks no database.")
        plan = words.add_parser("plan", help="Say what an import would do, and do nothing.")
        done = words.add_parser("apply", help="Import: all of it or, with a mistake or a conflict, nothing.")
        out = words.add_parser("export", help="Write everything that is configured.")
        out.add_argument("files", nargs="?", metavar="FILE", help="Where to write; left out: print it.")
        for word in (check, plan, done):
            word.add_argument("files", nargs="+", metavar="FILE")
        for word in (plan, done):
            word.add_argument("--prefer", choices=["file", "console"], help="Decide every conflict.")
            word.add_argument("--prune", action="store_true", help="Delete what a file once brought and no longer has.")
        plan.add_argument("--replay", action="store_true", help="Replay changed rules over the last seven days.")
        done.add_argument("--digest", default="", help="Apply that plan only: its digest is the last line of `plan`.")

    def handle(self, *_args: Any, word: str, **options: Any) -> None:
        """Do what the word says."""
        works: dict[str, Callable[..., int]] = {
            "check": self.check_files, "plan": self.plan, "apply": self.apply, "export": self.export
        }  # fmt: skip
        code = works[word](**options)
        if code:
            raise SystemExit(code)

    def check_files(self, files: list[str], **_options: Any) -> int:
        """Say what is wrong in files."""
        wrong = 0
        for name in files:
            found = read_document(_content(name), file=name, known=known(), variables=environment())
            for line in found.told:
                self.stderr.write(line)
            wrong += len(found.mistakes)
            if not found.mistakes:
                self.stdout.write(f"{name}: {len(found.entries)} things, no mistake")
        return MISTAKES if wrong else 0

    def plan(self, files: list[str], *, prefer: str | None, prune: bool, replay: bool, **_options: Any) -> int:
        """Say what would be done."""
        plan = configuration_plan(_wish(files, prefer, prune), actor=_actor(), now=clock.now())
        if self.told(plan):
            return MISTAKES
        for step in replayed(plan) if replay else ():
            self.stdout.write(_delta_line(rule_delta(plan, step, now=clock.now())))
        self.stdout.write(f"digest {plan.digest}")
        if plan.conflicts:
            return UNDECIDED
        return CHANGES if plan.does_something else 0

    def apply(self, files: list[str], *, prefer: str | None, prune: bool, digest: str, **_options: Any) -> int:
        """Do it."""
        try:
            wish = _wish(files, prefer, prune)
            plan = configuration_apply(wish, actor=_actor(), now=clock.now(), digest=digest)
        except (Changed, Undecided) as problem:
            self.told(problem.plan)
            self.stderr.write(f"nothing was stored: {problem}")
            return UNDECIDED if isinstance(problem, Undecided) else MISTAKES
        return MISTAKES if self.told(plan) else 0

    def told(self, plan: Plan) -> bool:
        """Print a plan; return whether something is wrong with it."""
        for line in plan.mistakes:
            self.stderr.write(line)
        if plan.mistakes:
            return True
        for line in plan_lines(plan):
            self.stdout.write(line)
        return False

    def export(self, files: str | None, **_options: Any) -> int:
        """Write everything."""
        text = configuration_export()
        if files is None:
            self.stdout.write(text, ending="")
        else:
            Path(files).write_text(text, encoding="utf-8")
        return 0


def _actor() -> Actor:
    return Actor(kind="system", label="manage.py configuration", role="admin")


def _wish(files: list[str], prefer: str | None, prune: bool) -> Wish:
    given = [Given(Path(name).name, _content(name)) for name in files]
    if len({one.name for one in given}) < len(given):
        raise CommandError("two files have the same name, by which the console tells them apart")
    choices = {"*": {"*": prefer}} if prefer else {}
    return Wish(files=given, choices=choices, prune=prune, variables=environment())  # type: ignore[arg-type]


def _content(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as problem:
        raise CommandError(f"{name} cannot be read: {problem.strerror}") from problem


def _delta_line(delta: Delta) -> str:
    if delta.problem and delta.after is None:
        return f"replay of {delta.rule}: {delta.problem}"
    before = f"{delta.before.firings} firings, {delta.before.pages} pages" if delta.before else "new"
    after = f"{delta.after.firings} firings, {delta.after.pages} pages" if delta.after else "nothing"
    lost = "".join(f"\n    would reach nobody: {line}" for line in delta.lost)
    return f"replay of {delta.rule}, last 7 days: {before} -> {after}{lost}"
