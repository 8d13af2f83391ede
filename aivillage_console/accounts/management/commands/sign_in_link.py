"""`manage.py sign_in_link`: print a one-time way in."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from aivillage_console.accounts import services
from aivillage_console.lib import clock


class Command(BaseCommand):
    """Print a one-time sign-in link; without --email for the first admin, who is made when there is none."""

    help = "Print a one-time sign-in link; it dies after use or 30 minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--email", default="", help="Whom to sign in; a new address becomes an admin.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the link alone, so that scripts can read it."""
        now = clock.now()
        user = services.first_admin(now=now, email=options["email"])
        secret = services.sign_in_link_issue(user, actor=services.Actor.system("sign_in_link"), now=now)
        self.stdout.write(settings.CONFIG.public_url.rstrip("/") + reverse("sign-in-link", args=[secret]))
