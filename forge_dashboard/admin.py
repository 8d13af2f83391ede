"""The admin site's part for pipelines: read only, for their senders alone write them."""

from django.contrib import admin

from aivillage_console.accounts.admin import ReadOnlyAdmin
from forge_dashboard.models import Artifact, Checkpoint, GateResult, PhaseRun, PipelineEvent, Run


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs."""

    list_display = ("shown_name", "state", "model", "model_size", "current_phase", "started_at", "last_event_at")
    list_filter = ("state", "model_size")
    list_select_related = ("source",)
    search_fields = ("name", "external_id", "model")
    ordering = ("-created_at",)


@admin.register(PhaseRun)
class PhaseAdmin(ReadOnlyAdmin):
    """Phases of runs."""

    list_display = ("phase", "run", "state", "progress", "attempt", "started_at", "ended_at")
    list_filter = ("state",)
    list_select_related = ("run",)
    search_fields = ("phase", "run__name", "run__external_id")
    ordering = ("-id",)


@admin.register(PipelineEvent)
class EventAdmin(ReadOnlyAdmin):
    """What senders said."""

    list_display = ("at", "run", "kind", "phase", "event_id")
    list_filter = ("kind",)
    list_select_related = ("run",)
    search_fields = ("=run__external_id", "=event_id")


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    """What came out."""

    list_display = ("name", "type", "run", "phase", "size_bytes", "at")
    list_select_related = ("run",)
    search_fields = ("name", "=run__external_id")
    ordering = ("-id",)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    """Places to go on from."""

    list_display = ("name", "run", "phase", "step", "at")
    list_select_related = ("run",)
    search_fields = ("name", "=run__external_id")
    ordering = ("-id",)


@admin.register(GateResult)
class GateAdmin(ReadOnlyAdmin):
    """Judgements of quality gates."""

    list_display = ("display", "state", "run", "phase", "at")
    list_filter = ("state",)
    list_select_related = ("run",)
    search_fields = ("gate", "=run__external_id")
    ordering = ("-id",)
