"""The bounds of what waits for destinations that are away."""

from datetime import datetime, timedelta

import structlog
from django.conf import settings

from metrics.remote_out import measures
from metrics.store import unsent

log = structlog.get_logger(__name__)


def queue_trim(*, now: datetime) -> int:
    """Delete what every destination has, and what waited too long or is too much; returns the samples lost."""
    config = settings.CONFIG
    oldest = now - timedelta(seconds=config.remote_write_keep_seconds)
    lost = unsent.trim(oldest=oldest, max_bytes=config.remote_write_keep_bytes)
    for one in lost:
        measures.DROPPED.labels(one.target).inc(one.samples)
        log.warning("remote_write.dropped", target=one.target, samples=one.samples)
    return sum(one.samples for one in lost)
