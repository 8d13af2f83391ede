"""`manage.py settings_docs`: print docs/settings.md."""

from typing import Any

from django.core.management.base import BaseCommand

from aivillage_console.env import documentation


class Command(BaseCommand):
    """Used by `make docs`."""

    help = "Print the list of all settings as Markdown."
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django declares it as an instance variable)

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print it."""
        self.stdout.write(documentation(), ending="")
