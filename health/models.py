"""The tables of Health."""

import uuid
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from aivillage_console.lib import sealing
from aivillage_console.lib.outbox import Leased

NAME = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9 ._:/-]*\Z", "Letters, digits, spaces and . _ : / - are taken.")
LONGEST_TIMEOUT_SECONDS = 20


class Origin(models.TextChoices):
    """How the console came to know of something."""

    OWN = "own", "Part of the console"
    REGISTRY = "registry", "Registered"
    TELEMETRY = "telemetry", "It sends telemetry"
    CHECK = "check", "It reports its checks"


class CheckKind(models.TextChoices):
    """How a check is made."""

    HTTP = "http", "HTTP"
    TCP = "tcp", "TCP"
    SQL = "sql", "SQL"
    REDIS = "redis", "Redis"
    CALLABLE = "callable", "Callable"
    REPORTED = "reported", "Reported by the service"


class Status(models.TextChoices):
    """What one check found."""

    HEALTHY = "healthy", "Healthy"
    DEGRADED = "degraded", "Degraded"
    UNHEALTHY = "unhealthy", "Unhealthy"
    UNKNOWN = "unknown", "Unknown"


class Component(models.Model):
    """Something that can be well or not: a service, a process, a database."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True, validators=[NAME])
    kind = models.CharField(max_length=40, blank=True, help_text="Such as service, database, process.")
    owner = models.CharField(max_length=120, blank=True)
    description = models.CharField(max_length=500, blank=True)
    depends_on = models.JSONField(
        default=list, blank=True, help_text='List of {"name", "type", "critical"}; a name may come to exist later.'
    )
    expected = models.BooleanField(
        default=False, help_text="Counts as missing, not as unknown, while nothing is heard."
    )
    discovered_from = models.CharField(max_length=10, choices=Origin.choices, default=Origin.REGISTRY)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Check(Leased):
    """One question asked of a component on schedule; its secret is sealed with the row id, so it opens in no other."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    component = models.ForeignKey(Component, on_delete=models.CASCADE, related_name="checks")
    name = models.CharField(max_length=120, validators=[NAME])
    kind = models.CharField(max_length=10, choices=CheckKind.choices)
    config = models.JSONField(default=dict, blank=True, help_text="Settings of the kind, without secrets.")
    secret_sealed = models.BinaryField(null=True, blank=True, editable=False)
    weight = models.FloatField(default=1.0, validators=[MinValueValidator(0.1), MaxValueValidator(100)])
    interval_seconds = models.PositiveIntegerField(
        default=30, validators=[MinValueValidator(5), MaxValueValidator(86_400)]
    )
    timeout_seconds = models.FloatField(
        default=5.0, validators=[MinValueValidator(0.1), MaxValueValidator(LONGEST_TIMEOUT_SECONDS)]
    )
    degraded_ms = models.PositiveIntegerField(default=1_000, help_text="Slower than this is degraded.")
    unhealthy_ms = models.PositiveIntegerField(default=5_000, help_text="Slower than this is unhealthy.")
    enabled = models.BooleanField(default=True)
    source = models.ForeignKey(
        "accounts.Source", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    last_status = models.CharField(max_length=10, choices=Status.choices, default=Status.UNKNOWN, editable=False)
    last_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_duration_ms = models.FloatField(null=True, blank=True, editable=False)
    last_detail = models.CharField(max_length=300, blank=True, editable=False)
    status_since = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Unhealthy results in a row.")
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["component__name", "name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["component", "name"], name="health_check_once"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["due_at"], name="health_check_due",
                condition=models.Q(enabled=True) & ~models.Q(kind="reported"),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.component_id}: {self.name}"

    def seal(self, secret: str) -> None:
        """Put a secret into the row; the caller saves."""
        self.secret_sealed = sealing.seal(secret, str(self.id)) if secret else None

    def unseal(self) -> str:
        """Return the secret, or an empty text where there is none."""
        return sealing.unseal(bytes(self.secret_sealed), str(self.id)) if self.secret_sealed else ""

    @property
    def has_secret(self) -> bool:
        """Tell whether a secret is stored; no part of it is ever shown."""
        return self.secret_sealed is not None

    def facts(self) -> dict[str, Any]:
        """Return what the audit trail keeps of a check."""
        names = ("name", "kind", "config", "weight", "interval_seconds", "timeout_seconds", "degraded_ms",
                 "unhealthy_ms", "enabled")  # fmt: skip
        return {"component": str(self.component_id), **{name: getattr(self, name) for name in names}}


class CheckResult(models.Model):
    """One run of a check; kept a week."""

    id = models.BigAutoField(primary_key=True)
    check_run = models.ForeignKey(Check, db_column="check_id", on_delete=models.CASCADE, related_name="results")
    at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=Status.choices)
    duration_ms = models.FloatField(null=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["check_run", "-at"], name="health_result_check")]

    def __str__(self) -> str:
        return f"{self.status} at {self.at}"


class CheckHour(models.Model):
    """The results of one check in one hour: what uptime and the strips are counted from."""

    id = models.BigAutoField(primary_key=True)
    check_run = models.ForeignKey(Check, db_column="check_id", on_delete=models.CASCADE, related_name="hours")
    hour_at = models.DateTimeField()
    healthy = models.PositiveIntegerField(default=0)
    degraded = models.PositiveIntegerField(default=0)
    unhealthy = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["check_run", "hour_at"], name="health_hour_once"),
        ]

    def __str__(self) -> str:
        return f"{self.check_run_id} {self.hour_at}"


class Pulse(models.Model):
    """When something of the console last did its work, and what must be remembered of it."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return self.name
