"""`manage.py load_registry platform`: register the platform's services with their dependencies."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from health.catalogue import REGISTRIES, edges_of
from health.services.registry import registered


class Command(BaseCommand):
    """Adds what is not there yet and changes nothing that is."""

    help = "Register known components: `platform` (services with dependencies) or `components` (the original's)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Ask which registry."""
        parser.add_argument("registry", choices=sorted(REGISTRIES))

    def handle(self, *_args: Any, registry: str, **_options: Any) -> None:
        """Register and say how many were new."""
        actor, now, entries = Actor.system("load_registry"), clock.now(), REGISTRIES[registry]
        added = [
            registered(entry.name, actor=actor, now=now, kind=entry.kind, description=entry.description,
                       depends_on=edges_of(entry, entries))
            for entry in entries
        ]  # fmt: skip
        self.stdout.write(f"{sum(added)} of {len(entries)} components were added; the others were there.")
