"""What the API shows of pipelines, and what it takes to ask."""

from typing import Any

from rest_framework import serializers

from forge_dashboard import selectors
from forge_dashboard.models import Artifact, Checkpoint, GateResult, LogLevel, LogLine, PhaseRun, PipelineEvent, Run
from forge_dashboard.selectors.inside import LONGEST_TAIL, MOST_CURVES, MOST_POINTS

RUN_FIELDS: tuple[str, ...] = (
    "id", "source_name", "external_id", "name", "model", "model_size", "owner", "tags", "wandb_url",
    "parent_external_id", "planned_phases", "state", "shown_state", "progress", "current_phase", "message", "error",
    "warnings", "started_at", "ended_at", "duration_seconds", "last_event_at", "reporting_interval_seconds",
    "event_count", "log_count", "log_dropped", "created_at", "version",
)  # fmt: skip


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run as it stands; `shown_state` may be "stalled"."""

    shown_state = serializers.SerializerMethodField()
    source_name = serializers.CharField(source="source.name")

    class Meta:
        model = Run
        fields = RUN_FIELDS
        read_only_fields = fields

    def get_shown_state(self, run: Run) -> str:
        """Return the one word people see."""
        return selectors.shown_state(run, self.context["now"])


class RunDetailSerializer(RunSerializer):
    """A run with its configuration."""

    class Meta(RunSerializer.Meta):
        fields = (*RUN_FIELDS, "config")
        read_only_fields = fields


class PhaseSerializer(serializers.ModelSerializer[PhaseRun]):
    """A phase of a run as it stands."""

    display = serializers.CharField(read_only=True)

    class Meta:
        model = PhaseRun
        fields = (
            "phase", "display", "position", "state", "progress", "step", "total_steps", "message", "metrics",
            "warnings", "error", "started_at", "ended_at", "duration_seconds", "attempt", "attempts", "last_event_at",
        )  # fmt: skip
        read_only_fields = fields


class PipelineEventSerializer(serializers.ModelSerializer[PipelineEvent]):
    """One thing a sender said."""

    class Meta:
        model = PipelineEvent
        fields = ("id", "event_id", "at", "received_at", "kind", "phase", "data")
        read_only_fields = fields


class LineSerializer(serializers.ModelSerializer[LogLine]):
    """One line of the log."""

    class Meta:
        model = LogLine
        fields = ("id", "at", "phase", "level", "text")
        read_only_fields = fields


class TailSerializer(serializers.Serializer[Any]):
    """Lines in the order they came; ask again with `last_id` as `after_id`. `dropped` were older and made room."""

    lines = LineSerializer(many=True)
    last_id = serializers.IntegerField()
    dropped = serializers.IntegerField()


class CurveSerializer(serializers.Serializer[Any]):
    """One curve; `steps` is null where points came without steps, `thinned` where only peaks and ends are shown."""

    phase = serializers.CharField()
    name = serializers.CharField()
    steps = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    at_seconds = serializers.ListField(child=serializers.FloatField())
    values = serializers.ListField(child=serializers.FloatField())
    points = serializers.IntegerField()
    thinned = serializers.BooleanField()


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """Something a phase made."""

    class Meta:
        model = Artifact
        fields = ("id", "phase", "type", "name", "url", "size_bytes", "sha256", "metadata", "at")
        read_only_fields = fields


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """A place to go on from."""

    class Meta:
        model = Checkpoint
        fields = ("id", "phase", "name", "url", "step", "metadata", "at")
        read_only_fields = fields


class GateSerializer(serializers.ModelSerializer[GateResult]):
    """The newest judgement of a quality gate."""

    class Meta:
        model = GateResult
        fields = ("id", "phase", "gate", "display", "state", "reasons", "metrics", "at")
        read_only_fields = fields


class CurvesAskedSerializer(serializers.Serializer[Any]):
    """Which curves, how many points each, and from which step on."""

    names = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=5_000,
        help_text=f"Up to {MOST_CURVES}, with commas: `loss`, or `forge_training/loss` of one phase. Empty: all.",
    )  # fmt: skip
    max_points = serializers.IntegerField(required=False, default=500, min_value=4, max_value=MOST_POINTS)
    since_step = serializers.FloatField(required=False, allow_null=True, default=None)


class LogsAskedSerializer(serializers.Serializer[Any]):
    """Which lines."""

    after_id = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**63 - 1)
    limit = serializers.IntegerField(required=False, default=1_000, min_value=1, max_value=LONGEST_TAIL)
    level = serializers.ChoiceField(
        choices=LogLevel.choices, required=False, allow_blank=True, default="", help_text="At least as bad."
    )
    phase = serializers.CharField(required=False, allow_blank=True, default="", max_length=64)


class ImportSerializer(serializers.Serializer[Any]):
    """How a file was taken in."""

    run = serializers.UUIDField(allow_null=True)
    events = serializers.IntegerField()
    refused = serializers.ListField(child=serializers.CharField())
