"""What changes Agent Forge besides the events it is told."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from forge_dashboard.models import CurveChunk, LogLine, PipelineEvent, Run

RUNS_AT_ONCE = 20
ROUNDS = 10


def retain(*, now: datetime) -> int:
    """Drop runs nobody has told anything of for the retention time, some at a time; return how many."""
    since = now - timedelta(days=settings.CONFIG.forge_retention_days)
    return sum(_drop_some(since) for _ in range(ROUNDS))


def _drop_some(since: datetime) -> int:
    # A run is created before it is last heard of, and its creation is what an index finds.
    silent = Run.objects.filter(created_at__lt=since, last_event_at__lt=since).order_by("created_at")
    ids = list(silent.values_list("pk", flat=True)[:RUNS_AT_ONCE])
    if not ids:
        return 0
    with transaction.atomic():
        # The long tables first and by their own statements: a cascade would read each row into memory.
        for rows in (
            CurveChunk.objects.filter(curve__run__in=ids),
            LogLine.objects.filter(run__in=ids),
            PipelineEvent.objects.filter(run__in=ids),
        ):
            rows.delete()
        Run.objects.filter(pk__in=ids).delete()
    return len(ids)
