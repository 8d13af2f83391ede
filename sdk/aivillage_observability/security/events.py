"""`SecurityEvents`: what happened, told to the console in the background."""

import json
import logging
import os
import threading
import time
import uuid
import weakref
from collections import Counter as Tally
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from aivillage_observability.observability import DEFAULT_URL, IN_MEMORY
from aivillage_observability.rows import BATCH_ROWS, encode_objects, in_batches
from aivillage_observability.spool import SPOOL_BYTES, DiskSpool
from aivillage_observability.transport import Connection, Sender

log = logging.getLogger("aivillage_observability")

PATH = "/api/v1/ingest/security-events"
SPOOL_NAME = "security-events"
EVENTS_MAX = 10_000
DETAILS_BYTES = 12 * 1024
TEXT_CHARS = 4096
ITEMS_MAX = 50
DEPTH_MAX = 4

_started: "weakref.WeakSet[SecurityEvents]" = weakref.WeakSet()


class SecurityEvents:
    """A bounded queue of events and the thread that delivers them; no method blocks on the network or raises.

    `storage_backend` is the directory of a spool that outlives the process, or ":memory:". Address and token default
    to AIVILLAGE_CONSOLE_URL and AIVILLAGE_CONSOLE_TOKEN; the token needs the scope `ingest:security`.
    """

    def __init__(
        self,
        *,
        console_url: str | None = None,
        token: str | None = None,
        storage_backend: str | os.PathLike[str] = IN_MEMORY,
        flush_interval: float = 1.0,
        max_events: int = EVENTS_MAX,
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        self.dropped: Tally[str] = Tally()
        self._url = console_url or os.environ.get("AIVILLAGE_CONSOLE_URL", DEFAULT_URL)
        self._token = token or os.environ.get("AIVILLAGE_CONSOLE_TOKEN", "")
        self._storage = os.fspath(storage_backend)
        self._flush_interval_seconds = flush_interval
        self._max_events = max_events
        self._spool_bytes = spool_bytes
        self._running = False
        self._prepare()

    def report(
        self,
        event_type: str,
        *,
        user_id: str = "",
        source_ip: str = "",
        severity: str = "",
        threat_score: float | None = None,
        details: Mapping[str, object] | None = None,
        at_ms: int | None = None,
        event_id: str = "",
    ) -> None:
        """Queue one event; where the queue is full the event is counted in `dropped`, not kept."""
        if len(self._queue) >= self._max_events:
            self.dropped["queue_full"] += 1
            return
        row: dict[str, object] = {
            "event_type": str(event_type)[:64] or "unknown",
            "at_ms": time.time_ns() // 1_000_000 if at_ms is None else at_ms,
            "event_id": event_id[:64] or uuid.uuid4().hex,
            "user_id": storable(user_id)[:200],
            "source_ip": source_ip,
            "severity": severity,
            "details": bounded(details or {}),
        }
        if threat_score is not None:
            row["threat_score"] = threat_score
        self._queue.append(row)
        if len(self._queue) >= BATCH_ROWS:
            self._flush_now.set()

    def start(self) -> None:
        """Begin to deliver; calling it twice changes nothing."""
        if self._running:
            return
        self._running = True
        self._sender.start()
        self._flusher.start()
        _started.add(self)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Hand over what waits, try to deliver it for at most `timeout_seconds`, and end; the spool keeps the rest."""
        if not self._running:
            return
        self._running = False
        _started.discard(self)
        self._flush_now.set()
        self._flusher.join(timeout_seconds)
        self.flush()
        self._sender.stop(timeout_seconds)

    def flush(self) -> None:
        """Hand over what waits: to the disk where there is a spool, never to the network."""
        with self._flushing:
            rows = [self._queue.popleft() for _ in range(len(self._queue))]
        for run in in_batches(rows):
            self._sender.put(encode_objects(run, uuid.uuid4().hex))

    def restart_in_child(self) -> None:
        """Begin anew after a fork: threads and the spool's lock belong to the parent."""
        self._prepare()
        self.start()

    @property
    def delivery(self) -> Mapping[str, int]:
        """How many batches were delivered, refused, or had to wait, so far."""
        return dict(self._sender.counts)

    def _prepare(self) -> None:
        self._running = False
        self._queue: deque[dict[str, object]] = deque()
        self._flush_now = threading.Event()
        self._flushing = threading.Lock()
        self._sender: Sender = Sender(
            Connection(self._url, self._token, PATH),
            spool=self._open_spool(),
            memory_rows=self._max_events,
            on_dropped=self._count_dropped,
        )
        self._flusher: threading.Thread = threading.Thread(
            target=self._flush_forever, name="aivillage-security", daemon=True
        )

    def _open_spool(self) -> DiskSpool | None:
        if self._storage == IN_MEMORY:
            return None
        try:
            return DiskSpool(Path(self._storage) / SPOOL_NAME, self._spool_bytes)
        except OSError as error:
            log.warning("no spool in %s, events wait in memory: %s", self._storage, error)
            return None

    def _count_dropped(self, reason: str, rows: int) -> None:
        self.dropped[reason] += rows

    def _flush_forever(self) -> None:
        while self._running:
            self._flush_now.wait(self._flush_interval_seconds)
            self._flush_now.clear()
            self.flush()


def storable(text: str) -> str:
    """Return text that JSON and a database take: NUL as its percent escape, lone surrogates replaced."""
    return str(text).replace("\0", "%00").encode("utf-8", "replace").decode()


def bounded(details: Mapping[str, object]) -> dict[str, object]:
    """Return details that fit the door: plain JSON, bounded in depth, number and size."""
    kept: dict[str, object] = {}
    size = 0
    for name, value in list(details.items())[:ITEMS_MAX]:
        plain = _plain(value, DEPTH_MAX)
        size += len(json.dumps(plain).encode()) + len(name)
        if size > DETAILS_BYTES:
            kept["cut"] = True
            break
        kept[storable(name)[:100]] = plain
    return kept


def _plain(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)[:64]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, str):
        return storable(value[:TEXT_CHARS])
    if depth and isinstance(value, Mapping):
        return {storable(str(key))[:100]: _plain(inner, depth - 1) for key, inner in list(value.items())[:ITEMS_MAX]}
    if depth and isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(inner, depth - 1) for inner in list(value)[:ITEMS_MAX]]
    return type(value).__name__


def _restart_after_fork() -> None:
    for events in list(_started):
        _started.discard(events)
        events.restart_in_child()


os.register_at_fork(after_in_child=_restart_after_fork)
