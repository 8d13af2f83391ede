"""`manage.py alertmanager import FILE`: takes an Alertmanager configuration in, or says what would come of it."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.alertmanager.documents import BadConfig
from alerts.services.carrying import foreign_import


class Command(BaseCommand):
    """Routes become policies, receivers channels; what cannot be carried is listed."""

    help = "Import an alertmanager.yml into channels, policies, inhibitions and mute times."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb, the file and the trial run."""
        parser.add_argument("verb", choices=["import"])
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be made, and make nothing.")

    def handle(self, *_args: Any, file: Path, dry_run: bool, **_options: Any) -> None:
        """Import and report."""
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise CommandError(f"{file} cannot be read: {problem}") from problem
        actor = Actor(kind="system", label="manage.py alertmanager", role="admin")
        try:
            done = foreign_import(text, actor=actor, now=clock.now(), trial=dry_run)
        except BadConfig as problem:
            raise CommandError(f"{file}: {problem}") from problem
        for line in done.lines:
            self.stdout.write(f"would {line}" if dry_run else line)
        for line in done.left_out:
            self.stdout.write(f"not carried: {line}")
        made = "would be made or changed" if dry_run else "made or changed"
        self.stdout.write(f"{len(done.lines)} {made}, {len(done.left_out)} not carried")
