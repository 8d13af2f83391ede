"""The admin site's part of incidents: the rules are configured here, the rest is there to be read."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.lib import clock
from alerts.models import CorrelationRule, Incident, IncidentEvent, IncidentMember
from alerts.services.correlation_rules import (
    FIELDS,
    correlation_rule_delete,
    correlation_rule_problems,
    correlation_rule_save,
)


class CorrelationRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A correlation rule, checked as the API checks it."""

    class Meta:
        model = CorrelationRule
        fields = FIELDS

    def clean(self) -> Any:
        """Read key, patterns and matchers."""
        cleaned = super().clean()
        for name, value in self.cleaned_data.items():
            setattr(self.instance, name, value)
        for field, text in correlation_rule_problems(self.instance).items():
            self.add_error(field, text)
        return cleaned


@admin.register(CorrelationRule)
class CorrelationRuleAdmin(RoleAdmin):
    """Which alerts belong together."""

    form = CorrelationRuleForm
    fields = FIELDS
    list_display = ("name", "position", "group_key", "time_window_seconds", "notify", "enabled", "version")
    list_filter = ("enabled", "notify")
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the service."""
        correlation_rule_save(obj, actor=actor_of(request), now=clock.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        correlation_rule_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    """Incidents; people act on them on the console's own pages."""

    list_display = ("id", "name", "severity", "state", "alerts", "opened_at", "assignee")
    list_filter = ("state", "severity")
    list_select_related = ("assignee",)
    search_fields = ("name",)


@admin.register(IncidentMember)
class IncidentMemberAdmin(ReadOnlyAdmin):
    """Which alert is in which incident, and why."""

    list_display = ("incident", "alert", "current", "listed", "joined_at", "left_at")
    list_filter = ("current", "listed")
    list_select_related = ("incident", "alert")


@admin.register(IncidentEvent)
class IncidentEventAdmin(ReadOnlyAdmin):
    """The story of incidents."""

    list_display = ("id", "incident", "kind", "at", "actor", "alert_number")
    list_filter = ("kind",)
    list_select_related = ("incident",)
