"""The tables of Security: what was told, what was found in it, and who is kept out."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from aivillage_console.accounts.models import Source
from aivillage_console.lib.outbox import Leased
from security.catalogue import DETECTOR_NAMES, Band, Detector, Signal

NOTABLE = Q(signal__in=["failure", "other"]) | Q(threat_score__gte=0.3)


def _choices(names: type[Band] | type[Signal]) -> list[tuple[str, str]]:
    return [(name.value, name.value.replace("_", " ").capitalize()) for name in names]


class SecurityEvent(Leased):
    """Something that happened at a door of a service; due work until the detectors have seen it.

    What came from outside is data: user, address and severity are what the sender says about somebody else.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, null=True, on_delete=models.PROTECT, related_name="+")
    event_id = models.CharField(max_length=64, blank=True, help_text="The sender's own id; the same again is ignored.")
    at = models.DateTimeField(help_text="When it happened, as the sender says.")
    received_at = models.DateTimeField()
    event_type = models.CharField(max_length=64)
    signal = models.CharField(max_length=8, choices=_choices(Signal), help_text="What it counts as in the windows.")
    severity = models.CharField(max_length=16, blank=True, help_text="As sent.")
    user_id = models.CharField(max_length=200, blank=True)
    source_ip = models.GenericIPAddressField(null=True, blank=True)
    endpoint = models.CharField(max_length=300, blank=True)
    rate_key = models.CharField(
        max_length=520, blank=True, help_text="user (or address) and endpoint whose rate is limited."
    )
    weight = models.PositiveIntegerField(default=1, help_text="How many requests the row stands for.")
    edge_score = models.FloatField(null=True, blank=True, help_text="What the sender's own scorers said.")
    details = models.JSONField(default=dict, blank=True)
    threat_score = models.FloatField(null=True, blank=True, help_text="The worst score of the detectors.")
    band = models.CharField(max_length=8, blank=True, choices=_choices(Band))
    mitigated = models.BooleanField(default=False, help_text="Something was done about it: its address is blocked.")
    detected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "event_id"], name="event_once", condition=~Q(event_id="")),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="event_due", condition=Q(detected_at=None)),
            models.Index(fields=["-at", "-id"], name="event_newest"),
            models.Index(fields=["user_id", "at"], name="event_user"),
            models.Index(fields=["source_ip", "at"], name="event_ip"),
            models.Index(fields=["rate_key", "at"], name="event_rate", condition=~Q(rate_key="")),
            models.Index(fields=["user_id", "source_ip", "at"], name="event_fail_pair", condition=Q(signal="failure")),
            models.Index(fields=["user_id", "at"], name="event_fail_user", condition=Q(signal="failure")),
            models.Index(fields=["source_ip", "at"], name="event_fail_ip", condition=Q(signal="failure")),
            models.Index(fields=["at"], name="event_notable", condition=NOTABLE),
            models.Index(fields=["source_ip", "at"], name="event_success", condition=Q(signal="success")),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.user_id} {self.source_ip or ''}".strip()


class Finding(models.Model):
    """What a detector found in an event, with its reasons."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(SecurityEvent, on_delete=models.CASCADE, related_name="findings")
    detector = models.CharField(max_length=24, choices=[(one.value, DETECTOR_NAMES[one]) for one in Detector])
    score = models.FloatField()
    band = models.CharField(max_length=8, choices=_choices(Band))
    reasons = models.JSONField(default=list, help_text="[{code, text, weight, excerpt}], the heaviest first.")
    key = models.CharField(max_length=540, blank=True, help_text="What was counted: user and address, an endpoint …")
    at = models.DateTimeField(help_text="When the event happened.")
    found_at = models.DateTimeField(help_text="When the detector saw it; rules ask by this time.")
    event_type = models.CharField(max_length=64)
    user_id = models.CharField(max_length=200, blank=True)
    source_ip = models.GenericIPAddressField(null=True, blank=True)
    endpoint = models.CharField(max_length=300, blank=True)
    attack_score = models.FloatField(
        default=0.0, help_text="How bad the attack of many is that this is a part of; 0 where it is none."
    )
    user_is_target = models.BooleanField(
        default=False, help_text="The user is whom it was done to, as far as anybody knows."
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event", "detector"], name="finding_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-found_at", "-score"], name="finding_found"),
            models.Index(fields=["user_id", "-at"], name="finding_user"),
            models.Index(fields=["source_ip", "-at"], name="finding_ip"),
            models.Index(fields=["detector", "-found_at"], name="finding_detector"),
        ]

    def __str__(self) -> str:
        return f"{self.detector} {self.score:.2f}"


class BlockScope(models.TextChoices):
    """What a block keeps out."""

    IP = "ip", "Address"
    CIDR = "cidr", "Network"
    USER = "user", "User"


class Block(models.Model):
    """Somebody kept out until a time; active while it is neither lifted nor expired, whether or not a job ran."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=4, choices=BlockScope.choices)
    value = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    automatic = models.BooleanField(default=False)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="When the row last changed; the version of the list is made of it.")
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.CharField(max_length=254, blank=True)
    lifted_because = models.CharField(max_length=500, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Lifted, or its expiry was noted.")
    finding = models.ForeignKey(Finding, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    alert_number = models.BigIntegerField(null=True, blank=True, help_text="The alert it answers, if it answers one.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "value"], name="block_once", condition=Q(ended_at=None)),
            models.CheckConstraint(condition=Q(scope__in=BlockScope.values), name="block_scope"),
            models.CheckConstraint(condition=Q(expires_at__gt=models.F("created_at")), name="block_expires"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="block_open", condition=Q(ended_at=None)),
            models.Index(fields=["-created_at"], name="block_newest"),
            models.Index(fields=["-changed_at"], name="block_changed"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.value}"


class AllowScope(models.TextChoices):
    """What is never blocked."""

    CIDR = "cidr", "Address or network"
    USER = "user", "User"


class AllowEntry(models.Model):
    """Somebody who is never blocked, by no one and nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=4, choices=AllowScope.choices)
    value = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.CharField(max_length=254, blank=True)

    class Meta:
        verbose_name_plural = "allow entries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["scope", "value"], name="allow_once", condition=Q(removed_at=None)),
            models.CheckConstraint(condition=Q(scope__in=AllowScope.values), name="allow_scope"),
        ]
        indexes: ClassVar = [models.Index(fields=["-created_at"], name="allow_newest")]

    def __str__(self) -> str:
        return f"{self.scope} {self.value}"


class EnforcerPull(models.Model):
    """The receipt of who enforces the block list: its last pull, and which version it was given."""

    id = models.BigAutoField(primary_key=True)
    token_id = models.UUIDField(null=True)
    name = models.CharField(
        max_length=120, help_text="Source or name of the token, and what the enforcer calls itself."
    )
    version = models.BigIntegerField()
    etag = models.CharField(max_length=64)
    first_at = models.DateTimeField()
    pulled_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["name"], name="enforcer_once")]

    def __str__(self) -> str:
        return self.name


class DetectorPulse(models.Model):
    """When the detectors last looked for work, whether or not there was any."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()
    hand = models.CharField(max_length=20)

    def __str__(self) -> str:
        return f"{self.name} {self.at}"
