"""What one source may do (requests, samples, series), and when the disk is full."""

import shutil
import time
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings

from aivillage_console.lib.ratelimit import Buckets, Limit
from metrics.ingest.refusals import Refusal
from metrics.store.series_limit import series_active

FULL_SHARE = 0.85
# A large disk that is nearly full still has room; PostgreSQL needs some for its log whatever the share is.
FULL_FREE_BYTES = 2 << 30


class Gate:
    """The limits of this process; one instance, made at the first request."""

    def __init__(self) -> None:
        """Read the limits from the settings."""
        config = settings.CONFIG
        self.max_series: int | None = config.ingest_series_per_source
        per_second = float(config.ingest_requests_per_second)
        self._requests = Buckets(Limit(per_second, 2 * per_second))
        samples = float(config.ingest_samples_per_second)
        self._samples = Buckets(Limit(samples, 5 * samples))
        new = float(config.ingest_new_series_per_second)
        self._new = Buckets(Limit(new, 20 * new))

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
        """Return how many new series may be tried, and the name of the limit that holds back the rest.

        Another process may be quicker: whoever registers them with `max_series` has the last word.
        """
        allowed = wanted
        if self.max_series is not None:
            allowed = max(0, min(wanted, self.max_series - series_active(source_id, now=now)))
        if allowed and self._new.take(str(source_id), now_seconds=time.monotonic(), cost=float(allowed)):
            return 0, f"limit of {self._new.limit.per_second:.0f} new series a second"
        return allowed, self.series_limit

    @property
    def series_limit(self) -> str:
        """The name of the limit on the series of a source."""
        return f"limit of {self.max_series} series a source"


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
