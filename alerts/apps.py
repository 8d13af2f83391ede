"""The alerts app: decides and tells."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """First floor: stands on metrics, accounts and lib."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "alerts"
