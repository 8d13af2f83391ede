"""Channels (receivers) and the policies that say who is told when."""

import uuid
from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models

from aivillage_console.lib import sealing
from alerts.engine.states import BreakerState
from alerts.models.columns import choices, only


class Channel(models.Model):
    """A configured receiver. Its secret is sealed with the row id, so it opens in no other row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    type = models.CharField(max_length=30, default="webhook")
    config = models.JSONField(default=dict, help_text="Settings of the type, without secrets.")
    secret_sealed = models.BinaryField(null=True, blank=True, editable=False)
    filters = models.JSONField(default=list, blank=True, help_text="List of maps: entries AND, values in a list OR.")
    enabled = models.BooleanField(default=True)
    is_fallback = models.BooleanField(default=False, help_text="Told when another channel fails.")
    disabled_because = models.CharField(max_length=300, blank=True, editable=False)
    breaker_state = models.CharField(
        max_length=8, choices=choices(BreakerState), default=BreakerState.CLOSED.value, editable=False
    )
    breaker_until = models.DateTimeField(null=True, blank=True, editable=False)
    breaker_opened = models.PositiveIntegerField(default=0, editable=False, help_text="Openings in a row.")
    breaker_reset_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Attempts before this time no longer count."
    )
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: no limit.")
    tokens = models.FloatField(default=0, editable=False)
    tokens_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("breaker_state", BreakerState), name="channel_breaker"),
        ]

    def __str__(self) -> str:
        return self.name

    def seal(self, secret: str) -> None:
        """Put a secret into the row; the caller saves."""
        self.secret_sealed = sealing.seal(secret, str(self.id)) if secret else None

    def unseal(self) -> str:
        """Return the secret, or an empty text where there is none."""
        return sealing.unseal(bytes(self.secret_sealed), str(self.id)) if self.secret_sealed else ""

    @property
    def secret_hint(self) -> str:
        """Return the last four characters of the secret, all that anybody is ever shown."""
        secret = self.unseal()
        return f"…{secret[-4:]}" if secret else ""


class Policy(models.Model):
    """What to do so many seconds after an episode began; the first policy whose triggers match is taken."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    position = models.PositiveIntegerField(default=0)
    triggers = models.JSONField(
        default=list, blank=True, help_text="List of maps: entries AND, values in a list OR; empty matches everything."
    )
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(
        default=False, help_text="Taken when no other matches; its steps without channels tell every channel."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["position", "name"]
        verbose_name_plural = "policies"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="policy_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyStep(models.Model):
    """One step of a policy, counted from the start of the episode."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField(default=0)
    delay_seconds = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(7 * 86_400)], help_text="After the episode began."
    )
    channels = models.ManyToManyField(Channel, blank=True, related_name="steps")
    recipients = models.JSONField(default=list, blank=True)

    class Meta:
        ordering: ClassVar = ["policy", "position"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["policy", "position"], name="policystep_once", deferrable=models.Deferrable.DEFERRED
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} after {self.delay_seconds} s"
