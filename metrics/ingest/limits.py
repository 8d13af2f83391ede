"""What one source may do (requests, samples, series), and when the disk is full."""

import shutil
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings

from aivillage_console.lib.ratelimit import Buckets, Limit
from metrics.ingest.refusals import Refusal
from metrics.models import Series

FULL_SHARE = 0.85
# A large disk that is nearly full still has room; PostgreSQL needs some for its log whatever the share is.
FULL_FREE_BYTES = 2 << 30
RECOUNT_SECONDS = 60.0
ACTIVE = timedelta(hours=25)


class Gate:
    """The limits of this process; one instance, made at the first request."""

    def __init__(self) -> None:
        """Read the limits from the settings."""
        config = settings.CONFIG
        self.max_series: int = config.ingest_series_per_source
        per_second = float(config.ingest_requests_per_second)
        self._requests = Buckets(Limit(per_second, 2 * per_second))
        samples = float(config.ingest_samples_per_second)
        self._samples = Buckets(Limit(samples, 5 * samples))
        new = float(config.ingest_new_series_per_second)
        self._new = Buckets(Limit(new, 20 * new))
        self._counts: dict[UUID, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take_request(self, source_id: UUID) -> None:
        """Count a request against its source's rate."""
        self._take(self._requests, source_id, 1.0, "requests")

    def take_samples(self, source_id: UUID, count: int) -> None:
        """Count samples against their source's rate."""
        self._take(self._samples, source_id, float(count), "samples")

    def _take(self, buckets: Buckets, source_id: UUID, cost: float, what: str) -> None:
        wait = buckets.take(str(source_id), now_seconds=time.monotonic(), cost=cost)
        if wait:
            reason = f"more than {buckets.limit.per_second:.0f} {what} a second from this source"
            raise Refusal(429, reason, "rate", retry_after_seconds=int(wait) + 1)

    def room_for_series(self, source_id: UUID, wanted: int, *, now: datetime) -> tuple[int, str]:
        """Return how many new series are let in, and the name of the limit that holds back the rest."""
        with self._lock:
            counted_at, count = self._counts.get(source_id, (float("-inf"), 0))
            if time.monotonic() - counted_at > RECOUNT_SECONDS:
                counted_at = time.monotonic()
                count = Series.objects.filter(source_id=source_id, last_seen_at__gt=now - ACTIVE).count()
            allowed = max(0, min(wanted, self.max_series - count))
            self._counts[source_id] = (counted_at, count)
        limit = f"limit of {self.max_series} series a source"
        if allowed and self._new.take(str(source_id), now_seconds=time.monotonic(), cost=float(allowed)):
            return 0, f"limit of {self._new.limit.per_second:.0f} new series a second"
        with self._lock:
            self._counts[source_id] = (counted_at, count + allowed)
        return allowed, limit


class DiskGuard:
    """Refuses telemetry before the disk of the embedded database is full; alerts still have room then."""

    def __init__(self, path: Path, *, every_seconds: float = 5.0) -> None:
        """Watch the disk this path is on."""
        self._path = path
        self._every_seconds = every_seconds
        self._checked_at = float("-inf")
        self._full = False

    def check(self) -> None:
        """Raise Refusal while the disk is too full."""
        seconds = time.monotonic()
        if seconds - self._checked_at > self._every_seconds:
            self._checked_at = seconds
            self._full = self._path.exists() and self._is_full()
        if self._full:
            raise Refusal(507, "the disk of the database is nearly full", "disk_full", retry_after_seconds=60)

    def _is_full(self) -> bool:
        usage = shutil.disk_usage(self._path)
        small = min(FULL_FREE_BYTES, int(usage.total * (1 - FULL_SHARE)))
        return usage.free < small
