"""The admin site's part for integrations; they are made on their page, for their token is shown once."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.lib import clock
from alerts.models import ChangeEvent, InboundKey, InboundMessage, Integration
from alerts.services import configuration

LONGEST_SHOWN = 20_000


@admin.register(Integration)
class IntegrationAdmin(RoleAdmin):
    """Integrations: read and deleted here, made and changed on their own page."""

    change_role = Role.ADMIN
    list_display = ("name", "tool", "makes", "enabled", "token_hint", "updated_at")
    list_filter = ("tool", "enabled")
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # type: ignore[override]
        """Refuse: the token of a new one is shown on its page."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: the form with its preview is the one place."""
        return False

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Let its messages and keys go with it, though nobody may delete one of them alone."""
        found, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return found, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        configuration.configured_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(InboundMessage)
class InboundMessageAdmin(ReadOnlyAdmin):
    """Messages other tools sent, and what came of each."""

    list_display = ("id", "integration", "event", "state", "received_at", "attempts", "outcome")
    list_filter = ("state", "integration")
    list_select_related = ("integration",)
    search_fields = ("request_id", "outcome")
    exclude = ("body",)
    readonly_fields = ("text",)

    @admin.display(description="Body")
    def text(self, row: InboundMessage) -> str:
        """Show the beginning of the message."""
        return bytes(row.body)[:LONGEST_SHOWN].decode("utf-8", "replace")


@admin.register(ChangeEvent)
class ChangeEventAdmin(ReadOnlyAdmin):
    """Deploys, builds and other changes."""

    list_display = ("at", "kind", "name", "status", "integration")
    list_filter = ("kind", "integration")
    list_select_related = ("integration",)
    search_fields = ("name",)


@admin.register(InboundKey)
class InboundKeyAdmin(ReadOnlyAdmin):
    """What alerts are called by the tools that told of them."""

    list_display = ("key", "integration", "alert")
    list_select_related = ("integration", "alert")
    search_fields = ("key",)
