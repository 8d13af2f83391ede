"""Leased rows: work that is claimed, done and finished without ever being lost.

The lease is `due_at` itself: a claim pushes it into the future, so an expired lease is simply due again and the claim
query is also the sweeper. Whoever finishes a row shows the token of its claim; a process that slept through its lease
finds the token changed and changes nothing.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from django.db import Error, connection, models, transaction

LEASE_SECONDS = 10
log = structlog.get_logger(__name__)


class Leased(models.Model):
    """Columns every claimable row has."""

    due_at = models.DateTimeField(db_index=False, help_text="When the row may be claimed; a claim moves it ahead.")
    lease_token = models.UUIDField(null=True, blank=True, editable=False, help_text="Fencing token of the last claim.")
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=Leased)


def claim(
    rows: models.QuerySet[Row], *, now: datetime, limit: int = 1, lease_seconds: float = LEASE_SECONDS
) -> list[Row]:
    """Lease up to `limit` due rows; rows another claim holds are skipped, not waited for."""
    with transaction.atomic():
        due = rows.filter(due_at__lte=now).order_by("due_at").select_for_update(skip_locked=True, of=("self",))[:limit]
        claimed = list(due)
        for row in claimed:
            row.lease_token, row.due_at = uuid.uuid4(), now + timedelta(seconds=lease_seconds)
            row.attempts += 1
            row.save(update_fields=["lease_token", "due_at", "attempts"])
    return claimed


def fence(row: Row) -> models.QuerySet[Row]:
    """Return the query that finds the row only while this claim still holds it."""
    rows: models.QuerySet[Row] = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token)
    return rows


def finish(row: Leased, **changes: Any) -> bool:
    """Write the outcome and give the lease back; return False where another claim has taken the row."""
    return bool(fence(row).update(lease_token=None, **changes))


def fail(row: Leased, *, error: str, due_at: datetime, **changes: Any) -> bool:
    """Put the row back for a later try; return False where another claim has taken the row."""
    return finish(row, due_at=due_at, last_error=error[:2000], **changes)


def renew(row: Leased, *, now: datetime, lease_seconds: float = LEASE_SECONDS) -> bool:
    """Extend the lease of a long piece of work; return False where it is lost."""
    return bool(fence(row).update(due_at=now + timedelta(seconds=lease_seconds)))


@contextmanager
def kept(row: Leased, *, read_clock: Callable[[], datetime], lease_seconds: float = LEASE_SECONDS) -> Iterator[None]:
    """Keep renewing the lease of a row while the work on it lasts, from a thread that dies with the process."""
    done = threading.Event()

    def renewing() -> None:
        # Most work is over before the first renewal; only slow work ever opens this second connection.
        while not done.wait(lease_seconds / 3):
            try:
                if not renew(row, now=read_clock(), lease_seconds=lease_seconds):
                    break
            except Error as error:
                log.warning("outbox.renew", error=str(error).strip())
        connection.close()

    keeper = threading.Thread(target=renewing, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
