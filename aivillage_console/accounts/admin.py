"""The admin site's part for people, sources, tokens and the trail; every save goes through the services."""

import datetime
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth import admin as auth_admin
from django.db import models, transaction
from django.http import HttpRequest

from aivillage_console.accounts import services
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import ApiToken, AuditEntry, Role, Scope, Source, Team, User
from aivillage_console.lib import clock

# Groups have no use here, rights follow from the role; the schedule is code, and a form that names any task to run
# would pass the services and the trail by.
UNUSED: list[type[models.Model]] = [auth_admin.Group, *apps.get_app_config("django_celery_beat").get_models()]  # type: ignore[attr-defined]
for unused in UNUSED:
    if admin.site.is_registered(unused):
        admin.site.unregister(unused)


class _Undo(Exception):
    """Takes a trial back."""


def refusal_of(attempt: Callable[[], object]) -> services.Refused | None:
    """Return why a service would refuse, having tried it and taken it back; the form shows it beside the field."""
    try:
        with transaction.atomic():
            attempt()
            raise _Undo
    except services.Refused as refusal:
        return refusal
    except _Undo:
        return None


class AskingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that knows who fills it in, so that it can ask the service before it says yes."""

    actor: ClassVar[services.Actor]

    def attempt(self, cleaned: dict[str, Any], now: datetime.datetime) -> object:
        """Call the service that would save this."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Show what the service would refuse."""
        cleaned = super().clean() or {}
        if not self.errors and (refusal := refusal_of(lambda: self.attempt(cleaned, clock.now()))):
            self.add_error(refusal.field if refusal.field in self.fields else None, str(refusal))
        return cleaned


class RoleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A model admin whose rights follow from the role alone."""

    read_role: ClassVar[str] = Role.EDITOR
    change_role: ClassVar[str] = Role.EDITOR
    actions: Sequence[Any] = ()

    def _has(self, request: HttpRequest, role: str) -> bool:
        return isinstance(request.user, User) and request.user.has_role(role)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the app to those who may read something in it."""
        return self._has(request, self.read_role)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let readers read."""
        return self._has(request, self.read_role)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let changers add."""
        return self._has(request, self.change_role)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let changers change."""
        return self._has(request, self.change_role)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let changers delete."""
        return self._has(request, self.change_role)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer no bulk delete: it would pass the services by."""
        return {}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Tell a form that asks the service who is asking."""
        form = super().get_form(request, obj, change, **kwargs)
        if issubclass(form, AskingForm):
            form.actor = actor_of(request)
        return form

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Leave the log to the audit trail."""
        return []

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave the log to the audit trail."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave the log to the audit trail."""

    def log_deletions(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        """Leave the log to the audit trail."""


class ReadOnlyAdmin(RoleAdmin):
    """Rows that only the console itself writes; counting a hot table would read all of it."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class UserForm(AskingForm):
    """A person."""

    class Meta:
        model = User
        fields = ("email", "name", "role", "time_zone", "teams")

    def attempt(self, cleaned: dict[str, Any], now: datetime.datetime) -> User:
        """Save through the service; an address is given once."""
        facts = {name: cleaned[name] for name in ("name", "role", "time_zone", "teams")}
        if self.instance._state.adding:
            return services.user_create(email=cleaned["email"], actor=self.actor, now=now, **facts)
        return services.user_update(self.instance, actor=self.actor, now=now, **facts)


@admin.register(User)
class UserAdmin(RoleAdmin):
    """People; admins only. Nobody is deleted, only disabled: the trail names them."""

    read_role = change_role = Role.ADMIN
    form = UserForm
    list_display = ("email", "name", "role", "disabled_at", "last_login")
    list_filter = ("role", ("disabled_at", admin.EmptyFieldListFilter), "teams")
    search_fields = ("email", "name")
    actions = ("disable", "enable")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Keep the address of an existing person."""
        return ("email",) if obj else ()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer to disable and to enable."""
        return {
            name: (getattr(UserAdmin, name), name, f"{name.capitalize()} the selected people") for name in self.actions
        }

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save through the service."""
        obj.pk = form.attempt(form.cleaned_data, clock.now()).pk

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Leave the teams as the service has set them."""

    def _each(self, request: HttpRequest, users: Any, service: Any) -> None:
        for user in users:
            try:
                service(user, actor=actor_of(request), now=clock.now())
            except services.Refused as refusal:
                self.message_user(request, f"{user}: {refusal}", messages.ERROR)

    def disable(self, request: HttpRequest, users: Any) -> None:
        """End the access of the chosen people."""
        self._each(request, users, services.user_disable)

    def enable(self, request: HttpRequest, users: Any) -> None:
        """Give the chosen people their access back."""
        self._each(request, users, services.user_enable)


@admin.register(Team)
class TeamAdmin(RoleAdmin):
    """Teams."""

    change_role = Role.ADMIN
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        """Save and say so in the trail."""
        before = {"name": form.initial["name"]} if change else None
        verb = "update" if change else "create"
        with transaction.atomic():
            obj.save()
            after = {"name": obj.name}
            services.audit(actor_of(request), f"team.{verb}", obj, now=clock.now(), before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        """Delete and say so in the trail."""
        services.audit(actor_of(request), "team.delete", obj, now=clock.now(), before={"name": obj.name})
        obj.delete()


@admin.register(Source)
class SourceAdmin(RoleAdmin):
    """Sources."""

    change_role = Role.ADMIN
    list_display = ("name", "service", "team", "created_at")
    search_fields = ("name", "service")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: tokens and stored data name the source."""
        return False

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        """Save through the service."""
        services.source_save(obj, actor=actor_of(request), now=clock.now())


class TokenForm(AskingForm):
    """A token to be issued."""

    scopes = forms.MultipleChoiceField(choices=Scope.choices, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = ApiToken
        fields = ("name", "kind", "scopes", "source", "expires_at")

    def attempt(self, cleaned: dict[str, Any], now: datetime.datetime) -> tuple[ApiToken, str]:
        """Issue through the service."""
        return services.token_issue(**cleaned, actor=self.actor, now=now)


@admin.register(ApiToken)
class TokenAdmin(RoleAdmin):
    """Tokens: issue and revoke."""

    read_role = change_role = Role.ADMIN
    form = TokenForm
    list_display = ("name", "kind", "prefix", "source", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("kind", ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("source",)
    search_fields = ("name", "prefix", "source__name")
    actions = ("revoke",)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer to revoke."""
        return {"revoke": (TokenAdmin.revoke, "revoke", "Revoke the selected tokens")}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let a token be read but not rewritten."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a token is revoked, and its row stays for the trail."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Issue the token and show it this once."""
        token, plain = form.attempt(form.cleaned_data, clock.now())
        obj.pk = token.pk
        self.message_user(request, f"Copy the token now, it is not shown again: {plain}", messages.WARNING)

    def revoke(self, request: HttpRequest, tokens: Any) -> None:
        """Revoke the chosen tokens."""
        for token in tokens:
            services.token_revoke(token, actor=actor_of(request), now=clock.now())


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    """The trail."""

    read_role = Role.ADMIN
    list_display = ("at", "actor_label", "action", "object_type", "object_id", "ip")
    list_filter = ("actor_kind", "object_type")
    search_fields = ("actor_label", "object_id", "action")
