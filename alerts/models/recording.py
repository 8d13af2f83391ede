"""What recording rules have written, and the work of computing one over the past."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import models

from aivillage_console.lib.outbox import Leased
from alerts.engine.states import BackfillState
from alerts.models.columns import choices, only

DUE = models.Q(state="due")
FIRST_SLICE = 240


class RecordedSeries(models.Model):
    """The series a recording rule had at its last evaluation, so that the next one tells which have ended."""

    rule = models.OneToOneField("alerts.Rule", on_delete=models.CASCADE, primary_key=True, related_name="recorded")
    series = models.BinaryField(default=b"", help_text="As the metrics app hands them out; only it can read them.")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"series of {self.rule_id}"


class RecordingBackfill(Leased):
    """A recording rule computed over a past range, slice by slice; each slice and its progress are one commit."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey("alerts.Rule", on_delete=models.CASCADE, related_name="backfills")
    spec = models.JSONField(help_text="The rule's spec as it was when this was ordered.")
    labels = models.JSONField(default=dict, help_text="The rule's labels as they were then.")
    start_at = models.DateTimeField(help_text="The first time that is computed, on the grid of the step.")
    step_seconds = models.PositiveIntegerField()
    steps = models.PositiveIntegerField(help_text="How many times are computed in all.")
    steps_done = models.PositiveIntegerField(default=0)
    slice_steps = models.PositiveIntegerField(default=FIRST_SLICE, help_text="How many at once; fewer after an error.")
    samples = models.PositiveBigIntegerField(default=0, help_text="Samples written so far.")
    state = models.CharField(max_length=10, choices=choices(BackfillState), default=BackfillState.DUE.value)
    created_by = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("state", BackfillState), name="backfill_state"),
            models.UniqueConstraint(fields=["rule"], condition=DUE, name="backfill_one_at_a_time"),
        ]
        indexes: ClassVar = [models.Index(fields=["due_at"], name="backfill_due", condition=DUE)]

    def __str__(self) -> str:
        return f"{self.spec.get('record', '')} from {self.start_at:%Y-%m-%d %H:%M}"

    @property
    def end_at(self) -> datetime:
        """Return the last time that is computed."""
        return self.start_at + timedelta(seconds=self.step_seconds * (self.steps - 1))

    @property
    def progress(self) -> float:
        """Return how much is done, 0 to 1."""
        return self.steps_done / self.steps
