"""The metrics app: takes telemetry in, keeps it, answers queries."""

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Ground floor: runs with every other app uninstalled."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "metrics"
