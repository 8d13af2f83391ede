"""The roof as an app: system checks and management commands that belong to the whole console."""

from django.apps import AppConfig
from django.conf import settings
from django.core import checks as framework

from aivillage_console import checks, telemetry


class ConsoleConfig(AppConfig):
    """Holds no models."""

    name = "aivillage_console"
    label = "console"

    def ready(self) -> None:
        """Register the checks; a process that was started with a role reports from now on."""
        for check in checks.OF_SETTINGS:
            framework.register(check, framework.Tags.security)
        for check in checks.OF_SERVICES:
            framework.register(check, framework.Tags.database)
        telemetry.start(settings.CONFIG.role)
