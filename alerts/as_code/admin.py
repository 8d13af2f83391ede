"""The admin site's part for the settings of alerting, and for what files last said."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.lib import clock
from alerts.models import AlertSettings, ConfigurationBase
from alerts.models.configuration import THE_ONE
from alerts.services.alert_settings import FIELDS, alert_settings_save


@admin.register(AlertSettings)
class AlertSettingsAdmin(RoleAdmin):
    """The one row of settings: changed, never made twice or deleted."""

    fields = FIELDS
    list_display = ("__str__", "version", "updated_at")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the settings, also where nobody has set any yet."""
        found = super().get_object(request, object_id, from_field)
        return AlertSettings.current() if found is None and object_id == str(THE_ONE) else found

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: there is one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: there is always one."""
        return False

    def save_model(self, request: HttpRequest, obj: AlertSettings, form: Any, change: bool) -> None:
        """Save through the service."""
        alert_settings_save(obj, actor=actor_of(request), now=clock.now())


@admin.register(ConfigurationBase)
class ConfigurationBaseAdmin(ReadOnlyAdmin):
    """What a file last said of each thing."""

    list_display = ("section", "name", "file", "imported_at", "imported_by")
    list_filter = ("section",)
    search_fields = ("name", "file")
