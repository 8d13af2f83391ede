"""`manage.py scrape_config import FILE`: Prometheus' own configuration becomes pools."""

import argparse
import fnmatch
import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from metrics.models import ScrapePool
from metrics.scrape.pools import Invalid, documented, pools_import
from metrics.wire.scraping.fields import BadConfig


class Command(BaseCommand):
    """Import or show scrape configurations."""

    help = "Import the scrape_configs of a Prometheus configuration file, or show the pools as such."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take what to do and the file."""
        parser.add_argument("what", choices=["import", "show"])
        parser.add_argument("file", nargs="?", help="A file as prometheus.yml.")

    def handle(self, *_args: Any, what: str, file: str | None, **_options: Any) -> None:
        """Do it."""
        if what == "show":
            self.stdout.write(
                json.dumps({"scrape_configs": documented(list(ScrapePool.objects.all())).entries}, indent=2)
            )
            return
        if not file:
            raise CommandError("Which file? manage.py scrape_config import prometheus.yml")
        self._import(Path(file))

    def _import(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
            done = pools_import(
                text, actor=Actor.system("scrape_config"), now=clock.now(),
                include=lambda pattern: _beside(path.parent, pattern),
            )  # fmt: skip
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from error
        except (BadConfig, Invalid) as error:
            raise CommandError(f"{path} was refused, nothing was changed. {error}") from error
        for words, names in (("created", done.created), ("changed", done.updated), ("unchanged", done.unchanged)):
            self.stdout.write(f"{len(names)} {words}{': ' if names else ''}{', '.join(names)}")
        if done.ignored:
            self.stdout.write(f"left alone, for they are not about scraping: {', '.join(done.ignored)}")


def _beside(folder: Path, pattern: str) -> list[tuple[str, str]]:
    place = folder / pattern
    names = sorted(one for one in place.parent.iterdir() if fnmatch.fnmatchcase(one.name, place.name))
    if not names and "*" not in pattern:
        raise BadConfig("scrape_config_files", f"{pattern!r} does not exist")
    return [(str(one), one.read_text(encoding="utf-8")) for one in names]
