"""Delivers batches to the console from one background thread.

The standard library's HTTP client carries it: an SDK lives inside other people's programs, where each dependency is a
version that can clash, and one keep-alive connection that posts a batch every few seconds needs no pool and no HTTP/2.
"""

import email.utils
import http.client
import json
import logging
import random
import ssl
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from aivillage_observability.rows import Batch
from aivillage_observability.spool import DiskSpool, MemoryQueue, Waiting

log = logging.getLogger("aivillage_observability")

PATH = "/api/v1/ingest/metrics"
TIMEOUT_SECONDS = 5.0
REPLY_BYTES = 256 * 1024
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
LONGEST_RETRY_AFTER_SECONDS = 900.0
ADOPT_SECONDS = 60.0


class Outcome(Enum):
    """What a reply means for the batch it answers."""

    DELIVERED = "delivered"
    LATER = "later"  # the console is busy, away or in error: the same batch again after a pause
    MISCONFIGURED = "misconfigured"  # token or address is wrong: kept, because a person can mend it
    REFUSED = "refused"  # this batch will never be taken: given up and counted


@dataclass(frozen=True, slots=True)
class Reply:
    """The console's answer; status 0 when there was none."""

    status: int
    detail: str
    retry_after_seconds: float | None = None
    rejected: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Return what to do with the batch."""
        if 200 <= self.status < 300:
            return Outcome.DELIVERED
        if self.status in {401, 403, 404, 405} or 300 <= self.status < 400:
            return Outcome.MISCONFIGURED
        if self.status in {408, 425, 429} or self.status >= 500 or not self.status:
            return Outcome.LATER
        return Outcome.REFUSED


def retry_after(text: str | None, now_seconds: float) -> float | None:
    """Return the pause a Retry-After header asks for, in seconds or as a date, capped at 15 minutes."""
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), LONGEST_RETRY_AFTER_SECONDS)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return min(max(at - now_seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def pause(failures: int, asked_seconds: float | None, spread: float) -> float:
    """Return the wait before the next try: doubling to a minute, never shorter than what the console asked for."""
    doubled = min(FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_WAIT_SECONDS)
    return max(doubled * (0.5 + spread / 2), asked_seconds or 0.0)


class Address:
    """Where the console listens."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"The console's address must be http:// or https:// with a host, not {url!r}.")
        self._host, self._port = parts.hostname, parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.path = parts.path.rstrip("/")

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that opens at its first request."""
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)


class Connection:
    """One kept-alive connection to an ingest door. Proxies of the environment are not used."""

    def __init__(self, url: str, token: str, path: str = PATH) -> None:
        self._address = Address(url)
        self._path = self._address.path + path
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "User-Agent": "aivillage-observability",
        }
        self._open: http.client.HTTPConnection | None = None

    def post(self, batch: Batch) -> Reply:
        """Send a batch; a kept-alive connection that the console closed meanwhile is opened afresh, once."""
        reused = self._open is not None
        reply = self._try(batch)
        return self._try(batch) if reply.status == 0 and reused else reply

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _try(self, batch: Batch) -> Reply:
        try:
            connection = self._open = self._open or self._address.connect()
            connection.request("POST", self._path, body=batch.body, headers=self._headers)
            response = connection.getresponse()
            body = response.read(REPLY_BYTES)
            if response.will_close or response.read(1):
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Reply(0, f"{type(error).__name__}: {error}")
        header = response.getheader("Retry-After")
        return Reply(response.status, _excerpt(body), retry_after(header, time.time()), _rejected(body))


def _excerpt(body: bytes) -> str:
    return body[:300].decode(errors="replace")


def _rejected(body: bytes) -> tuple[str, ...]:
    try:
        rows = json.loads(body).get("rejected", ())
        return tuple(str(row.get("reason", "")) for row in rows)
    except (ValueError, AttributeError, TypeError):
        # Not our reply: a proxy or a wrong address. The status alone decides then.
        return ()


class Sender:
    """Takes batches and delivers them in order; the caller never waits for the network."""

    def __init__(
        self,
        connection: Connection,
        *,
        spool: DiskSpool | None,
        memory_rows: int,
        on_dropped: Callable[[str, int], None],
    ) -> None:
        self.counts: Tally[str] = Tally()
        self._connection = connection
        self._spool = spool
        self._memory = MemoryQueue(memory_rows)
        self._on_dropped = on_dropped
        self._told: set[str] = set()
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aivillage-sender", daemon=True)

    def start(self) -> None:
        """Begin to deliver, first of all what an earlier process left."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Keep a batch, on disk where there is a spool, and ring the thread."""
        lost = self._keep(batch)
        if lost:
            self._on_dropped("backlog_full", lost)
        self._work.set()

    def stop(self, timeout_seconds: float) -> None:
        """Try what waits once more and end; what is still undelivered stays in the spool."""
        self._stopping.set()
        self._work.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        self._connection.close()
        if self._spool is not None:
            self._spool.close()

    def _keep(self, batch: Batch) -> int:
        if self._spool is not None:
            try:
                return self._spool.put(batch)
            except OSError as error:
                self._tell("spool", "the spool cannot be written, batches wait in memory: %s", error)
        return self._memory.put(batch)

    def _next(self) -> tuple[Waiting, Batch] | None:
        for waiting in (self._spool, self._memory):
            batch = waiting.oldest() if waiting is not None else None
            if waiting is not None and batch is not None:
                return waiting, batch
        return None

    def _run(self) -> None:
        failures = 0
        while True:
            found = self._next()
            if found is None:
                if self._stopping.is_set():
                    return
                self._rest()
                continue
            reply = self._connection.post(found[1])
            if self._settle(*found, reply):
                failures = 0
                continue
            if self._stopping.is_set():
                return
            failures += 1
            self._stopping.wait(pause(failures, reply.retry_after_seconds, random.random()))  # noqa: S311

    def _rest(self) -> None:
        self._work.wait(ADOPT_SECONDS)
        self._work.clear()
        if self._spool is not None:
            self._spool.adopt()

    def _settle(self, waiting: Waiting, batch: Batch, reply: Reply) -> bool:
        """Return whether the batch is done with."""
        outcome = reply.outcome
        self.counts[outcome.value] += 1
        if outcome is Outcome.DELIVERED:
            self._count_rejected(reply)
            self._told.discard(Outcome.LATER.value)
        elif outcome is Outcome.REFUSED:
            self._on_dropped("refused", batch.rows)
            self._tell(f"refused-{reply.status}", "the console refused a batch (%s): %s", reply.status, reply.detail)
        else:
            self._tell(outcome.value, "batches wait, the console answered %s: %s", reply.status, reply.detail)
            return False
        waiting.remove(batch.batch_id)
        return True

    def _count_rejected(self, reply: Reply) -> None:
        if reply.rejected:
            self._on_dropped("rejected", len(reply.rejected))
            self._tell(
                "rejected", "the console rejected %s rows, the first: %s", len(reply.rejected), reply.rejected[0]
            )

    def _tell(self, topic: str, message: str, *values: object) -> None:
        """Log each kind of trouble once, not once a batch."""
        if topic not in self._told:
            self._told.add(topic)
            log.warning(message, *values)
