"""What is owed to receivers, and each try to deliver it."""

import uuid
from typing import ClassVar

from django.db import models

from aivillage_console.lib.outbox import Leased
from alerts.engine.reasons import Why
from alerts.engine.states import AttemptOutcome, EscalationState, NotificationKind, NotificationState
from alerts.models.columns import choices, only

DUE = models.Q(state="due")


class Escalation(Leased):
    """The policy of one episode, as it was when the episode began, and the step that is ahead."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey("alerts.Alert", on_delete=models.CASCADE, related_name="escalations")
    episode = models.PositiveIntegerField()
    repeat_no = models.PositiveIntegerField(default=0)
    policy_snapshot = models.JSONField(default=dict)
    step = models.PositiveIntegerField(default=0, help_text="Index of the step that is ahead.")
    started_at = models.DateTimeField(help_text="What the delays of the steps are counted from.")
    state = models.CharField(max_length=10, choices=choices(EscalationState), default=EscalationState.ACTIVE.value)
    stopped_because = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["alert", "episode"], name="escalation_once"),
            models.CheckConstraint(condition=only("state", EscalationState), name="escalation_state"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="escalation_due", condition=models.Q(state="active")),
        ]

    def __str__(self) -> str:
        return f"step {self.step} of #{self.alert_id}"


class Notification(Leased):
    """One message owed to one channel; `key` is unique and goes to the receiver with every try."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=64, unique=True)
    alert = models.ForeignKey(
        "alerts.Alert", on_delete=models.CASCADE, null=True, blank=True, related_name="notifications"
    )
    episode = models.PositiveIntegerField(default=0)
    repeat_no = models.PositiveIntegerField(default=0)
    step = models.PositiveIntegerField(default=0)
    channel = models.ForeignKey(
        "alerts.Channel", on_delete=models.SET_NULL, null=True, blank=True, related_name="notifications"
    )
    channel_name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=choices(NotificationKind))
    payload = models.JSONField(default=dict, help_text="What is sent, as it was when it became owed.")
    state = models.CharField(max_length=10, choices=choices(NotificationState), default=NotificationState.DUE.value)
    urgent = models.BooleanField(default=False, help_text="Critical: longer deadline, fallback after 60 s.")
    fallback_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="fallbacks")
    created_at = models.DateTimeField()
    deadline_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    withheld = models.CharField(max_length=16, blank=True, choices=choices(Why), help_text="Why it was cancelled.")
    cancelled_because = models.CharField(max_length=300, blank=True, help_text="The same, as a sentence.")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("state", NotificationState), name="notification_state"),
            models.CheckConstraint(condition=only("kind", NotificationKind), name="notification_kind"),
            models.CheckConstraint(
                condition=~models.Q(state="cancelled") | ~models.Q(cancelled_because=""),
                name="notification_cancelled_because",
            ),
            models.CheckConstraint(
                condition=(models.Q(state="cancelled") & ~models.Q(withheld=""))
                | (~models.Q(state="cancelled") & models.Q(withheld="")),
                name="notification_withheld",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["channel", "due_at"], name="notification_due", condition=DUE),
            models.Index(fields=["due_at"], name="notification_next", condition=DUE),
            models.Index(
                fields=["channel"], name="notification_leased", condition=DUE & models.Q(lease_token__isnull=False)
            ),
            models.Index(fields=["alert", "episode", "channel"], name="notification_story"),
            models.Index(fields=["channel", "-created_at"], name="notification_storm"),
            models.Index(fields=["finished_at"], name="notification_old", condition=~DUE),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.channel_name}"


class DeliveryAttempt(models.Model):
    """One try to send one message."""

    id = models.BigAutoField(primary_key=True)
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="tries")
    channel = models.ForeignKey("alerts.Channel", on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField()
    outcome = models.CharField(max_length=12, choices=choices(AttemptOutcome))
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status, where there was one.")
    duration_ms = models.PositiveIntegerField(default=0)
    excerpt = models.TextField(blank=True, help_text="Start of the answer or the error, at most 4 KB.")
    hand = models.CharField(max_length=10, blank=True, help_text="celery, sweeper or web.")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["channel", "-id"], name="attempt_of_channel")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.status or ''}".strip()


class NotificationHistory(models.Model):
    """A finished notification after seven days, with its attempts, out of the way of the claims."""

    id = models.BigIntegerField(primary_key=True)
    alert_number = models.BigIntegerField(null=True, db_index=True)
    finished_at = models.DateTimeField(db_index=True)
    row = models.JSONField()
    tries = models.JSONField(default=list)

    def __str__(self) -> str:
        return str(self.id)
