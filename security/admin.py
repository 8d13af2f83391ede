"""The admin site's part for Security: events and findings to read; blocks and allow list through the services."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from aivillage_console.accounts.admin import AskingForm, ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.services import Refused
from aivillage_console.lib import clock
from security import services
from security.models import AllowEntry, Block, DetectorPulse, EnforcerPull, Finding, SecurityEvent

BECAUSE = "from the admin site"


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    """Events as they were told; what is in them is shown as plain text."""

    list_display = ("id", "at", "event_type", "user_id", "source_ip", "endpoint", "threat_score", "band", "mitigated")
    list_filter = ("band", "event_type", "mitigated")
    search_fields = ("=user_id", "=event_id")
    ordering = ("-id",)


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """What the detectors found."""

    list_display = ("id", "at", "detector", "score", "band", "user_id", "source_ip", "endpoint")
    list_filter = ("band", "detector")
    search_fields = ("=user_id",)
    raw_id_fields = ("event",)
    ordering = ("-id",)


class BlockForm(AskingForm):
    """A block to put up."""

    seconds = forms.IntegerField(min_value=60, initial=14_400, help_text="How long it lasts.")
    confirm = forms.CharField(required=False, max_length=200, help_text="The value again, for networks wider than /24.")
    force = forms.BooleanField(required=False, help_text="Also where it hits our own networks or your address.")

    class Meta:
        model = Block
        fields = ("scope", "value", "reason")

    def attempt(self, cleaned: dict[str, Any], now: Any) -> Block:
        """Block through the service."""
        asked = {name: cleaned[name] for name in ("scope", "value", "reason", "seconds", "confirm", "force")}
        return services.block_add(**asked, actor=self.actor, now=now)


class AllowForm(AskingForm):
    """Somebody never to block."""

    class Meta:
        model = AllowEntry
        fields = ("scope", "value", "reason")

    def attempt(self, cleaned: dict[str, Any], now: Any) -> AllowEntry:
        """Allow through the service."""
        asked = {name: cleaned[name] for name in ("scope", "value", "reason")}
        return services.allow_add(**asked, actor=self.actor, now=now)


class ListedAdmin(RoleAdmin):
    """Rows that are added and ended, never changed or deleted: they are what happened."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let a row be read but not rewritten."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows are ended, and stay for the timeline."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the service."""
        obj.pk = form.attempt(form.cleaned_data, clock.now()).pk

    def each(self, request: HttpRequest, rows: QuerySet[Any], end: Any) -> None:
        """End the chosen rows and say of each that could not be ended why."""
        for row in rows:
            try:
                end(row)
            except Refused as refusal:
                self.message_user(request, f"{row}: {refusal}", messages.ERROR)


@admin.register(Block)
class BlockAdmin(ListedAdmin):
    """Blocks: put up and lift."""

    form = BlockForm
    list_display = ("value", "scope", "automatic", "created_by", "created_at", "expires_at", "lifted_by")
    list_filter = ("scope", "automatic", ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("value", "reason")
    ordering = ("-created_at",)
    raw_id_fields = ("finding",)
    actions = ("lift",)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer to lift."""
        return {"lift": (BlockAdmin.lift, "lift", "Lift the selected blocks")}

    def lift(self, request: HttpRequest, rows: QuerySet[Block]) -> None:
        """Lift the chosen blocks."""
        actor, now = actor_of(request), clock.now()
        self.each(request, rows, lambda row: services.block_lift(block_id=row.pk, reason=BECAUSE, actor=actor, now=now))


@admin.register(AllowEntry)
class AllowAdmin(ListedAdmin):
    """The allow list."""

    form = AllowForm
    list_display = ("value", "scope", "reason", "created_by", "created_at", "removed_at")
    list_filter = ("scope", ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("value", "reason")
    ordering = ("-created_at",)
    actions = ("remove",)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer to take off."""
        return {"remove": (AllowAdmin.remove, "remove", "Take the selected off the allow list")}

    def remove(self, request: HttpRequest, rows: QuerySet[AllowEntry]) -> None:
        """Take the chosen off the list."""
        actor, now = actor_of(request), clock.now()
        self.each(
            request, rows, lambda row: services.allow_remove(entry_id=row.pk, reason=BECAUSE, actor=actor, now=now)
        )


@admin.register(EnforcerPull)
class EnforcerAdmin(ReadOnlyAdmin):
    """Who pulls the block list."""

    read_role: ClassVar[str] = Role.EDITOR
    list_display = ("name", "pulled_at", "version", "first_at")


admin.site.register(DetectorPulse, ReadOnlyAdmin)
