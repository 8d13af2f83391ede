"""The admin site's part for rules, channels and policies; same checks as the API, saved by the same services."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from aivillage_console.accounts.admin import ReadOnlyAdmin, RoleAdmin
from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.lib import clock
from alerts.as_code import admin as as_code_admin  # noqa: F401 (registers its own)
from alerts.backtesting import admin as backtesting_admin  # noqa: F401 (registers its own)
from alerts.channels import CHANNELS
from alerts.engine.states import BackfillState, RuleStateName
from alerts.heartbeats import admin as heartbeats_admin  # noqa: F401 (registers its own)
from alerts.inbound import admin as inbound_admin  # noqa: F401 (registers its own)
from alerts.incidents import admin as incidents_admin  # noqa: F401 (registers its own)
from alerts.models import (
    Alert,
    AlertEvent,
    Channel,
    DeliveryAttempt,
    Escalation,
    InboundHook,
    Inhibition,
    MuteTime,
    Notification,
    Policy,
    PolicyStep,
    RecordingBackfill,
    Rule,
    RuleGroup,
    RuleState,
    Silence,
    WebhookIn,
)
from alerts.models.rules import RuleKind
from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.validation import LONGEST_EXPRESSION, rule_problems
from alerts.services import backfill_cancel, backfill_order, configuration
from alerts.services.backfill import backfill_problems
from alerts.services.quiet_rules import quiet_rule_delete, quiet_rule_problems, quiet_rule_save
from alerts.testruns import admin as testruns_admin  # noqa: F401 (registers its own)
from alerts.thresholds import admin as thresholds_admin  # noqa: F401 (registers its own)
from metrics.domain import MAX_NAME_BYTES

LONGEST_SHOWN = 20_000
# What of a spec has a box of its own; the rest stays JSON.
BOXES: dict[str, tuple[str, ...]] = {RuleKind.PROMQL: ("expr",), RuleKind.RECORDING: ("record", "expr")}
CODE = {"class": "code", "rows": 4, "cols": 80, "spellcheck": "false"}


THRESHOLD_HELP = '{"metric_path": "cpu.p95", "condition": "greater_than", "threshold": 90}'


def spec_help() -> str:
    """Return what the spec of each kind of rule but PromQL may hold."""
    asked = [f"{kind.label}: {', '.join(sorted(kind.keys)) or 'nothing'}" for _, kind in ASKED_KINDS.filled()]
    return ". ".join([f"Threshold: {THRESHOLD_HELP}", 'Recording: {"limit": 100} or nothing', *asked])


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule, checked as the API checks it; PromQL has a box of its own, so that nobody writes it as JSON."""

    record = forms.CharField(
        label="Recorded as",
        required=False,
        max_length=MAX_NAME_BYTES,
        help_text="For the kind Recording: the name of the series, such as job:http_requests:rate5m.",
    )
    expr = forms.CharField(
        label="PromQL",
        required=False,
        max_length=LONGEST_EXPRESSION,
        widget=forms.Textarea(attrs=CODE),
        help_text="PromQL: the alert fires for each series the query returns. Recording: what is written at each tick.",
    )
    spec = forms.JSONField(label="What is asked", required=False, widget=forms.Textarea(attrs=CODE))

    class Meta:
        model = Rule
        fields = (
            "group", "position", "kind", "name", "alert_name", "description", "spec", "severity", "labels",
            "annotations", "for_seconds", "keep_firing_for_seconds", "window_seconds", "cooldown_seconds", "enabled",
        )  # fmt: skip
        widgets: ClassVar = {
            "description": forms.Textarea(attrs={"rows": 2, "cols": 80}),
            "labels": forms.Textarea(attrs=CODE),
            "annotations": forms.Textarea(attrs=CODE),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Show the query of a PromQL rule in its own box."""
        super().__init__(*args, **kwargs)
        self.fields["spec"].help_text = spec_help()
        if self.instance.kind in BOXES and not self.instance._state.adding:
            rest = dict(self.instance.spec)
            self.initial.update({box: rest.pop(box, "") for box in BOXES[self.instance.kind]})
            self.initial["spec"] = rest

    def clean(self) -> dict[str, Any]:
        """Add what the rule checks find."""
        cleaned = super().clean() or {}
        boxes = BOXES.get(cleaned.get("kind", ""), ())
        cleaned["spec"] = cleaned.get("spec") or {}
        if boxes and isinstance(cleaned["spec"], dict):
            cleaned["spec"] |= {box: cleaned.get(box, "") for box in boxes}
        for field, text in rule_problems(cleaned).items():
            box = text.partition(" ")[0].rstrip(":")
            shown = (box if box in boxes else "expr") if boxes and field == "spec" else field
            self.add_error(shown if shown in self.fields else None, text)
        return cleaned


def _by_type(what: str) -> str:
    """Return one line a channel type: what its config or its secret holds."""
    return format_html_join("", "{}: {}<br>", ((kind.LABEL, getattr(kind, what)) for kind in CHANNELS.values()))


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A channel; the secret is typed in and never shown."""

    type = forms.ChoiceField(choices=[(name, kind.LABEL) for name, kind in CHANNELS.items()])
    secret = forms.CharField(
        required=False, max_length=500, widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    class Meta:
        model = Channel
        fields = ("name", "type", "config", "filters", "enabled", "is_fallback", "rate_per_minute")
        widgets: ClassVar = {"config": forms.Textarea(attrs=CODE), "filters": forms.Textarea(attrs=CODE)}
        help_texts: ClassVar = {
            "rate_per_minute": "Empty takes the usual of the type: Slack, GitHub and mail 60, webhooks no limit."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Say what each type wants to know."""
        super().__init__(*args, **kwargs)
        kept = "Empty keeps the stored one. A new address drops it."
        helps = {"config": _by_type("CONFIG_HELP"), "secret": format_html("{}<br>{}", kept, _by_type("SECRET_LABEL"))}
        # Who may only read is given a form without fields.
        for name in helps.keys() & self.fields.keys():
            self.fields[name].help_text = helps[name]

    def clean(self) -> dict[str, Any]:
        """Add what the channel type finds."""
        cleaned = super().clean() or {}
        kind, config = CHANNELS.get(cleaned.get("type", "")), cleaned.get("config")
        if kind is None:
            raise ValidationError({"type": f"There are {', '.join(CHANNELS)}."})
        new = self.instance._state.adding or kind is not CHANNELS.get(self.initial.get("type", ""))
        secret = cleaned.get("secret") or ("" if new else self.instance.unseal())
        for field, text in kind.problems(config if isinstance(config, dict) else {}, secret).items():
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

    fields = ("name", "interval_seconds", "enabled", "limit", "query_offset_seconds", "labels")
    list_display = ("name", "interval_seconds", "enabled", "file", "last_evaluated_at", "missed")
    list_filter = ("enabled",)
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: RuleGroup, form: Any, change: bool) -> None:
        """Save through the service."""
        configuration.group_save(obj, actor=actor_of(request), now=clock.now())


@admin.register(Rule)
class RuleAdmin(ConfiguredAdmin):
    """Rules."""

    form = RuleForm
    list_display = ("name", "group", "severity", "enabled", "state", "health", "last_evaluated_at")
    list_filter = ("severity", "enabled", "health", "kind", "group")
    list_select_related = ("group",)
    search_fields = ("name", "description")
    save_on_top = True
    fieldsets = (
        (None, {"fields": ("name", "group", "severity", "enabled", "description")}),
        ("Condition", {"fields": ("kind", "record", "expr", "spec", "for_seconds", "keep_firing_for_seconds")}),
        ("What the alert says", {"fields": ("alert_name", "labels", "annotations")}),
        ("Timing and order", {"classes": ("collapse",), "fields": ("window_seconds", "cooldown_seconds", "position")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        """Count what fires, so that the list shows it without a query a row."""
        firing = Count("states", filter=Q(states__state=RuleStateName.FIRING.value))
        pending = Count("states", filter=Q(states__state=RuleStateName.PENDING.value))
        rules: QuerySet[Rule] = super().get_queryset(request).annotate(firing_count=firing, pending_count=pending)
        return rules

    @admin.display(description="State")
    def state(self, rule: Any) -> str:
        """Say how many of the rule's label sets fire or wait."""
        if rule.kind == RuleKind.RECORDING:
            return f"records {rule.spec.get('record', '')}"
        parts = [f"{rule.firing_count} firing"] * bool(rule.firing_count)
        parts += [f"{rule.pending_count} pending"] * bool(rule.pending_count)
        return ", ".join(parts) or ("quiet" if rule.last_evaluated_at else "not evaluated yet")

    def save_model(self, request: HttpRequest, obj: Rule, form: Any, change: bool) -> None:
        """Save through the service; PromQL comes from its own box."""
        obj.spec = form.cleaned_data["spec"]
        configuration.rule_save(obj, actor=actor_of(request), now=clock.now())


class BackfillForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is to be computed over the past."""

    rule = forms.ModelChoiceField(Rule.objects.filter(kind=RuleKind.RECORDING).select_related("group"))
    start_at = forms.SplitDateTimeField(label="From", widget=AdminSplitDateTime())
    end_at = forms.SplitDateTimeField(label="To", widget=AdminSplitDateTime())
    step_seconds = forms.IntegerField(
        label="Step in seconds", required=False, min_value=1, help_text="Empty takes the interval of the rule's group."
    )

    class Meta:
        model = RecordingBackfill
        fields = ("rule", "start_at", "step_seconds")

    def clean(self) -> dict[str, Any]:
        """Add what the service finds."""
        cleaned = super().clean() or {}
        if not self.errors:
            problems = backfill_problems(
                cleaned["rule"], cleaned["start_at"], cleaned["end_at"], cleaned["step_seconds"], clock.now()
            )
            for field, text in problems.items():
                self.add_error(field, text)
        return cleaned


@admin.register(RecordingBackfill)
class RecordingBackfillAdmin(RoleAdmin):
    """Recording rules over the past; one that is at work can be deleted, which stops it; what is written stays."""

    list_display = ("rule", "start_at", "end_at", "state", "done", "samples", "last_error")
    list_filter = ("state",)
    list_select_related = ("rule",)
    add_fields = ("rule", "start_at", "end_at", "step_seconds")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Ask for a range where a new one is ordered."""
        return BackfillForm if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for a range where a new one is ordered."""
        return self.add_fields if obj is None else super().get_fields(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what was ordered is done as it was ordered."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let changers stop what is at work; what has ended stays to be read."""
        return super().has_delete_permission(request, obj) and (obj is None or obj.state == BackfillState.DUE)

    @admin.display(description="Done")
    def done(self, row: RecordingBackfill) -> str:
        """Show how far it is."""
        return f"{row.progress:.0%}"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Order through the service, and hand its row on."""
        given = {name: form.cleaned_data[name] for name in ("start_at", "end_at", "step_seconds")}
        made = backfill_order(form.cleaned_data["rule"], **given, actor=actor_of(request), now=clock.now())
        obj.__dict__.update(made.__dict__)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Stop it, then drop the row."""
        backfill_cancel(obj, actor=actor_of(request), now=clock.now())
        obj.delete()


@admin.register(Channel)
class ChannelAdmin(ConfiguredAdmin):
    """Channels; they hold secrets and addresses, so only admins change them here."""

    change_role = Role.ADMIN
    form = ChannelForm
    list_display = ("name", "type", "enabled", "breaker_state", "secret_hint", "disabled_because", "updated_at")
    list_filter = ("type", "enabled", "breaker_state")
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Save through the service."""
        secret = form.cleaned_data["secret"] or None
        configuration.channel_save(obj, actor=actor_of(request), now=clock.now(), secret=secret)


class HookForm(forms.ModelForm):  # type: ignore[type-arg]
    """An address receivers call; the secret is typed in and never shown."""

    secret = forms.CharField(
        required=False,
        min_length=configuration.SHORTEST_HOOK_SECRET,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="The same as at GitHub. Empty keeps the stored one; without any, the address answers 404.",
    )

    class Meta:
        model = InboundHook
        fields = ("name", "type", "channel", "login", "allowed_users", "enabled")
        widgets: ClassVar = {"allowed_users": forms.Textarea(attrs=CODE)}

    def clean(self) -> dict[str, Any]:
        """Add what the checks of the allowed users and the channel find."""
        cleaned = super().clean() or {}
        for field, text in configuration.hook_problems(
            cleaned.get("type", ""), cleaned.get("channel"), cleaned.get("allowed_users")
        ).items():
            self.add_error(field, text)
        return cleaned


@admin.register(InboundHook)
class InboundHookAdmin(ConfiguredAdmin):
    """Addresses receivers call; they hold secrets, so only admins change them here."""

    change_role = Role.ADMIN
    form = HookForm
    list_display = ("name", "type", "channel", "enabled", "secret_hint", "address")
    list_select_related = ("channel",)
    readonly_fields = ("address",)
    search_fields = ("name",)

    @admin.display(description="Address")
    def address(self, hook: InboundHook) -> str:
        """Show what to enter at GitHub."""
        return "" if hook._state.adding else hook.url

    def save_model(self, request: HttpRequest, obj: InboundHook, form: Any, change: bool) -> None:
        """Save through the service."""
        secret = form.cleaned_data["secret"] or None
        configuration.hook_save(obj, actor=actor_of(request), now=clock.now(), secret=secret)


@admin.register(WebhookIn)
class WebhookInAdmin(ReadOnlyAdmin):
    """Messages receivers sent, and what came of each."""

    list_display = ("id", "hook", "event", "state", "received_at", "attempts", "outcome")
    list_filter = ("state", "event", "hook")
    list_select_related = ("hook",)
    search_fields = ("delivery_id", "outcome")
    exclude = ("body",)
    readonly_fields = ("text",)

    @admin.display(description="Body")
    def text(self, row: WebhookIn) -> str:
        """Show the beginning of the message."""
        return bytes(row.body)[:LONGEST_SHOWN].decode("utf-8", "replace")


class StepInline(admin.TabularInline):  # type: ignore[type-arg]
    """The steps of a policy; their order is the order of their delays."""

    model = PolicyStep
    extra = 1
    fields = ("delay_seconds", "channels")
    ordering = ("delay_seconds",)

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
    list_display = ("name", "position", "enabled", "is_default", "steps_shown", "version")
    list_filter = ("enabled",)
    search_fields = ("name",)
    inlines: ClassVar = [StepInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Policy]:
        """Fetch the steps with the policies."""
        return super().get_queryset(request).prefetch_related("steps")

    @admin.display(description="Steps after")
    def steps_shown(self, policy: Policy) -> str:
        """Name the delays."""
        return ", ".join(f"{step.delay_seconds} s" for step in policy.steps.all()) or "none"

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        """Wait for the steps: policy and steps are one change and one row of the trail."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save policy and steps through the service."""
        rows = [row for formset in formsets for row in formset.forms if row.cleaned_data]
        kept = [row for row in rows if row.has_changed() or (row.instance.pk and not row.instance._state.adding)]
        steps = [
            {
                "delay_seconds": row.cleaned_data["delay_seconds"],
                "channels": row.cleaned_data["channels"],
                "recipients": row.instance.recipients,
            }
            for row in kept
            if not row.cleaned_data.get("DELETE")
        ]
        steps.sort(key=lambda step: step["delay_seconds"])
        configuration.policy_save(form.instance, actor=actor_of(request), now=clock.now(), steps=steps)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Alerts; people act on them on the console's own pages."""

    list_display = ("id", "name", "severity", "state", "started_at", "acked_by")
    list_filter = ("state", "severity")
    search_fields = ("name", "fingerprint")


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Messages owed and sent."""

    list_display = ("id", "kind", "state", "channel", "alert", "due_at")
    list_filter = ("state", "kind")
    list_select_related = ("channel", "alert")


for hot in (AlertEvent, DeliveryAttempt, Escalation, RuleState):
    admin.site.register(hot, ReadOnlyAdmin)


class QuietRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """An inhibition or a mute time, checked as the import checks it."""

    def clean(self) -> Any:
        """Read matchers and intervals."""
        cleaned = super().clean()
        for name, value in self.cleaned_data.items():
            if name != "policies":
                setattr(self.instance, name, value)
        for field, text in quiet_rule_problems(self.instance).items():
            self.add_error(field if field in self.fields else None, text)
        return cleaned


@admin.register(Inhibition, MuteTime)
class QuietRuleAdmin(RoleAdmin):
    """What keeps alerts from being told of: other alerts, and times."""

    form = QuietRuleForm
    list_display = ("name", "enabled", "version", "updated_at")
    list_filter = ("enabled",)
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save through the service."""
        quiet_rule_save(obj, actor=actor_of(request), now=clock.now())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete through the service."""
        quiet_rule_delete(obj, actor=actor_of(request), now=clock.now())


@admin.register(Silence)
class SilenceAdmin(ReadOnlyAdmin):
    """Silences, which are made and ended at /silences/, over REST and by Alertmanager's API."""

    list_display = ("author", "reason", "starts_at", "ends_at", "version")
    search_fields = ("author", "reason")
