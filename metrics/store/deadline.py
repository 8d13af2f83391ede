"""When a question must have ended: its statement is cancelled then, so that PostgreSQL works for nobody who has gone.

One thread a process watches the connections that are reading. It costs a reading two locks; a `statement_timeout`
outside a transaction would cost it two round trips.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import OperationalError, connection

from metrics.promql.types import QueryError
from metrics.store.raw import raw_cursor

CANCEL_SECONDS = 2.0
TOO_LONG = "the query took too long to read its samples"
_asked: ContextVar[float] = ContextVar("query_ends_at_seconds", default=float("inf"))


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """Have everything read inside the block end within so many seconds."""
    token = _asked.set(min(_asked.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _asked.reset(token)


@contextmanager
def waiting_for_ever() -> Iterator[None]:
    """Have what is read inside the block end by its own limit only."""
    token = _asked.set(float("inf"))
    try:
        yield
    finally:
        _asked.reset(token)


def ends_at_seconds(timeout_ms: int) -> float:
    """Return when a reading must have ended: what was asked for, at most so long from now."""
    return min(_asked.get(), time.monotonic() + timeout_ms / 1000)


@dataclass(eq=False, slots=True)
class _Reading:
    connection: psycopg.Connection[Any]
    ends_at_seconds: float
    cancelled: bool = False


class Watch:
    """Cancels what runs on a connection once its time is over."""

    def __init__(self) -> None:
        """Start without a thread; the first reading begins it."""
        self._changed = threading.Condition()
        self._readings: list[_Reading] = []
        self._pid = 0
        self._wakes_at_seconds = float("inf")

    @contextmanager
    def over(self, watched: psycopg.Connection[Any], ends_at: float) -> Iterator[_Reading]:
        """Watch a connection for the length of the block."""
        reading = _Reading(watched, ends_at)
        with self._changed:
            if self._pid != os.getpid():
                # A process that was forked from this one has none of its threads.
                self._pid, self._readings = os.getpid(), []
                threading.Thread(target=self._watch, name="query-deadlines", daemon=True).start()
            self._readings.append(reading)
            if ends_at < self._wakes_at_seconds:
                self._changed.notify()
        try:
            yield reading
        finally:
            with self._changed:
                self._readings.remove(reading)

    def _watch(self) -> None:
        with self._changed:
            while True:
                for reading in [one for one in self._readings if one.ends_at_seconds <= time.monotonic()]:
                    self._cancel(reading)
                ends = [one.ends_at_seconds for one in self._readings if not one.cancelled]
                self._wakes_at_seconds = min(ends, default=float("inf"))
                wait = self._wakes_at_seconds - time.monotonic()
                # Readings that end early wake nobody: an idle thread looks again when the earliest would have ended.
                self._changed.wait(max(0.0, wait) if ends else None)

    def _cancel(self, reading: _Reading) -> None:
        reading.cancelled = True
        with suppress(psycopg.Error):
            reading.connection.cancel_safe(timeout=CANCEL_SECONDS)


WATCH = Watch()


@contextmanager
def reading(timeout_ms: int) -> Iterator[psycopg.Cursor[Any]]:
    """Yield a cursor whose statements end with the question; raises QueryError of the kind `timeout` then."""
    ends_at = ends_at_seconds(timeout_ms)
    if ends_at <= time.monotonic():
        raise QueryError(TOO_LONG, kind="timeout")
    watched: _Reading | None = None
    try:
        with raw_cursor() as cursor, WATCH.over(cursor.connection, ends_at) as watched:
            yield cursor
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise QueryError(TOO_LONG, kind="timeout") from error
        raise
    finally:
        if watched is not None and watched.cancelled and not connection.in_atomic_block:
            # The request to cancel may arrive late, and must not meet the next statement.
            connection.close()
