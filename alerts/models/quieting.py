"""What keeps messages from being sent although alerts fire: silences, inhibitions and mute times."""

import uuid
from typing import ClassVar

from django.db import models

from alerts.engine.states import QuietKind
from alerts.models.columns import choices, only


class Silence(models.Model):
    """For these alerts nobody is told anything from one time to another. An ended one stays, as history."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    matchers = models.JSONField(help_text="List of {name, value, isRegex, isEqual}; all must hold.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="A silence always ends.")
    author = models.CharField(max_length=200)
    reason = models.TextField(help_text="Why, for those who wonder later.")
    lets_critical_through = models.BooleanField(default=False, help_text="Critical alerts are told all the same.")
    handover_seconds = models.PositiveIntegerField(
        default=900, help_text="How long before its end the author hears that alerts still fire; 0: never."
    )
    handover_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When to look whether that must be told; empty: done."
    )
    matched_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When an open alert was last seen that it covers."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-ends_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(ends_at__gte=models.F("starts_at")), name="silence_ends"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["ends_at"], name="silence_ends_at"),
            models.Index(
                fields=["handover_at"], name="silence_handover", condition=models.Q(handover_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.author}: {self.reason}"[:120]


class Inhibition(models.Model):
    """While an alert of the source side fires, those of the target side with equal labels are not told."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    source_matchers = models.JSONField(default=list, blank=True, help_text='List of matchers: ["severity=critical"].')
    target_matchers = models.JSONField(default=list, blank=True, help_text='List of matchers: ["severity=warning"].')
    equal = models.JSONField(default=list, blank=True, help_text="Labels that must be equal on both sides.")
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class MuteTime(models.Model):
    """Recurring times in which nobody is told, or the only ones in which somebody is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    intervals = models.JSONField(
        help_text='List of {"times", "weekdays", "days_of_month", "months", "years", "location"}.'
    )
    matchers = models.JSONField(default=list, blank=True, help_text="Which alerts; empty: all.")
    policies = models.ManyToManyField(
        "alerts.Policy", blank=True, related_name="mute_times", help_text="Whose messages; empty: everybody's."
    )
    tells_inside = models.BooleanField(default=False, help_text="Told only inside these times, not outside.")
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Quieted(models.Model):
    """A firing alert somebody would have been told of; the row is gone when they are, or when it is over."""

    alert = models.OneToOneField("alerts.Alert", on_delete=models.CASCADE, primary_key=True, related_name="quieted")
    episode = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=choices(QuietKind))
    by = models.CharField(max_length=200, help_text="Id of the silence or mute time, fingerprint of the source.")
    reason = models.CharField(max_length=300)
    policy_id = models.CharField(max_length=36, blank=True, help_text="Whose messages were kept back.")
    since_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="When to look again.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("kind", QuietKind), name="quieted_kind"),
        ]
        indexes: ClassVar = [models.Index(fields=["due_at"], name="quieted_due")]

    def __str__(self) -> str:
        return f"#{self.alert_id}: {self.reason}"
