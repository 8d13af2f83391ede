"""`manage.py check` that also asks the database: a console without one is a bad set-up, not a detail."""

from typing import Any

from django.core.management.commands.check import Command as DjangoCheck


class Command(DjangoCheck):
    """Django's command with `--database default` unless databases are named."""

    def handle(self, *app_labels: Any, **options: Any) -> None:
        """Run the checks."""
        if not options["databases"]:
            options["databases"] = ["default"]
        super().handle(*app_labels, **options)
