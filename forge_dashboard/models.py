"""The tables of Agent Forge: runs, their phases, what happened in them and what came out."""

import uuid
from enum import StrEnum
from typing import ClassVar

from django.db import models

from forge_dashboard.catalogue import GateState, PhaseState, RunState, display


def _choices(states: type[StrEnum]) -> list[tuple[str, str]]:
    return [(state.value, state.value.capitalize()) for state in states]


RUN_STATES, PHASE_STATES, GATE_STATES = _choices(RunState), _choices(PhaseState), _choices(GateState)


def _only(states: type[StrEnum]) -> models.Q:
    return models.Q(state__in=[state.value for state in states])


class Run(models.Model):
    """One run of a pipeline, as its sender named it. Every column but the ids is derived from its events."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(
        "accounts.Source", on_delete=models.CASCADE, related_name="+", help_text="Who sends it, fixed by the token."
    )
    external_id = models.CharField(max_length=128, help_text="What its sender calls the run.")
    name = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    model_size = models.CharField(max_length=32, blank=True, help_text="As text: 25M, 1.5B.")
    config = models.JSONField(default=dict)
    owner = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=list)
    wandb_url = models.CharField(max_length=1000, blank=True)
    # A name and no key: the parent may be heard of later, or never.
    parent_external_id = models.CharField(max_length=128, blank=True, help_text="The run it goes on from.")
    planned_phases = models.JSONField(default=list, help_text="Ids of the phases in order.")
    state = models.CharField(max_length=10, choices=RUN_STATES, default=RunState.QUEUED.value)
    message = models.TextField(blank=True)
    error = models.TextField(blank=True)
    warnings = models.JSONField(default=list)
    progress = models.FloatField(null=True, blank=True, help_text="Share of its phases that is done, 0 to 1.")
    current_phase = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True)
    last_event_at = models.DateTimeField(help_text="When the console last heard of it.")
    reporting_interval_seconds = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(help_text="When the console first heard of it.")
    version = models.PositiveIntegerField(default=1)
    # What the columns are derived from: newest value by field, newest states by time.
    facts = models.JSONField(default=dict, editable=False)
    history = models.JSONField(default=list, editable=False)
    event_count = models.PositiveIntegerField(default=0)
    thing_count = models.PositiveIntegerField(default=0, help_text="Artifacts, gates and checkpoints told of.")
    log_count = models.PositiveIntegerField(default=0, help_text="Log lines kept.")
    log_dropped = models.PositiveIntegerField(default=0, help_text="Oldest log lines that made room for newer ones.")

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "external_id"], name="forge_run_once"),
            models.CheckConstraint(condition=_only(RunState), name="forge_run_state"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="forge_run_newest"),
            models.Index(fields=["state", "-created_at"], name="forge_run_by_state"),
            models.Index(fields=["model_size", "-ended_at"], name="forge_run_by_size"),
            models.Index(
                fields=["last_event_at"], name="forge_run_silent", condition=models.Q(state=RunState.RUNNING.value)
            ),
        ]

    def __str__(self) -> str:
        return self.shown_name

    @property
    def shown_name(self) -> str:
        """Return its name, or what its sender calls it."""
        return self.name or self.external_id


class PhaseRun(models.Model):
    """One phase of one run as it stands."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="phases")
    phase = models.CharField(max_length=64, help_text="Canonical id, or the sender's own name of a custom phase.")
    position = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=PHASE_STATES, default=PhaseState.PENDING.value)
    progress = models.FloatField(null=True, blank=True)
    step = models.BigIntegerField(null=True, blank=True)
    total_steps = models.BigIntegerField(null=True, blank=True)
    message = models.TextField(blank=True)
    metrics = models.JSONField(default=dict, help_text="The newest value of each metric.")
    warnings = models.JSONField(default=list)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text="When the present attempt began.")
    ended_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True, help_text="Of the present attempt.")
    attempt = models.PositiveIntegerField(default=0, help_text="How often it was begun.")
    attempts = models.JSONField(default=list, help_text="Start, end, state and error of each attempt.")
    failed_at = models.DateTimeField(null=True, blank=True, help_text="When the console last heard of a failure.")
    last_event_at = models.DateTimeField(null=True, blank=True)
    facts = models.JSONField(default=dict, editable=False)
    history = models.JSONField(default=list, editable=False)
    counted = models.JSONField(default=dict, editable=False, help_text="Transitions the counters have seen.")

    class Meta:
        ordering: ClassVar = ["run", "position", "phase"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "phase"], name="forge_phase_once"),
            models.CheckConstraint(condition=_only(PhaseState), name="forge_phase_state"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["phase", "-ended_at"],
                name="forge_phase_usual",
                condition=models.Q(state=PhaseState.SUCCEEDED.value),
            ),
            models.Index(fields=["-failed_at"], name="forge_phase_failed", condition=models.Q(failed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.phase} of {self.run_id}"

    @property
    def display(self) -> str:
        """Return the name people read."""
        return display(self.phase)


class PipelineEvent(models.Model):
    """One thing a sender said about a run; the same event id again is ignored."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events")
    event_id = models.CharField(max_length=64)
    at = models.DateTimeField(help_text="When it happened, by the sender's clock.")
    received_at = models.DateTimeField()
    kind = models.CharField(max_length=10)
    phase = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict, help_text="What it said; points of curves and lines of logs are kept apart.")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "event_id"], name="forge_event_once")]
        indexes: ClassVar = [
            models.Index(fields=["run", "-id"], name="forge_event_story"),
            models.Index(fields=["run", "-received_at"], name="forge_event_heard"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class Curve(models.Model):
    """One metric over the steps of a phase; its points lie in chunks."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="curves")
    phase = models.CharField(max_length=64, blank=True, help_text="Empty: of the run as a whole.")
    name = models.CharField(max_length=100)
    points = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["phase", "name"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "phase", "name"], name="forge_curve_once")]

    def __str__(self) -> str:
        return f"{self.phase}/{self.name}"


