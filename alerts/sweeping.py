"""The loop of `evaluate` and `dispatch`: ring when work falls due, and take what nobody took within half a second."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import FrameType

import structlog
from django.conf import settings
from django.db import Error, close_old_connections, connection

from aivillage_console.lib import doorbell
from aivillage_console.lib.registry import Registry

POLL_SECONDS = 0.5
GRACE_SECONDS = 0.5
SWEEP_SECONDS = 5.0
RETRY_SECONDS = 0.5
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Watch:
    """One kind of due work."""

    kind: doorbell.Kind
    next_due: str  # SQL of the time at which the next row is due.
    sweep: Callable[..., bool]
    rung_for: datetime | None = None


@dataclass(slots=True)
class Chore:
    """Something done every so many seconds."""

    every_seconds: float
    do: Callable[[datetime], object]
    next_at: float = 0.0


# Due work of the wings above, swept by the evaluator beside the rules.
WATCHES: Registry[Watch] = Registry("watches", ("detect", "check"))


class Sweeper:
    """Watches the tables until it is told to stop; a lost database is waited for."""

    def __init__(self, watches: Sequence[Watch], chores: Sequence[Chore] = ()) -> None:
        """Prepare one query that asks for the time and all next due times at once."""
        self._watches, self._chores = watches, chores
        self._query = f"SELECT console_now(), {', '.join(f'({watch.next_due})' for watch in watches)}"
        self._stop = threading.Event()

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End the loop after the work in hand."""
        self._stop.set()

    def run(self) -> None:
        """Loop until stopped."""
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)
        while not self._stop.is_set():
            try:
                self._stop.wait(self.round())
            except Error as error:
                log.warning("sweeper.database", error=str(error).strip())
                connection.close()
                self._stop.wait(RETRY_SECONDS)

    def round(self) -> float:
        """Do what is due and return how long to sleep."""
        close_old_connections()
        with connection.cursor() as cursor:
            cursor.execute(self._query)
            now, *due = cursor.fetchone()
        waits = [self._attend(watch, at, now) for watch, at in zip(self._watches, due, strict=True)]
        for chore in self._chores:
            if time.monotonic() >= chore.next_at:
                chore.next_at = time.monotonic() + chore.every_seconds
                chore.do(now)
        return min([POLL_SECONDS, *waits])

    def _attend(self, watch: Watch, due_at: datetime | None, now: datetime) -> float:
        if due_at is None:
            return POLL_SECONDS
        ahead = (due_at - now).total_seconds()
        if ahead > 0:
            return max(0.01, ahead)
        if watch.rung_for != due_at:
            watch.rung_for = due_at
            if doorbell.ring_now(watch.kind):
                return POLL_SECONDS
        if settings.CONFIG.sweepers_enabled and (-ahead >= GRACE_SECONDS or not settings.CONFIG.celery_enabled):
            watch.sweep(hand="sweeper", deadline_seconds=SWEEP_SECONDS)
            return 0.01
        return POLL_SECONDS
