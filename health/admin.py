"""The admin site's part for components and checks; same checks as the API, saved by the same services."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role, User
from aivillage_console.lib import clock
from health import services
from health.models import Check, CheckHour, CheckKind, CheckResult, Component, Pulse
from health.probes import PROBES
from health.services.registry import check_problems, edge_problems

CODE = {"class": "code", "rows": 4, "cols": 80, "spellcheck": "false"}
CONFIG_HELP = (
    'HTTP: {"url": "https://…"}. TCP: {"host": "…", "port": 5432}. SQL: {"query": "SELECT 1"} and the URL as secret. '
    'Redis: {} and the URL as secret. Callable: {"name": "console.disk"}.'
)


class ComponentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A component."""

    class Meta:
        model = Component
        fields = ("name", "kind", "owner", "description", "depends_on", "expected")
        widgets: ClassVar = {"depends_on": forms.Textarea(attrs=CODE)}

    def clean(self) -> dict[str, Any]:
        """Check the dependencies."""
        cleaned = super().clean() or {}
        if problem := edge_problems(cleaned.get("depends_on"), cleaned.get("name", "")):
            self.add_error("depends_on", problem)
        return cleaned


class CheckForm(forms.ModelForm):  # type: ignore[type-arg]
    """A check; the secret is typed in and never shown."""

    editor: ClassVar[Any] = None
    secret = forms.CharField(
        required=False, max_length=1000, widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="URL with its password, or a bearer token. Admins only. Empty keeps the stored one.",
    )  # fmt: skip

    class Meta:
        model = Check
        fields = (
            "component", "name", "kind", "config", "interval_seconds", "timeout_seconds", "degraded_ms",
            "unhealthy_ms", "weight", "enabled",
        )  # fmt: skip
        widgets: ClassVar = {"config": forms.Textarea(attrs=CODE)}
        help_texts: ClassVar = {"config": CONFIG_HELP}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer the kinds that the console runs itself; what a service reports, the service decides."""
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            offered = [(kind.value, kind.label) for kind in CheckKind if kind.value in PROBES]
            self.fields["kind"].choices = offered  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Add what the kind of check finds."""
        cleaned = super().clean() or {}
        if cleaned.get("config") is None:
            cleaned["config"] = {}
        secret = cleaned.get("secret") or None
        if secret and not self._is_admin():
            self.add_error("secret", "Only an admin sets a secret.")
        trial = Check(**{name: cleaned[name] for name in ("kind", "config", "degraded_ms", "unhealthy_ms")
                         if name in cleaned})  # fmt: skip
        trial.secret_sealed = self.instance.secret_sealed
        for field, text in check_problems(trial, secret).items():
            self.add_error(field if field in self.fields else None, text)
        if self.instance.has_secret and not self._is_admin() and {"kind", "config"} & set(self.changed_data):
            raise ValidationError("Only an admin changes the kind or the settings of a check that has a secret.")
        return cleaned

    def _is_admin(self) -> bool:
        return isinstance(self.editor, User) and self.editor.has_role(Role.ADMIN)


class ConfiguredAdmin(RoleAdmin):
    """Things people configure."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        services.configured_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(Component)
class ComponentAdmin(ConfiguredAdmin):
    """Components."""

    form = ComponentForm
    list_display = ("name", "kind", "owner", "discovered_from", "expected", "last_seen_at")
    list_filter = ("discovered_from", "kind")
    search_fields = ("name", "owner")

    def save_model(self, request: HttpRequest, obj: Component, form: Any, change: bool) -> None:
        """Save through the service."""
        services.component_save(obj, actor=actor_of(request), now=clock.now())


@admin.register(Check)
class CheckAdmin(ConfiguredAdmin):
    """Checks."""

    form = CheckForm
    list_display = ("name", "component", "kind", "enabled", "last_status", "last_at", "interval_seconds", "has_secret")
    list_filter = ("kind", "enabled", "last_status")
    list_select_related = ("component",)
    search_fields = ("name", "component__name")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Tell the form who fills it in."""
        form = super().get_form(request, obj, change, **kwargs)
        form.editor = request.user
        return form

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave what a service reports to the service."""
        reported = obj is not None and obj.kind == CheckKind.REPORTED
        return not reported and super().has_change_permission(request, obj)

    @admin.display(boolean=True, description="Secret")
    def has_secret(self, check: Check) -> bool:
        """Tell whether a secret is stored."""
        return check.has_secret

    def save_model(self, request: HttpRequest, obj: Check, form: Any, change: bool) -> None:
        """Save through the service."""
        secret = form.cleaned_data.get("secret") or None
        services.check_save(obj, actor=actor_of(request), now=clock.now(), secret=secret)


for hot in (CheckResult, CheckHour, Pulse):
    admin.site.register(hot, ReadOnlyAdmin)
