"""The forge_dashboard app: pipelines of models, live."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class ForgeDashboardConfig(AppConfig):
    """A wing: stands on alerts, metrics, accounts and lib; knows no other wing."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "forge_dashboard"
    verbose_name = "Agent Forge"

    def ready(self) -> None:
        """Hang what this app brings on the hooks of the floors below."""
        autodiscover_modules("hooks")
