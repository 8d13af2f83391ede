"""Sends what was stored to every destination: a thread for each, a place in the queue that moves after the answer."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from aivillage_console.lib import clock
from metrics.domain import Metadata
from metrics.models import RemoteTarget
from metrics.remote_out import measures
from metrics.remote_out.delivery import Fate, Outcome, Wire
from metrics.remote_out.parcels import (
    Directory,
    Parcel,
    exemplar_parcel,
    families_declared,
    metadata_parcels,
    parcels_of,
)
from metrics.remote_out.targets import config_of
from metrics.store import unsent
from metrics.wire.scraping.fields import BadConfig

POLL_SECONDS = 1.0
LOOK_SECONDS = 5.0
METADATA_SECONDS = 60.0
log = structlog.get_logger(__name__)


class Stopped(Exception):
    """The process ends, or the destination was changed: what was not taken stays in the queue."""


class TargetSender:
    """Sends to one destination, one request at a time, so that samples arrive in their order."""

    def __init__(self, target: RemoteTarget, stopping: threading.Event, *, spread: Callable[[], float]) -> None:
        """Take a destination as it is configured now; raises BadConfig."""
        self.target_id, self.version, self._name = target.pk, target.version, target.name
        self._config, self._stopping, self._spread = config_of(target), stopping, spread
        self._wire, self._directory = Wire(self._config), Directory(self._config)
        self._protocol = self._config.version
        self._families: dict[str, Metadata] = {}
        self._told: dict[str, Metadata] = {}
        self._families_at = float("-inf")

    def once(self) -> bool:
        """Send the next portion; tell whether there was one. Raises Stopped."""
        target = self._fresh()
        self._tell_families()
        portion = self._portion(target)
        if portion is None:
            measures.WAITING.labels(self._name).set(0)
            return self._exemplars(target.exemplar_xid)
        parcels, filtered = parcels_of(portion.samples, self._directory, self._config)
        sent, failed = self._deliver_all(parcels)
        unsent.mark_advance(self.target_id, portion.mark, unsent.Tally(sent, failed), now=clock.now())
        measures.FILTERED.labels(self._name).inc(filtered)
        measures.WAITING.labels(self._name).set(unsent.waiting(portion.mark))
        return True

    def _portion(self, target: RemoteTarget) -> unsent.Portion | None:
        """Return what is next: the portion that was on its way when its sender died, or a new one, noted as such."""
        mark = target.cursor_xid, target.cursor_id
        if target.pending_xid is not None and target.pending_id is not None:
            again = unsent.portion_read(mark, (target.pending_xid, target.pending_id))
            if again is not None:
                return again
        portion = unsent.portion_read(mark)
        if portion is not None:
            unsent.mark_pending(self.target_id, portion.mark)
        return portion

    def _fresh(self) -> RemoteTarget:
        target = RemoteTarget.objects.filter(pk=self.target_id, enabled=True, version=self.version).first()
        if target is None:
            raise Stopped
        return target

    def _deliver_all(self, parcels: Sequence[Parcel]) -> tuple[int, int]:
        sent = failed = 0
        for parcel in parcels:
            if self._deliver(parcel):
                sent += parcel.samples
            else:
                failed += parcel.samples
        return sent, failed

    def _exemplars(self, xid: int) -> bool:
        if not self._config.exemplars:
            return False
        rows, last = unsent.exemplars_after(xid)
        if not rows:
            return False
        parcel = exemplar_parcel(rows, self._directory)
        if parcel.series:
            self._deliver(parcel)
        RemoteTarget.objects.filter(pk=self.target_id).update(exemplar_xid=last)
        return True

    def _tell_families(self) -> None:
        if not self._config.metadata or time.monotonic() - self._families_at < METADATA_SECONDS:
            return
        self._families, self._families_at = families_declared(), time.monotonic()
        if self._protocol == 1 and self._families != self._told:
            for parcel in metadata_parcels(self._families, self._config.batch_samples):
                self._deliver(parcel)
            self._told = self._families

    def _deliver(self, parcel: Parcel) -> bool:
        """Send until it is taken or refused for good; tell whether it was taken."""
        delay = self._config.min_backoff_ms / 1000
        while True:
            outcome = self._wire.send(parcel.body(self._protocol, self._families), self._protocol, now=clock.now())
            measures.REQUESTS.labels(self._name, outcome.fate).inc()
            if outcome.fate is Fate.TAKEN:
                measures.SENT.labels(self._name).inc(parcel.samples)
                return True
            if outcome.fate is Fate.REFUSED:
                self._refused(parcel, outcome)
                return False
            if outcome.fate is Fate.OTHER_VERSION:
                log.warning("remote_write.version_1", target=self._name, reason=outcome.reason)
                self._protocol, self._families_at = 1, float("-inf")
                continue
            self._wait(outcome, delay)
            delay = min(delay * 2, self._config.max_backoff_ms / 1000)

    def _refused(self, parcel: Parcel, outcome: Outcome) -> None:
        log.warning("remote_write.refused", target=self._name, reason=outcome.reason, samples=parcel.samples)
        measures.FAILED.labels(self._name, outcome.status).inc(parcel.samples)
        RemoteTarget.objects.filter(pk=self.target_id).update(last_error=outcome.reason[:500])

    def _wait(self, outcome: Outcome, delay_seconds: float) -> None:
        measures.RETRIES.labels(self._name).inc()
        rows = RemoteTarget.objects.filter(pk=self.target_id)
        rows.filter(failing_since=None).update(failing_since=clock.now())
        rows.update(last_error=outcome.reason[:500])
        self._hold_back(max(outcome.wait_seconds, delay_seconds * (0.75 + 0.5 * self._spread())))

    def _hold_back(self, seconds: float) -> None:
        """Wait; raises Stopped where the process ends or the destination is changed meanwhile."""
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            if self._stopping.wait(min(left, LOOK_SECONDS)):
                raise Stopped
            self._fresh()


class Senders:
    """A thread for each enabled destination, for as long as this is entered."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._stopping = threading.Event()
        self._threads: dict[UUID, threading.Thread] = {}

    def __enter__(self) -> Self:
        """Bring what a restored database says about transactions into this one's time."""
        unsent.restart_after_restore()
        return self

    def __exit__(self, *_: object) -> None:
        """Let every thread finish its request; what was not taken is sent after the next start."""
        self._stopping.set()
        for thread in self._threads.values():
            thread.join()

    def look(self) -> None:
        """Start a thread for each destination that has none."""
        for target_id in RemoteTarget.objects.filter(enabled=True).values_list("pk", flat=True):
            known = self._threads.get(target_id)
            if known is None or not known.is_alive():
                thread = threading.Thread(target=self._run, args=(target_id,), name=f"remote-write-{target_id}")
                self._threads[target_id] = thread
                thread.start()

    def _run(self, target_id: UUID) -> None:
        try:
            while not self._stopping.is_set():
                close_old_connections()
                self._send(target_id)
        except Stopped:
            return
        except (DatabaseError, InterfaceError, BadConfig) as error:
            # The next look begins anew.
            log.warning("remote_write.stopped", target=str(target_id), error=str(error)[:300])
        finally:
            connections.close_all()

    def _send(self, target_id: UUID) -> None:
        target = RemoteTarget.objects.filter(pk=target_id, enabled=True).first()
        if target is None:
            raise Stopped
        # Jitter between tries; nothing is protected by it.
        sender = TargetSender(target, self._stopping, spread=random.random)
        while not self._stopping.is_set():
            if not sender.once():
                self._stopping.wait(POLL_SECONDS)
