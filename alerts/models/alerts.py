"""Alerts, and the append-only story of each."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Upper

from alerts.engine.reasons import CAUSE_WORDS, ResolvedCause
from alerts.engine.states import AlertState, Severity
from alerts.models.columns import choices, only


class Alert(models.Model):
    """One fingerprint, shown as #142; each firing of it is an episode."""

    id = models.BigAutoField(primary_key=True)
    fingerprint = models.CharField(max_length=64, unique=True)
    episode = models.PositiveIntegerField(default=1)
    repeat_no = models.PositiveIntegerField(default=0, help_text="How often the policy began anew in this episode.")
    name = models.CharField(max_length=200)
    rule = models.ForeignKey("alerts.Rule", on_delete=models.SET_NULL, null=True, blank=True, related_name="alerts")
    source = models.ForeignKey(
        "accounts.Source", on_delete=models.SET_NULL, null=True, blank=True, related_name="+",
        help_text="Who sent a ready-made alert; empty for alerts of a rule.",
    )  # fmt: skip
    state = models.CharField(max_length=10, choices=choices(AlertState))
    severity = models.CharField(max_length=10, choices=choices(Severity))
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    generator_url = models.TextField(blank=True)
    value = models.FloatField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True)
    started_at = models.DateTimeField(help_text="When this episode began.")
    fired_at = models.DateTimeField(null=True, blank=True, help_text="When it last began to fire, or to again.")
    ends_at = models.DateTimeField(null=True, blank=True, help_text="When a ready-made alert resolves unless re-sent.")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_cause = models.CharField(max_length=12, blank=True, choices=choices(ResolvedCause))
    resolved_because = models.CharField(max_length=200, blank=True)
    acked_at = models.DateTimeField(null=True, blank=True)
    acked_by = models.CharField(max_length=200, blank=True)
    ack_reason = models.TextField(blank=True)
    ack_until = models.DateTimeField(null=True, blank=True, help_text="When the acknowledgement ends by itself.")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="assigned_alerts"
    )
    snoozed_until = models.DateTimeField(null=True, blank=True, help_text="Nobody is told before.")
    snoozed_by = models.CharField(max_length=200, blank=True)
    quiet = models.BooleanField(default=False, help_text="Resolved by hand: silent until its condition ends once.")
    flapping_since = models.DateTimeField(null=True, blank=True)
    flapping_until = models.DateTimeField(
        null=True, blank=True, help_text="When it has come to rest unless something changes before."
    )
    flaps = models.PositiveIntegerField(default=0, help_text="Changes that were counted and not told since it flaps.")
    stale_since = models.DateTimeField(null=True, blank=True, help_text="Since when nobody can tell if it still fires.")
    wake_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the console looks at it by itself: a reminder, an end."
    )
    recent_fires_ms = models.JSONField(default=list, help_text="Times of the last fires, to tell flapping.")
    evidence = models.JSONField(default=dict, help_text="Query, expression, threshold and values as it fired.")
    decisions = models.JSONField(default=list, help_text="Stage, verdict and reason of the pass that last changed it.")
    last_pass = models.JSONField(
        default=dict, help_text="When it was last looked at, how that ended, and under which configuration."
    )
    context = models.JSONField(
        default=dict, help_text="What stood around it when it began: changes, similar alerts of the past, findings."
    )
    context_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When that was gathered.")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(help_text="Last change that raised `version`.")

    # No column: what messages say of its incident, {} where it is in none, None where nobody has asked yet.
    told_incident: dict[str, Any] | None = None

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("state", AlertState), name="alert_state"),
            models.CheckConstraint(condition=only("severity", Severity), name="alert_severity"),
            models.CheckConstraint(
                condition=models.Q(state="resolved", resolved_at__isnull=False)
                | models.Q(state="pending")
                | models.Q(state__in=["firing", "unknown"], resolved_at__isnull=True),
                name="alert_resolved_at",
            ),
            models.CheckConstraint(
                condition=models.Q(acked_at__isnull=True) | models.Q(snoozed_until__isnull=True),
                name="alert_taken_or_snoozed",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-started_at", "-id"], name="alert_newest"),
            models.Index(fields=["severity", "-started_at"], name="alert_open", condition=~models.Q(state="resolved")),
            models.Index(
                fields=["ends_at"],
                name="alert_ends",
                condition=models.Q(ends_at__isnull=False) & ~models.Q(state="resolved"),
            ),
            models.Index(fields=["resolved_at"], name="alert_resolved", condition=models.Q(state="resolved")),
            models.Index(fields=["wake_at"], name="alert_wake", condition=models.Q(wake_at__isnull=False)),
            models.Index(
                fields=["id"], name="alert_no_context", condition=models.Q(state="firing", context_at__isnull=True)
            ),
            models.Index(fields=["rule", "-fired_at"], name="alert_group", condition=~models.Q(state="resolved")),
            GinIndex(fields=["labels"], name="alert_labels", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.name}"

    @property
    def shown_state(self) -> str:
        """Return the one word people see: stale, snoozed or acknowledged comes before firing."""
        if self.state == AlertState.UNKNOWN:
            return "stale"
        if self.state != AlertState.FIRING:
            return self.state
        if self.snoozed_until is not None:
            return "snoozed"
        return self.state if self.acked_at is None else "acknowledged"

    @property
    def modifiers(self) -> list[str]:
        """Return what else holds besides the state that is shown."""
        is_open = self.state in (AlertState.FIRING, AlertState.UNKNOWN)
        found = {
            "acknowledged": is_open and self.acked_at is not None, "snoozed": self.snoozed_until is not None,
            "flapping": self.flapping_until is not None,
        }  # fmt: skip
        return [name for name, holds in found.items() if holds and name != self.shown_state]

    @property
    def cause_words(self) -> str:
        """Return the cause of its end in words."""
        return CAUSE_WORDS.get(self.resolved_cause, "")


class AlertEvent(models.Model):
    """One change of an alert: who, when, why. A trigger refuses every UPDATE and DELETE."""

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey(Alert, on_delete=models.DO_NOTHING, related_name="events")
    episode = models.PositiveIntegerField()
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10, default="system")
    actor = models.CharField(max_length=200, default="console")
    kind = models.CharField(max_length=30, help_text="fired, reopened, resolved, acknowledged, assigned, note …")
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["alert", "-id"], name="alertevent_story")]

    def __str__(self) -> str:
        return f"{self.kind} of #{self.alert_id}"


class Link(models.Model):
    """What an alert is called at a receiver."""

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="links")
    channel = models.ForeignKey("alerts.Channel", on_delete=models.CASCADE, related_name="links")
    external_id = models.CharField(max_length=255)
    url = models.URLField(max_length=1000, blank=True)
    settled_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The receiver's time of the last change it told us of."
    )
    settled_state = models.CharField(
        max_length=10, blank=True, editable=False, help_text="What that made of it: open or closed; empty: as opened."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["alert", "channel", "external_id"], name="link_once"),
        ]
        # Repositories are found whatever the letter case somebody typed.
        indexes: ClassVar = [models.Index(Upper("external_id"), name="link_external_id")]

    def __str__(self) -> str:
        return self.external_id


class Heartbeat(models.Model):
    """When a part of the console last finished a round of work."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name
