"""`manage.py metrics_lint`: the advice on names and labels of metrics, as the page has it."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics.inventory import linting


class Command(BaseCommand):
    """Print advice; with `--fail-on` a pipeline can hold on to it."""

    help = "Print which names and labels of stored metrics break the conventions."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what narrows the list, its format, and when to fail."""
        parser.add_argument("--level", choices=linting.LEVELS, default="", help="Only advice of this level.")
        parser.add_argument("--code", choices=sorted(linting.TITLES), default="", help="Only this kind of advice.")
        parser.add_argument("--metric", default="", help="Only metrics with this in their name.")
        parser.add_argument("--format", dest="form", choices=("text", "json"), default="text")
        parser.add_argument(
            "--fail-on", choices=linting.LEVELS, default="", help="End with 1 where there is such advice."
        )

    def handle(
        self,
        *_args: Any,
        level: str,
        code: str,
        metric: str,
        form: str,
        fail_on: str,
        **_options: Any,
    ) -> None:
        """Print the list, a line a finding."""
        linted = linting.lint()
        found = linted.narrowed(level=level, code=code, search=metric)
        if form == "json":
            self.stdout.write(json.dumps([one.as_dict() for one in found], indent=1))
        else:
            for one in found:
                self.stdout.write(f"{one.advice.level}: {one.family}: {one.advice.text} [{one.advice.code}]")
            self.stdout.write(f"{len(found)} pieces of advice on {linted.families} metrics")
        failing = sum(one.advice.level == fail_on for one in found)
        if failing:
            raise CommandError(f"{failing} of level {fail_on}")
