"""What holds for all alerts, and what was last imported of each configured thing."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import BaseValidator, MaxValueValidator, MinValueValidator
from django.db import models

THE_ONE = 1


def _within(least: float, most: float) -> list[BaseValidator]:
    return [MinValueValidator(least), MaxValueValidator(most)]


class AlertSettings(models.Model):
    """The settings of alerting: one row, and the defaults where there is none."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=THE_ONE, editable=False)
    evaluation_interval_seconds = models.PositiveIntegerField(
        default=60, validators=_within(1, 86_400),
        help_text="How often groups are evaluated that have no interval of their own.",
    )  # fmt: skip
    batch_size = models.PositiveIntegerField(
        default=100, validators=_within(1, 1000), help_text="How many alerts are decided in one transaction."
    )
    max_alerts_per_minute = models.PositiveIntegerField(
        default=50, validators=_within(1, 100_000),
        help_text="More beginnings than this are told in one summary a minute; none is lost.",
    )  # fmt: skip
    alert_retention_days = models.PositiveIntegerField(
        default=30, validators=_within(1, 3650), help_text="How long alerts are kept that are over."
    )
    enable_correlation = models.BooleanField(default=True, help_text="Join alerts into incidents.")
    enable_deduplication = models.BooleanField(
        default=True, help_text="An alert that fires again soon after its end goes on; off: each firing is a new one."
    )
    deduplication_window_seconds = models.PositiveIntegerField(
        default=3600, validators=_within(0, 604_800), help_text="How soon after its end."
    )
    success_rate_threshold = models.FloatField(
        default=95,
        validators=_within(0, 100),
        help_text="Test runs: percent of tests that pass, below which it is bad.",
    )
    performance_degradation_threshold = models.FloatField(
        default=1.5, validators=_within(1, 1000), help_text="Test runs: times as slow as the runs before."
    )
    flaky_test_threshold = models.FloatField(
        default=0.2, validators=_within(0, 1), help_text="Test runs: share of runs in which a test changes its mind."
    )
    consecutive_failures_threshold = models.PositiveIntegerField(
        default=3, validators=_within(1, 100), help_text="Test runs: bad ones in a row."
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "alert settings"
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(id=THE_ONE), name="alertsettings_one")]

    def __str__(self) -> str:
        return "the settings of alerting"

    @classmethod
    def current(cls) -> "AlertSettings":
        """Return the settings; where nobody set any, the defaults, and the limit the environment says."""
        found = cls._default_manager.filter(pk=THE_ONE).first()
        return found or cls(max_alerts_per_minute=settings.CONFIG.max_alerts_per_minute)

    @property
    def dedup_seconds(self) -> int:
        """Return how soon after its end a firing goes on; 0 where each is a new one."""
        return self.deduplication_window_seconds if self.enable_deduplication else 0


class ConfigurationBase(models.Model):
    """What a file last said of one thing: what both sides had in common, from which either may have moved since."""

    id = models.BigAutoField(primary_key=True)
    section = models.CharField(max_length=30)
    name = models.CharField(max_length=200)
    file = models.CharField(max_length=200, blank=True, help_text="Name of the file.")
    fields = models.JSONField(default=dict, help_text="What the file said; secrets as fingerprints.")
    written = models.JSONField(default=dict, help_text="Which of it stood there as variables, and how.")
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["section", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["section", "name"], name="configurationbase_once"),
        ]

    def __str__(self) -> str:
        return f"{self.section}: {self.name}"
