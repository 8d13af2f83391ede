"""`ObservabilitySystem`: what a service starts once and records into from anywhere."""

import logging
import os
import random
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path

from aivillage_observability.buckets import Bounds
from aivillage_observability.recorder import BUFFER_ROWS, MetricRecorder
from aivillage_observability.rows import Row, encode_batch, in_batches
from aivillage_observability.spool import SPOOL_BYTES, DiskSpool
from aivillage_observability.transport import Connection, Sender

log = logging.getLogger("aivillage_observability")

IN_MEMORY = ":memory:"
DEFAULT_URL = "http://127.0.0.1:8000"

_started: "weakref.WeakSet[ObservabilitySystem]" = weakref.WeakSet()


class ObservabilitySystem:
    """Records metrics, and delivers them in the background.

    `storage_backend` is the directory of the spool, or ":memory:" for none. Address and token default to
    AIVILLAGE_CONSOLE_URL and AIVILLAGE_CONSOLE_TOKEN. No method blocks on the network or raises for what it is given to
    record; only a wrong address raises, at once, here.
    """

    def __init__(
        self,
        service_name: str,
        storage_backend: str | os.PathLike[str] = IN_MEMORY,
        flush_interval: float = 30.0,
        *,
        console_url: str | None = None,
        token: str | None = None,
        buckets: Mapping[str, Bounds] | None = None,
        buffer_rows: int = BUFFER_ROWS,
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        self.service_name = service_name
        self._storage = os.fspath(storage_backend)
        self._flush_interval_seconds = flush_interval
        self._url = console_url or os.environ.get("AIVILLAGE_CONSOLE_URL", DEFAULT_URL)
        self._token = token or os.environ.get("AIVILLAGE_CONSOLE_TOKEN", "")
        self._buffer_rows = buffer_rows
        self._spool_bytes = spool_bytes
        self._flush_now = threading.Event()
        self._running = False
        self.metrics = MetricRecorder(
            now_ms=lambda: time.time_ns() // 1_000_000,
            labels={"service": service_name, "instance": _instance()},
            buckets=buckets,
            max_rows=buffer_rows,
            on_half_full=self._hurry,
        )
        self._prepare()

    def start(self) -> None:
        """Begin to flush and deliver; calling it twice changes nothing."""
        if self._running:
            return
        self._running = True
        self._sender.start()
        self._flusher.start()
        _started.add(self)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Flush, try to deliver for at most `timeout_seconds`, and end; the spool keeps the rest."""
        if not self._running:
            return
        self._running = False
        _started.discard(self)
        self._flush_now.set()
        self._flusher.join(timeout_seconds)
        self.flush_all()
        self._sender.stop(timeout_seconds)

    def flush_all(self) -> None:
        """Hand over what was recorded: to the disk where there is a spool, never to the network."""
        self.send(self.metrics.drain())

    def send(self, rows: Iterable[Row]) -> None:
        """Hand over rows made elsewhere, such as those of a collector."""
        for run in in_batches(list(rows)):
            self._sender.put(encode_batch(run, uuid.uuid4().hex))

    def restart_in_child(self) -> None:
        """Begin anew after a fork: threads, locks and the spool's lock belong to the parent."""
        self.metrics.reset()
        self.metrics.rename_instance(_instance())
        self._flush_now = threading.Event()
        self._prepare()
        self.start()

    @property
    def delivery(self) -> Mapping[str, int]:
        """How many batches were delivered, refused, or had to wait, so far."""
        return dict(self._sender.counts)

    def _prepare(self) -> None:
        self._running = False
        self._sender: Sender = Sender(
            Connection(self._url, self._token),
            spool=self._open_spool(),
            memory_rows=self._buffer_rows,
            on_dropped=self._count_dropped,
        )
        self._flusher: threading.Thread = threading.Thread(
            target=self._flush_forever, name="aivillage-flusher", daemon=True
        )

    def _open_spool(self) -> DiskSpool | None:
        if self._storage == IN_MEMORY:
            return None
        try:
            return DiskSpool(Path(self._storage), self._spool_bytes)
        except OSError as error:
            log.warning("no spool in %s, batches wait in memory: %s", self._storage, error)
            return None

    def _hurry(self) -> None:
        self._flush_now.set()

    def _count_dropped(self, reason: str, rows: int) -> None:
        self.metrics.dropped[reason] += rows

    def _flush_forever(self) -> None:
        while self._running:
            # A little spread keeps a fleet that was started together from flushing together.
            self._flush_now.wait(self._flush_interval_seconds * random.uniform(0.95, 1.05))  # noqa: S311
            self._flush_now.clear()
            if self._running:
                self.flush_all()


def _instance() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _restart_after_fork() -> None:
    for system in list(_started):
        _started.discard(system)
        system.restart_in_child()


os.register_at_fork(after_in_child=_restart_after_fork)
