"""Thresholds that dynamic rules worked out from the past of each series, and what they were before."""

from typing import ClassVar

from django.db import models

from alerts.models.rules import Rule


class DynamicThreshold(models.Model):
    """When the thresholds of a rule were worked out last, and how that went."""

    rule = models.OneToOneField(Rule, on_delete=models.CASCADE, primary_key=True, related_name="dynamic")
    digest = models.CharField(max_length=64, help_text="Of what they depend on: another one makes them due at once.")
    calculated_at = models.DateTimeField(help_text="The grid time they were worked out at.")
    next_at = models.DateTimeField(help_text="When they are due again.")
    series = models.PositiveIntegerField(default=0, help_text="Series looked at.")
    without = models.PositiveIntegerField(default=0, help_text="Series with too little past for a threshold.")
    changed = models.PositiveIntegerField(default=0, help_text="Thresholds that differed by more than 1 %.")
    took_seconds = models.FloatField(default=0)

    def __str__(self) -> str:
        return f"thresholds of {self.rule_id}"


class ThresholdHistory(models.Model):
    """A threshold of one series, and from when on it held; the newest one of a series holds."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="threshold_history")
    series = models.CharField(max_length=64, help_text="Fingerprint of the labels.")
    labels = models.JSONField(default=dict, help_text="What the rule's expression answered with.")
    at = models.DateTimeField(help_text="From when on it holds.")
    value = models.FloatField(null=True, blank=True, help_text="Empty where there is none, or one for each hour.")
    slots = models.JSONField(default=list, blank=True, help_text="One for each hour of the week, Monday's first first.")
    samples = models.PositiveIntegerField(default=0, help_text="Values of the baseline it came from.")
    history_seconds = models.FloatField(default=0, help_text="How much past they cover.")
    why = models.CharField(max_length=200, blank=True, help_text="Why there is none.")

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rule", "series", "at"], name="thresholdhistory_once"),
        ]

    def __str__(self) -> str:
        return f"{self.value} from {self.at}"
