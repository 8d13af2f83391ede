"""Rules, the groups they are evaluated in, and where each label set of a rule stands."""

import uuid
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aivillage_console.lib.outbox import Leased
from alerts.engine.states import RuleStateName, Severity
from alerts.models.columns import choices, only


class RuleKind(models.TextChoices):
    """What a rule is about: samples, or what the app above that owns the kind keeps; `recording` makes series."""

    PROMQL = "promql", "PromQL"
    THRESHOLD = "threshold", "Threshold"
    DYNAMIC = "dynamic", "Dynamic threshold"
    ABSENCE = "absence", "Absence"
    COMPOSITE = "composite", "Composite"
    RECORDING = "recording", "Recording"
    SECURITY_EVENT = "security_event", "Security event"
    PHASE_FAILED = "phase_failed", "Phase failed"
    RUN_STALLED = "run_stalled", "Run stalled"
    COMPONENT = "component", "Component"
    HEARTBEAT = "heartbeat", "Heartbeat"
    TEST_RUN = "test_run", "Test run"


class RuleHealth(models.TextChoices):
    """How the last evaluation of a rule ended."""

    OK = "ok", "OK"
    UNKNOWN = "unknown", "Unknown"
    NEVER = "never", "Not evaluated yet"


class RuleGroup(Leased):
    """The leased unit of evaluation: its rules run in order, on a grid of `interval_seconds`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    interval_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(86_400)]
    )
    enabled = models.BooleanField(default=True)
    limit = models.PositiveIntegerField(
        default=0,
        help_text="Alerts or series one rule may have at once, beyond which it fails; 0 for as many as it has.",
    )
    query_offset_seconds = models.FloatField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(86_400)],
        help_text="How far back the rules look, for samples that come late.",
    )
    labels = models.JSONField(default=dict, blank=True, help_text="What every rule sets, unless it says otherwise.")
    file = models.CharField(max_length=200, blank=True, editable=False, help_text="The rule file it was imported from.")
    alert_series = models.BinaryField(
        default=b"",
        editable=False,
        help_text="The series that told of its alerts last; only the metrics app can read them.",
    )
    last_evaluated_at = models.DateTimeField(null=True, blank=True, help_text="Grid time of the last evaluation.")
    evaluation_seconds = models.FloatField(default=0, editable=False, help_text="What the last round took.")
    missed = models.PositiveBigIntegerField(default=0, help_text="Grid times that were never evaluated.")
    hurry_asked_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a round off the grid was asked for; empty once done."
    )
    hurry_done_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a round off the grid was last done."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="rulegroup_due", condition=models.Q(enabled=True)),
        ]

    def __str__(self) -> str:
        return self.name


class Rule(models.Model):
    """A condition over stored samples that makes an alert while it holds, or an expression recorded as new series."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    group = models.ForeignKey(RuleGroup, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField(default=0)
    kind = models.CharField(max_length=20, choices=RuleKind.choices, default=RuleKind.PROMQL)
    name = models.CharField(max_length=200, unique=True)
    alert_name = models.CharField(
        max_length=200,
        blank=True,
        help_text="What its alerts are called; empty: as the rule. Several rules may share it.",
    )
    description = models.TextField(blank=True)
    spec = models.JSONField(
        default=dict,
        help_text="promql: {expr}; threshold: {metric_path, denominator_path?, condition, threshold}; "
        "absence: {selector, missing_seconds?}; composite: {expression, on?}; dynamic: {metric_path or expr, factor?}; "
        "recording: {record, expr, limit?}; other kinds: what the app that answers them takes.",
    )
    severity = models.CharField(max_length=10, choices=choices(Severity), default=Severity.MEDIUM.value)
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True, help_text="summary, description, runbook, runbook_url …")
    for_seconds = models.PositiveIntegerField(default=0)
    keep_firing_for_seconds = models.PositiveIntegerField(default=0)
    window_seconds = models.PositiveIntegerField(default=300, validators=[MinValueValidator(1)])
    cooldown_seconds = models.PositiveIntegerField(default=600)
    enabled = models.BooleanField(default=True)
    default_key = models.CharField(
        max_length=120, blank=True, editable=False, help_text="Name under which the console shipped this rule."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # How the evaluator fares; written by it alone, so never part of an edit.
    health = models.CharField(max_length=10, choices=RuleHealth.choices, default=RuleHealth.NEVER.value, editable=False)
    last_evaluated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    evaluation_seconds = models.FloatField(default=0, editable=False, help_text="What the last evaluation took.")
    failed_evaluations = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")

    class Meta:
        ordering: ClassVar = ["group", "position", "name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("severity", Severity), name="rule_severity"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def alertname(self) -> str:
        """Return what its alerts are called."""
        return self.alert_name or self.name

    @property
    def all_labels(self) -> dict[str, str]:
        """Return the labels it sets: its group's, then its own; texts may be templates."""
        return {**self.group.labels, **self.labels}


class RuleState(models.Model):
    """Where one label set of a rule stands; its timers live here and survive every process."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="states")
    fingerprint = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=choices(RuleStateName))
    active_at = models.DateTimeField(null=True, blank=True, help_text="Since when the condition holds.")
    fired_at = models.DateTimeField(null=True, blank=True)
    last_true_at = models.DateTimeField(null=True, blank=True, help_text="When the condition last held.")
    kept_since_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when it fires only because it is kept firing."
    )
    severity = models.CharField(max_length=10, blank=True, help_text="How bad it was seen to be at last.")
    last_value = models.FloatField(null=True, blank=True)
    rule_version = models.PositiveIntegerField(default=0, help_text="Of the rule as its condition last held.")
    last_evaluated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule", "fingerprint"], name="rulestate_once"),
            models.CheckConstraint(condition=only("state", RuleStateName), name="rulestate_state"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.state}"
