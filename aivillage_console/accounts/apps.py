"""Who you are: users, roles, tokens, audit."""

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig


class AccountsConfig(AppConfig):
    """Foundation app; nothing above it is imported."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "aivillage_console.accounts"
    label = "accounts"
    default = True


class ConsoleAdminConfig(SimpleAdminConfig):
    """Django's admin with our site."""

    default_site = "aivillage_console.accounts.admin_site.ConsoleAdminSite"

    def ready(self) -> None:
        """Find each app's `admin` module."""
        super().ready()
        if self.module is not None:
            self.module.autodiscover()
