"""Alerts that belong together: the rules that say so, incidents, who is in which, and the story of each."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from alerts.engine.correlation import HAND_WINDOW_SECONDS, IncidentState, Notify
from alerts.engine.states import Severity
from alerts.models.columns import choices, only

LONGEST_WINDOW_SECONDS = 7 * 86_400


class CorrelationRule(models.Model):
    """Which alerts belong together; of several that fit, the first decides."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    position = models.PositiveIntegerField(default=100, help_text="Rules are tried in this order; the first decides.")
    group_key = models.JSONField(
        default=list, blank=True,
        help_text='Labels whose values must be equal: ["component"]; an alert without one of them does not fit.',
    )  # fmt: skip
    time_window_seconds = models.PositiveIntegerField(
        default=300, validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WINDOW_SECONDS)],
        help_text="How long after the last alert, or after the end, an incident takes another one in.",
    )  # fmt: skip
    alert_patterns = models.JSONField(
        default=list, blank=True, help_text='Names: ["Disk*"], or a regular expression: ["/Disk(Full|Slow)/"].'
    )
    label_matchers = models.JSONField(default=list, blank=True, help_text='Matchers that all hold: ["env=prod"].')
    notify = models.CharField(
        max_length=20, choices=choices(Notify), default=Notify.EACH.value,
        help_text="Each: every alert is told by its own policy. First and growth: the first, the one that doubles the "
        "incident, and one that is worse; the others are listed.",
    )  # fmt: skip
    enabled = models.BooleanField(default=True)
    default_key = models.CharField(max_length=60, blank=True, editable=False, help_text="Set where it was shipped.")
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["position", "name"]
        constraints: ClassVar = [models.CheckConstraint(condition=only("notify", Notify), name="correlation_notify")]

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """Alerts joined by a correlation rule or by hand, shown as incident #12."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=choices(IncidentState), default=IncidentState.OPEN.value)
    severity = models.CharField(max_length=10, choices=choices(Severity), help_text="The worst of its alerts.")
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_because = models.CharField(max_length=300, blank=True)
    rule = models.ForeignKey(
        CorrelationRule, on_delete=models.SET_NULL, null=True, blank=True, related_name="incidents"
    )
    rule_name = models.CharField(max_length=120, blank=True, help_text="Empty: made by hand.")
    notify = models.CharField(max_length=20, choices=choices(Notify), default=Notify.EACH.value)
    window_seconds = models.FloatField(default=HAND_WINDOW_SECONDS)
    key = models.JSONField(default=dict, blank=True, help_text="The labels its alerts share.")
    open_key = models.CharField(
        max_length=120, blank=True, editable=False,
        help_text="What further alerts are found by; one incident has it at a time.",
    )  # fmt: skip
    active_at = models.DateTimeField(help_text="When the last alert joined.")
    settle_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it resolves unless one of its alerts fires again."
    )
    alerts = models.PositiveIntegerField(default=0, help_text="How many it has.")
    told_alerts = models.PositiveIntegerField(default=0, help_text="How many it had when somebody was last told.")
    told_severity = models.CharField(max_length=10, blank=True)
    acked_at = models.DateTimeField(null=True, blank=True)
    acked_by = models.CharField(max_length=200, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="assigned_incidents",
        help_text="Who commands.",
    )  # fmt: skip
    merged_into = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged")
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(help_text="Last change that raised `version`.")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["open_key"], name="incident_open_key", condition=~models.Q(open_key="")),
            models.CheckConstraint(condition=only("state", IncidentState), name="incident_state"),
            models.CheckConstraint(condition=only("severity", Severity), name="incident_severity"),
            models.CheckConstraint(
                condition=models.Q(state="open", resolved_at__isnull=True)
                | models.Q(state="resolved", resolved_at__isnull=False),
                name="incident_resolved_at",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["opened_at"], name="incident_open", condition=models.Q(state="open")),
            models.Index(fields=["resolved_at"], name="incident_resolved", condition=models.Q(state="resolved")),
        ]

    def __str__(self) -> str:
        return f"incident #{self.pk} {self.name}"


class IncidentMember(models.Model):
    """An alert in an incident, and why; one that has left stays as history."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="members")
    # Without a constraint: its check would lock the alert, and merging must not wait for one that is being decided.
    alert = models.ForeignKey("alerts.Alert", on_delete=models.CASCADE, related_name="memberships", db_constraint=False)
    joined_at = models.DateTimeField()
    rule_name = models.CharField(max_length=120, blank=True)
    values = models.JSONField(default=dict, blank=True, help_text="The values of the rule's group key.")
    distance_seconds = models.FloatField(null=True, blank=True, help_text="From the alert before it, or from the end.")
    reason = models.TextField()
    added_by = models.CharField(max_length=200, blank=True, help_text="Who put it here by hand.")
    current = models.BooleanField(default=True)
    listed = models.BooleanField(default=False, help_text="Nobody was told of it: somebody was told of the incident.")
    left_at = models.DateTimeField(null=True, blank=True)
    left_because = models.CharField(max_length=300, blank=True)
    taken_out = models.BooleanField(default=False, help_text="By a person: it does not come back by itself.")

    class Meta:
        ordering: ClassVar = ["joined_at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["incident", "alert"], name="incidentmember_once"),
            models.UniqueConstraint(fields=["alert"], name="incidentmember_current", condition=models.Q(current=True)),
        ]
        indexes: ClassVar = [
            models.Index(fields=["alert"], name="incidentmember_listed", condition=models.Q(current=True, listed=True)),
        ]

    def __str__(self) -> str:
        return f"#{self.alert_id} in incident #{self.incident_id}"


class IncidentEvent(models.Model):
    """One change of an incident: who, when, why. A trigger refuses every UPDATE and DELETE."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.DO_NOTHING, related_name="events")
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10, default="system")
    actor = models.CharField(max_length=200, default="console")
    kind = models.CharField(max_length=30, help_text="opened, joined, merged, split, resolved, assigned, note …")
    reason = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    alert_number = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["incident", "-id"], name="incidentevent_story")]

    def __str__(self) -> str:
        return f"{self.kind} of incident #{self.incident_id}"
