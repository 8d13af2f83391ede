"""The admin site's part for telemetry: read-only, because only the doors and the compactor write it; and pools."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.lib import clock
from metrics.models import (
    IngestBatch,
    Metric,
    PushGroup,
    RejectedRequest,
    RemoteTarget,
    ScrapePool,
    ScrapeTarget,
    Series,
)
from metrics.remote_out import targets
from metrics.scrape import pools


@admin.register(Metric)
class MetricAdmin(ReadOnlyAdmin):
    """Metrics and what they say about themselves."""

    search_fields = ("name",)


@admin.register(Series)
class SeriesAdmin(ReadOnlyAdmin):
    """Series, newest first; never counted, there may be a million."""

    ordering = ("-id",)
    list_per_page = 50


@admin.register(PushGroup)
class PushGroupAdmin(ReadOnlyAdmin):
    """Pushed groups and when they were pushed."""

    list_display = ("__str__", "source", "pushed_at", "failed_at")
    list_select_related = ("source",)


admin.site.register(IngestBatch, ReadOnlyAdmin)
admin.site.register(RejectedRequest, ReadOnlyAdmin)


class ScrapePoolForm(forms.ModelForm):  # type: ignore[type-arg]
    """A pool; secrets are typed into the configuration and shown as <secret> afterwards."""

    class Meta:
        model = ScrapePool
        fields = ("name", "enabled", "config")
        widgets: ClassVar = {
            "config": forms.Textarea(attrs={"class": "code", "rows": 24, "cols": 100, "spellcheck": "false"})
        }
        help_texts: ClassVar = {
            "config": (
                'An entry of Prometheus\' scrape_configs, in JSON: {"static_configs": [{"targets": ["host:9100"]}]}. '
                "A secret shown as <secret> stays what it is."
            )
        }

    def clean(self) -> dict[str, Any]:
        """Check the configuration as the service will."""
        cleaned = super().clean() or {}
        if "config" in cleaned and "name" in cleaned:
            for field, text in pools.pool_problems(self.instance, cleaned["name"], cleaned["config"]).items():
                self.add_error(field if field in self.fields else None, text)
        return cleaned


@admin.register(ScrapePool)
class ScrapePoolAdmin(RoleAdmin):
    """Pools: editors read them, admins change them, because targets may be private addresses."""

    change_role = Role.ADMIN
    form = ScrapePoolForm
    list_display = ("name", "enabled", "discovery_error", "updated_at")
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: ScrapePool, form: Any, change: bool) -> None:
        """Save through the service."""
        pools.pool_save(obj, actor=actor_of(request), now=clock.now())

    def delete_model(self, request: HttpRequest, obj: ScrapePool) -> None:
        """Delete through the service."""
        pools.pool_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(ScrapeTarget)
class ScrapeTargetAdmin(ReadOnlyAdmin):
    """Targets as the scraper last saw them."""

    list_display = ("__str__", "pool", "health", "last_scrape_at", "last_error")
    list_filter = ("health", "pool")
    list_select_related = ("pool",)


class RemoteTargetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A destination; secrets are typed into the configuration and shown as <secret> afterwards."""

    class Meta:
        model = RemoteTarget
        fields = ("name", "enabled", "config")
        widgets: ClassVar = {
            "config": forms.Textarea(attrs={"class": "code", "rows": 18, "cols": 100, "spellcheck": "false"})
        }
        help_texts: ClassVar = {
            "config": (
                'As an entry of Prometheus\' remote_write, in JSON: {"url": "https://store.example.org/api/v1/write"}. '
                "A secret shown as <secret> stays what it is."
            )
        }

    def clean(self) -> dict[str, Any]:
        """Check the configuration as the service will."""
        cleaned = super().clean() or {}
        if "config" in cleaned and "name" in cleaned:
            for field, text in targets.target_problems(self.instance, cleaned["name"], cleaned["config"]).items():
                self.add_error(field if field in self.fields else None, text)
        return cleaned


@admin.register(RemoteTarget)
class RemoteTargetAdmin(RoleAdmin):
    """Destinations of remote write: editors read them, admins change them."""

    change_role = Role.ADMIN
    form = RemoteTargetForm
    list_display = (
        "name",
        "enabled",
        "last_sent_at",
        "sent_samples",
        "failed_samples",
        "dropped_samples",
        "last_error",
    )
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: RemoteTarget, form: Any, change: bool) -> None:
        """Save through the service."""
        targets.target_save(obj, actor=actor_of(request), now=clock.now())

    def delete_model(self, request: HttpRequest, obj: RemoteTarget) -> None:
        """Delete through the service."""
        targets.target_delete(obj, actor=actor_of(request), now=clock.now())
