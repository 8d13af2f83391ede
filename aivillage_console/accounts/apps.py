"""Who you are: users, roles, tokens, audit."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Foundation app; nothing above it is imported."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "aivillage_console.accounts"
    label = "accounts"
