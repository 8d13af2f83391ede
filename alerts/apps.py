"""The alerts app: decides and tells."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class AlertsConfig(AppConfig):
    """First floor: stands on metrics, accounts and lib."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "alerts"

    def ready(self) -> None:
        """Let the registries know this app's own kinds."""
        # Every app's hooks are looked for here and in the apps above; a module is run once.
        autodiscover_modules("hooks")
