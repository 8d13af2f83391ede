"""Rules tried on the past, and what was found that would make less noise."""

import uuid
from typing import ClassVar

from django.db import models

from aivillage_console.lib.outbox import Leased
from alerts.engine.states import BackfillState
from alerts.models.columns import choices, only

DUE = models.Q(state="due")


class BacktestRun(Leased):
    """A rule tried on the past, as it was when this was ordered; done in slices, kept for some days."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(
        "alerts.Rule", on_delete=models.SET_NULL, null=True, blank=True, related_name="backtests",
        help_text="Empty for a draft.",
    )  # fmt: skip
    name = models.CharField(max_length=200)
    fields = models.JSONField(default=dict, help_text="The rule as it was then.")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    quieting = models.CharField(
        max_length=4, default="then",
        choices=[("then", "as it was"), ("now", "as it is now"), ("none", "nothing keeps quiet")],
        help_text="Which silences hold.",
    )  # fmt: skip
    zone = models.CharField(max_length=64, blank=True, help_text="Whose nights are counted; empty for UTC.")
    state = models.CharField(max_length=10, choices=choices(BackfillState), default=BackfillState.DUE.value)
    progress = models.FloatField(default=0, help_text="0 to 1.")
    result = models.JSONField(default=dict, help_text="Totals and firings, once it is done.")
    created_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("state", BackfillState), name="backtest_state"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="backtest_due", condition=DUE),
            models.Index(fields=["-created_at"], name="backtest_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} from {self.start_at:%Y-%m-%d %H:%M}"


class RuleSuggestion(models.Model):
    """What would make a rule quieter without losing an episode that mattered, as replay found it."""

    rule = models.OneToOneField("alerts.Rule", on_delete=models.CASCADE, primary_key=True, related_name="suggestion")
    rule_version = models.PositiveIntegerField()
    days = models.PositiveIntegerField()
    at = models.DateTimeField()
    result = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"suggestions for {self.rule_id}"
