"""Jobs that report in by calling an address of their own, and what each has told."""

import uuid
from typing import Any, ClassVar

from django.db import models

from alerts.engine.heartbeats.schedule import Schedule
from alerts.engine.heartbeats.standing import Facts, PingKind
from alerts.engine.states import Severity
from alerts.models.columns import choices, only


class CronJob(models.Model):
    """A job that is expected to report. Only the hash of its key is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    description = models.TextField(blank=True)
    key_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    key_hint = models.CharField(max_length=10, editable=False, help_text="How the key ends.")
    period_seconds = models.PositiveIntegerField(
        default=86_400, help_text="Expected so long after its last report, unless a cron expression says when."
    )
    cron = models.CharField(max_length=100, blank=True, help_text="Five fields, as in a crontab: 30 3 * * 1-5.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="Of the cron expression: Europe/Berlin.")
    grace_seconds = models.PositiveIntegerField(default=3600, help_text="How late it may be before anybody is told.")
    longest_run_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="How long a run may take that has reported its start. Empty: no limit."
    )
    severity = models.CharField(
        max_length=10, blank=True, choices=choices(Severity), help_text="Of its alerts; empty: as the rule says."
    )
    labels = models.JSONField(default=dict, blank=True, help_text='Added to its alerts: {"team": "shop"}.')
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # Written with each report and never by an edit.
    pings = models.PositiveBigIntegerField(default=0, editable=False, help_text="How many reports there were.")
    last_at = models.DateTimeField(null=True, blank=True, editable=False)
    facts = models.JSONField(default=dict, editable=False, help_text="What is left of all it told; see Ping.")

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=only("severity", Severity) | models.Q(severity=""), name="cronjob_severity"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        """Return when it is expected, as the engine reads it."""
        return Schedule(self.period_seconds, self.cron, self.time_zone, self.grace_seconds, self.longest_run_seconds)


class Ping(models.Model):
    """One report of a job, or that it was paused or resumed; numbered by job, the oldest are dropped."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(CronJob, on_delete=models.CASCADE, related_name="history")
    number = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=choices(PingKind))
    exit_status = models.PositiveSmallIntegerField(null=True, blank=True)
    run_id = models.UUIDField(null=True, blank=True, help_text="What ties the end of a run to its start.")
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True, help_text="Of the run that ended with it.")
    method = models.CharField(max_length=8, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    body = models.BinaryField(default=b"", help_text="The beginning of what was sent; kept of the newest only.")
    facts = models.JSONField(default=dict, help_text="What is left of all that was told until here: see `facts_of`.")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "number"], name="ping_once"),
            models.CheckConstraint(condition=only("kind", PingKind), name="ping_kind"),
        ]
        indexes: ClassVar = [models.Index(fields=["job", "-at", "-number"], name="ping_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


def facts_of(stored: dict[str, Any]) -> Facts:
    """Return stored facts as the engine reads them."""
    return Facts(**stored)
