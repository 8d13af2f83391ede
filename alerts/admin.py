"""The admin site's part for rules, channels and policies; same checks as the API, saved by the same services."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.lib import clock
from alerts.channels import CHANNELS
from alerts.models import (
    Alert,
    AlertEvent,
    Channel,
    DeliveryAttempt,
    Escalation,
    Notification,
    Policy,
    PolicyStep,
    Rule,
    RuleGroup,
    RuleState,
)
from alerts.rules.validation import rule_problems
from alerts.services import configuration


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule, checked as the API checks it."""

    class Meta:
        model = Rule
        fields = (
            "group", "position", "kind", "name", "description", "spec", "severity", "labels", "annotations",
            "for_seconds", "keep_firing_for_seconds", "window_seconds", "cooldown_seconds", "enabled",
        )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """Add what the rule checks find."""
        cleaned = super().clean() or {}
        for field, text in rule_problems(cleaned).items():
            self.add_error(field if field in self.fields else None, text)
        return cleaned


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A channel; the secret is typed in and never shown."""

    secret = forms.CharField(
        required=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Empty keeps the stored one. A new address drops it.",
    )

    class Meta:
        model = Channel
        fields = ("name", "type", "config", "filters", "enabled", "is_fallback", "rate_per_minute")

    def clean(self) -> dict[str, Any]:
        """Add what the channel type finds."""
        cleaned = super().clean() or {}
        kind, config = CHANNELS.get(cleaned.get("type", "")), cleaned.get("config")
        if kind is None:
            raise ValidationError({"type": f"There are {', '.join(CHANNELS)}."})
        for field, text in kind.problems(
            config if isinstance(config, dict) else {}, cleaned.get("secret") or ""
        ).items():
            self.add_error("secret" if field == "secret" else "config", f"{field}: {text}")
        return cleaned


class ConfiguredAdmin(RoleAdmin):
    """Things people configure."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        configuration.configured_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(RuleGroup)
class RuleGroupAdmin(ConfiguredAdmin):
    """Groups of rules."""

    fields = ("name", "interval_seconds", "enabled")
    list_display = ("name", "interval_seconds", "enabled", "last_evaluated_at", "missed")

    def save_model(self, request: HttpRequest, obj: RuleGroup, form: Any, change: bool) -> None:
        """Save through the service."""
        configuration.group_save(obj, actor=actor_of(request), now=clock.now())


@admin.register(Rule)
class RuleAdmin(ConfiguredAdmin):
    """Rules."""

    form = RuleForm
    list_display = ("name", "group", "kind", "severity", "enabled", "health", "last_evaluated_at")
    list_filter = ("group", "kind", "severity", "enabled", "health")
    list_select_related = ("group",)
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        """Save through the service."""
        configuration.rule_save(obj, actor=actor_of(request), now=clock.now())


@admin.register(Channel)
class ChannelAdmin(ConfiguredAdmin):
    """Channels; they hold secrets and addresses, so only admins change them here."""

    change_role = Role.ADMIN
    form = ChannelForm
    list_display = ("name", "type", "enabled", "breaker_state", "secret_hint", "updated_at")

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Save through the service."""
        secret = form.cleaned_data["secret"] or None
        configuration.channel_save(obj, actor=actor_of(request), now=clock.now(), secret=secret)


class StepInline(admin.TabularInline):  # type: ignore[type-arg]
    """The steps of a policy."""

    model = PolicyStep
    extra = 0
    fields = ("position", "delay_seconds", "channels")

    def _may(self, request: HttpRequest) -> bool:
        return request.user.has_role(Role.EDITOR)  # type: ignore[union-attr]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let editors read."""
        return self._may(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let editors add."""
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let editors change."""
        return self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let editors delete."""
        return self._may(request)


@admin.register(Policy)
class PolicyAdmin(ConfiguredAdmin):
    """Policies with their steps."""

    fields = ("name", "position", "triggers", "enabled", "is_default")
    list_display = ("position", "name", "enabled", "is_default", "version")
    list_display_links = ("name",)
    inlines: ClassVar = [StepInline]

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        """Save through the service; the steps follow in `save_related`."""
        configuration.policy_save(obj, actor=actor_of(request), now=clock.now())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the steps and record the policy as it stands with them."""
        with transaction.atomic():
            super().save_related(request, form, formsets, change)
            if any(formset.has_changed() for formset in formsets):
                configuration.policy_save(form.instance, actor=actor_of(request), now=clock.now())


for hot in (Alert, AlertEvent, Notification, DeliveryAttempt, Escalation, RuleState):
    admin.site.register(hot, ReadOnlyAdmin)
