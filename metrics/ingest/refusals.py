"""How a door says no, and the bounded memory of it that the Setup page shows."""

import contextlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import DatabaseError, transaction
from prometheus_client import Counter, Gauge

from aivillage_console.lib.ratelimit import Buckets, Limit
from metrics.models import RejectedRequest

KEPT = 1_000
ROWS = Counter("console_ingest_rows", "Rows stored.", ["path", "signal", "source"])
REJECTED = Counter("console_ingest_rejected", "Rows or requests refused.", ["path", "signal", "source", "reason"])
LAG = Gauge(
    "console_ingest_lag_seconds", "Age of the newest sample at arrival.", ["source"], multiprocess_mode="mostrecent"
)

# A flood of refused requests must not become a flood of writes.
_recording = Buckets(Limit(per_second=2.0, burst=20.0))


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is not taken; `reason` is safe to show."""

    status: int
    reason: str
    kind: str
    retry_after_seconds: int | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Carry Retry-After where the sender may come again."""
        if self.retry_after_seconds is not None:
            self.headers["Retry-After"] = str(max(1, self.retry_after_seconds))


def rejection_record(
    *, door: str, status: int, reason: str, source_id: UUID | None, ip: str | None, excerpt: str, at: datetime
) -> None:
    """Remember a refused request; only the newest are kept, and a database that is away costs nothing more."""
    if _recording.take(door, now_seconds=time.monotonic()):
        return
    clean = "".join(char if char.isprintable() else " " for char in excerpt)[:200]
    with contextlib.suppress(DatabaseError), transaction.atomic():
        row = RejectedRequest.objects.create(
            at=at, door=door, source_id=source_id, ip=ip, status=status, reason=reason[:300], excerpt=clean
        )
        if row.pk % 100 == 0:
            RejectedRequest.objects.filter(pk__lte=row.pk - KEPT).delete()
