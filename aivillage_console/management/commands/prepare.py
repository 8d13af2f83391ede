"""`manage.py prepare`: bring the database up to date, give the collector its token, print a way in for the admin."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from aivillage_console.accounts import keys, services
from aivillage_console.accounts.models import ApiToken, Scope, TokenKind
from aivillage_console.lib import clock

COLLECTOR = "console collector"


def collector_token(file: Path) -> None:
    """Leave a living token in `file`, readable by its owner alone; the one already there is kept."""
    key = keys.parse(file.read_text(encoding="ascii").strip()) if file.exists() else None
    if key and ApiToken.objects.filter(sha256=key.sha256, revoked_at=None).exists():
        return
    actor, now = services.Actor.system("prepare"), clock.now()
    for token in ApiToken.objects.filter(name=COLLECTOR, revoked_at=None):
        services.token_revoke(token, actor=actor, now=now)
    _, plain = services.token_issue(
        name=COLLECTOR,
        kind=TokenKind.INGEST,
        scopes=[Scope.INGEST_METRICS, Scope.BACKFILL],
        actor=actor,
        now=now,
        source=services.source_named("console"),
    )
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
        handle.write(plain)


class Command(BaseCommand):
    """Run by the supervisor before any role starts."""

    help = "Migrate, make the collector's token, print a one-time sign-in link."
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django declares it as an instance variable)

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print the link as the last line."""
        call_command("check", stdout=self.stderr)
        call_command("migrate", verbosity=0, interactive=False)
        collector_token(settings.CONFIG.state_path / "collector_token")
        call_command("sign_in_link", stdout=self.stdout)
