"""`manage.py verify_audit`: whether the trail is still what was written."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from aivillage_console.accounts import selectors, services


class Command(BaseCommand):
    """Recompute the chain over the audit trail and name each damaged row."""

    help = "Recompute the chain over the audit trail; names each damaged row and fails when there is one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--head", default="", help="<number>:<hash> printed earlier; finds a trail cut at the end.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the damage, or the head to keep elsewhere."""
        while services.audit_seal():
            pass
        damage = list(selectors.audit_damage())
        number, digest = selectors.audit_head()
        if options["head"] and not selectors.audit_head_known(options["head"]):
            damage.append("the trail no longer holds the given head: its end was cut off or rewritten")
        for line in damage:
            self.stderr.write(line)
        if damage:
            raise CommandError(f"{len(damage)} damaged")
        self.stdout.write(f"{selectors.audit_sealed()} sealed entries are as they were written; head {number}:{digest}")