class CurveChunk(models.Model):
    """About a thousand points of a curve: records of three little-endian doubles, see docs/formats/curve-chunk.md."""

    id = models.BigAutoField(primary_key=True)
    curve = models.ForeignKey(Curve, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["curve", "number"], name="forge_chunk_once")]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.curve_id}"


class LogLevel(models.TextChoices):
    """How bad a line is."""

    DEBUG = "debug", "Debug"
    INFO = "info", "Info"
    WARNING = "warning", "Warning"
    ERROR = "error", "Error"


class LogLine(models.Model):
    """One line a run wrote; the oldest make room, and the run counts them."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField()
    phase = models.CharField(max_length=64, blank=True)
    level = models.CharField(max_length=8, choices=LogLevel.choices, default=LogLevel.INFO)
    text = models.TextField()

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["run", "-id"], name="forge_line_tail")]

    def __str__(self) -> str:
        return self.text[:80]


class Artifact(models.Model):
    """Something a phase made; the console keeps where it is and what it is, not the thing itself."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="artifacts")
    phase = models.CharField(max_length=64, blank=True)
    type = models.CharField(max_length=100, blank=True)
    name = models.CharField(max_length=300)
    url = models.CharField(max_length=2000, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    metadata = models.JSONField(default=dict)
    at = models.DateTimeField()
    event_id = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "phase", "type", "name"], name="forge_artifact_once")
        ]

    def __str__(self) -> str:
        return self.name


class GateResult(models.Model):
    """How a quality gate judged a phase, newest judgement."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="gates")
    phase = models.CharField(max_length=64, blank=True)
    gate = models.CharField(max_length=100, help_text="Id of the catalogue, or the sender's own name.")
    display = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=GATE_STATES)
    reasons = models.JSONField(default=list, help_text="Why it did not pass.")
    metrics = models.JSONField(default=dict)
    at = models.DateTimeField()
    event_id = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "phase", "gate"], name="forge_gate_once"),
            models.CheckConstraint(condition=_only(GateState), name="forge_gate_state"),
        ]

    def __str__(self) -> str:
        return f"{self.display}: {self.state}"


class Checkpoint(models.Model):
    """A place a run can be taken up from."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="checkpoints")
    phase = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=300)
    url = models.CharField(max_length=2000, blank=True)
    step = models.BigIntegerField(null=True, blank=True)
    metadata = models.JSONField(default=dict)
    at = models.DateTimeField()
    event_id = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "phase", "name"], name="forge_checkpoint_once")]

    def __str__(self) -> str:
        return self.name
