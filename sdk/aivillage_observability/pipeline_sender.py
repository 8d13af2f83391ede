"""Hands rows about pipelines over in the background: the pipeline never waits for the network."""

import logging
import os
import secrets
import threading
import time
import uuid
import weakref
from collections import Counter as Tally
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aivillage_observability import pipeline_rows
from aivillage_observability.observability import DEFAULT_URL, IN_MEMORY
from aivillage_observability.pipeline_rows import Row
from aivillage_observability.spool import SPOOL_BYTES, DiskSpool
from aivillage_observability.transport import Connection, Sender

log = logging.getLogger("aivillage_observability")

PATH = "/api/v1/ingest/pipeline-events"
FLUSH_SECONDS = 0.25
BUFFER_ROWS = 20_000
# What says where a run stands is kept even when a full buffer drops points and lines.
ALWAYS_KEPT = frozenset({"run", "phase", "gate", "artifact", "checkpoint"})

_started: "weakref.WeakSet[PipelineSender]" = weakref.WeakSet()


class PipelineSender:
    """Numbers rows, gathers them, and delivers them from threads of its own.

    `storage_backend` is the directory of a spool that outlives the process, or ":memory:". Address and token default to
    AIVILLAGE_CONSOLE_URL and AIVILLAGE_CONSOLE_TOKEN; the token needs the scope `ingest:pipelines`. Only a wrong
    address raises, at once, here.
    """

    _running: bool
    _lock: threading.Lock
    _held: list[dict[str, Any]]
    _number: int
    _last_ms: int

    def __init__(
        self,
        *,
        console_url: str | None = None,
        token: str | None = None,
        storage_backend: str | os.PathLike[str] = IN_MEMORY,
        flush_interval: float = FLUSH_SECONDS,
        buffer_rows: int = BUFFER_ROWS,
    ) -> None:
        self._url = console_url or os.environ.get("AIVILLAGE_CONSOLE_URL", DEFAULT_URL)
        self._token = token or os.environ.get("AIVILLAGE_CONSOLE_TOKEN", "")
        self._storage = os.fspath(storage_backend)
        self._flush_interval_seconds = flush_interval
        self._buffer_rows = buffer_rows
        self.dropped: Tally[str] = Tally()
        self._prepare()

    def start(self) -> "PipelineSender":
        """Begin to deliver; calling it twice changes nothing."""
        if not self._running:
            self._running = True
            self._sender.start()
            self._flusher.start()
            _started.add(self)
        return self

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Hand over what is held, try to deliver for at most `timeout_seconds`, and end; a spool keeps the rest."""
        if not self._running:
            return
        self._running = False
        _started.discard(self)
        self._wake.set()
        self._flusher.join(timeout_seconds)
        self.flush()
        self._sender.stop(timeout_seconds)

    def emit(self, row: Row) -> None:
        """Take a row of `POST /api/v1/ingest/pipeline-events`; its id and its time are given here when it has none."""
        kept = row.get("kind") in ALWAYS_KEPT
        with self._lock:
            if len(self._held) >= self._buffer_rows and not kept:
                self.dropped["buffer_full"] += 1
                return
            self._number += 1
            # Never backwards: a clock that is set back must not make what is newer look older.
            self._last_ms = max(self._last_ms, time.time_ns() // 1_000_000)
            given = {"event_id": f"{self._prefix}-{self._number:09d}", "at_ms": self._last_ms}
            self._held.append({**given, **row})
            hurry = len(self._held) == self._buffer_rows // 2
        if hurry:
            self._wake.set()

    def flush(self) -> None:
        """Hand over what is held: to the disk where there is a spool, never to the network."""
        with self._lock:
            rows = self._held
            self._held = []
        for run in pipeline_rows.in_batches(self._encoded(row) for row in rows):
            self._sender.put(pipeline_rows.batch_of(run, uuid.uuid4().hex))

    def restart_in_child(self) -> None:
        """Begin anew after a fork: threads, locks and the spool's lock belong to the parent."""
        self._prepare()
        self.start()

    @property
    def delivery(self) -> Mapping[str, int]:
        """How many batches were delivered, refused, or had to wait, so far."""
        return dict(self._sender.counts)

    def _encoded(self, row: Row) -> str:
        try:
            return pipeline_rows.encoded(row)
        except (TypeError, ValueError, RecursionError):
            self.dropped["not_json"] += 1
            return pipeline_rows.encoded({name: pipeline_rows.plain(value) for name, value in row.items()})

    def _prepare(self) -> None:
        self._running = False
        self._lock = threading.Lock()
        self._held = []
        self._number = 0
        self._last_ms = 0
        # Numbered ids of one process sort as they were made, which settles what happened within one millisecond.
        self._prefix: str = secrets.token_hex(6)
        self._wake: threading.Event = threading.Event()
        self._sender: Sender = Sender(
            Connection(self._url, self._token, path=PATH),
            spool=self._open_spool(),
            memory_rows=self._buffer_rows,
            on_dropped=self._count_dropped,
        )
        self._flusher: threading.Thread = threading.Thread(
            target=self._flush_forever, name="aivillage-pipeline-flusher", daemon=True
        )

    def _open_spool(self) -> DiskSpool | None:
        if self._storage == IN_MEMORY:
            return None
        try:
            # A directory of its own: what lies in a spool goes to the door of the process that adopts it.
            return DiskSpool(Path(self._storage) / "pipeline-events", SPOOL_BYTES)
        except OSError as error:
            log.warning("no spool in %s, batches wait in memory: %s", self._storage, error)
            return None

    def _count_dropped(self, reason: str, rows: int) -> None:
        self.dropped[reason] += rows

    def _flush_forever(self) -> None:
        while self._running:
            self._wake.wait(self._flush_interval_seconds)
            self._wake.clear()
            if self._running:
                self.flush()


def _restart_after_fork() -> None:
    for sender in list(_started):
        _started.discard(sender)
        sender.restart_in_child()


os.register_at_fork(after_in_child=_restart_after_fork)
