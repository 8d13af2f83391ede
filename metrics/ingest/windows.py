"""Which timestamps a door takes."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Window:
    """Both ends are taken."""

    low_ms: int
    high_ms: int

    @classmethod
    def at(cls, now: datetime, *, backfill: bool) -> "Window":
        """Return the window around now; the scope `backfill` reaches further back."""
        config = settings.CONFIG
        now_ms = int(now.timestamp() * 1000)
        past = config.backfill_past_seconds if backfill else config.ingest_past_seconds
        return cls(now_ms - past * 1000, now_ms + config.ingest_future_seconds * 1000)
