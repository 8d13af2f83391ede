"""`manage.py import_pipeline FILE...`: take in reports and checkpoints that pipelines left behind."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from forge_dashboard.importers import NotImportable, import_document
from forge_dashboard.importers.taking import SOURCE

LARGEST_BYTES = 50_000_000
ACTOR = Actor.system("import_pipeline")


class Command(BaseCommand):
    """Import files; importing one again changes nothing."""

    help = "Import pipeline_report_*.json and orchestrator_checkpoint_*.json files. A file that was imported is known."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take files and the source they count as."""
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--source", default=SOURCE, help="Name of the source the runs count as.")

    def handle(self, *_args: Any, files: list[Path], source: str, **_options: Any) -> None:
        """Import each file; one that cannot be read does not stop the others."""
        failed = 0
        for path in files:
            try:
                read = _document(path)
                done = import_document(read, name=path.name, actor=ACTOR, now=clock.now(), source=source)
            except (NotImportable, OSError) as error:
                failed += 1
                self.stderr.write(f"{path}: {error}")
                continue
            self.stdout.write(f"{path}: run {done.external_id}, {done.events} events, {len(done.refused)} refused")
            for reason in done.refused:
                self.stderr.write(f"  refused: {reason}")
        if failed:
            raise CommandError(f"{failed} of {len(files)} files could not be imported.")


def _document(path: Path) -> object:
    if path.stat().st_size > LARGEST_BYTES:
        raise NotImportable(f"the file is larger than {LARGEST_BYTES} bytes")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise NotImportable(f"it is no JSON: {error}") from error
