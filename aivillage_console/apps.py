"""The roof as an app: system checks and management commands that belong to the whole console."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Holds no models."""

    name = "aivillage_console"
    label = "console"
