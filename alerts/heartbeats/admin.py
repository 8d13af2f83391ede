"""The admin site's part for jobs that report in; they are made on their page, for their key is shown once."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.lib import clock
from alerts.models import CronJob, Ping
from alerts.services import configuration

LONGEST_SHOWN = 10_000


@admin.register(CronJob)
class CronJobAdmin(RoleAdmin):
    """Jobs: read and deleted here, made and changed on their own page."""

    list_display = ("name", "cron", "period_seconds", "grace_seconds", "last_at", "pings", "key_hint")
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # type: ignore[override]
        """Refuse: the key of a new one is shown on its page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: its own page is the one place."""
        return False

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Let its history go with it, though nobody may delete a report alone."""
        found, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return found, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        configuration.configured_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(Ping)
class PingAdmin(ReadOnlyAdmin):
    """What jobs told."""

    list_display = ("at", "job", "kind", "exit_status", "duration_ms", "method", "ip")
    list_filter = ("kind",)
    list_select_related = ("job",)
    search_fields = ("job__name",)
    exclude = ("body", "facts")
    readonly_fields = ("output",)

    @admin.display(description="Output")
    def output(self, row: Ping) -> str:
        """Show the beginning of what was sent."""
        return bytes(row.body)[:LONGEST_SHOWN].decode("utf-8", "replace")
