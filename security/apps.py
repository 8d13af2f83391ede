"""The security app: decides what is an attack, and what is blocked."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SecurityConfig(AppConfig):
    """A wing: stands on alerts, metrics, accounts and lib; knows no other wing."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "security"

    def ready(self) -> None:
        """Hang what this app brings on the hooks of the floors below."""
        autodiscover_modules("hooks")
