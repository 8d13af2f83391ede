"""`manage.py exposition_check FILE...`: the strict verdict on exposition pages, a line a file."""

import argparse
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from metrics.wire.errors import WireError
from metrics.wire.exposition.forms import Form
from metrics.wire.exposition.reading import read_page


class Command(BaseCommand):
    """Judge pages."""

    help = "Say whether pages follow every rule of OpenMetrics 1.0 (or of the text format), and where they do not."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take the files and their form."""
        parser.add_argument("files", nargs="+", metavar="FILE", help="A page; - is the standard input.")
        parser.add_argument("--form", choices=[form.value for form in Form], default=Form.OPENMETRICS.value)

    def handle(self, *_args: Any, files: list[str], form: str, **_options: Any) -> None:
        """Judge each; raises CommandError where any is refused."""
        refused = 0
        for name in files:
            verdict = _verdict(name, Form(form))
            refused += not verdict.startswith("ok")
            self.stdout.write(f"{name}: {verdict}")
        if refused:
            raise CommandError(f"{refused} of {len(files)} refused")


def _verdict(name: str, form: Form) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}") from error
    try:
        page = read_page(data, form)
    except WireError as error:
        return f"refused, {error}"
    return f"ok, {page.values.size} samples"
