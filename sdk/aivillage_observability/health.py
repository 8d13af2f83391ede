"""Runs a service's own health checks and tells the console what they found.

    health = HealthReporter("hyperrag", depends_on=["neo4j"])
    health.register_health_check("index", lambda: {"status": "healthy", "details": "12 segments"})
    health.start()

A check may be a function or a coroutine function; it answers with a bool, a status or {"status", "details"}. Every
check has a thread and a time-out of its own, so a slow one delays neither the others nor the service.
"""

import asyncio
import gzip
import inspect
import json
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aivillage_observability.observability import DEFAULT_URL
from aivillage_observability.rows import Batch
from aivillage_observability.transport import Connection, Sender

PATH = "/api/v1/ingest/health-results"
STATUSES = frozenset({"healthy", "degraded", "unhealthy", "unknown"})
INTERVAL_SECONDS, TIMEOUT_SECONDS = 30.0, 5.0
TURN_SECONDS = 0.2
MOST_WAITING, MOST_CHECKS = 1_000, 100
MESSAGE_CHARS = 300
Answer = bool | str | Mapping[str, object]
Func = Callable[[], Answer | Awaitable[Answer]]


@dataclass(slots=True)
class _Registered:
    name: str
    func: Func
    interval_seconds: float
    timeout_seconds: float
    next_at: float = 0.0
    run: "_Run | None" = None


@dataclass(slots=True)
class _Run:
    began: float
    answer: list[tuple[str, str]] = field(default_factory=list)
    ended: float = 0.0
    told: bool = False


def read_answer(answer: object) -> tuple[str, str]:
    """Return status and message of what a check answered; what cannot be understood is unhealthy."""
    if isinstance(answer, bool):
        return ("healthy" if answer else "unhealthy"), ""
    if isinstance(answer, str):
        known = answer.strip().lower()
        return (known, "") if known in STATUSES else ("unhealthy", answer[:MESSAGE_CHARS])
    if isinstance(answer, Mapping):
        said = answer.get("status")
        status, message = read_answer(said) if isinstance(said, bool | str) else ("unhealthy", "")
        return status, str(answer.get("details") or answer.get("message") or message)[:MESSAGE_CHARS]
    return "unhealthy", f"the check returned {type(answer).__name__}, expected a bool, a status or a mapping"


class HealthReporter:
    """A service's checks; address and token default to AIVILLAGE_CONSOLE_URL and AIVILLAGE_CONSOLE_TOKEN."""

    def __init__(
        self,
        service_name: str,
        *,
        console_url: str | None = None,
        token: str | None = None,
        interval_seconds: float = INTERVAL_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
        kind: str = "service",
        owner: str = "",
        depends_on: Sequence[str] = (),
    ) -> None:
        self.service_name = service_name
        self.dropped = 0
        self._defaults = (interval_seconds, timeout_seconds)
        self._about = {"component": service_name, "kind": kind, "owner": owner, "depends_on": list(depends_on)}
        url = console_url or os.environ.get("AIVILLAGE_CONSOLE_URL", DEFAULT_URL)
        key = token or os.environ.get("AIVILLAGE_CONSOLE_TOKEN", "")
        self._sender = Sender(Connection(url, key, PATH), spool=None, memory_rows=MOST_WAITING, on_dropped=self._lost)
        self._checks: dict[str, _Registered] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run_forever, name="aivillage-health", daemon=True)

    def register_health_check(
        self, name: str, func: Func, *, interval_seconds: float | None = None, timeout_seconds: float | None = None
    ) -> None:
        """Run a check from now on; the same name again replaces it."""
        every, limit = self._defaults
        made = _Registered(name, func, interval_seconds or every, timeout_seconds or limit)
        with self._lock:
            if name not in self._checks and len(self._checks) >= MOST_CHECKS:
                raise ValueError(f"at most {MOST_CHECKS} checks are run for a service")
            self._checks[name] = made

    def start(self) -> None:
        """Begin to run and tell; calling it twice changes nothing."""
        if not self._thread.is_alive() and not self._stopping.is_set():
            self._sender.start()
            self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """End; what was found and not yet told is tried once more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        self._sender.stop(timeout_seconds)

    @property
    def delivery(self) -> Mapping[str, int]:
        """How many batches were delivered, refused, or had to wait, so far."""
        return dict(self._sender.counts)

    def _lost(self, _reason: str, rows: int) -> None:
        self.dropped += rows

    def _run_forever(self) -> None:
        while not self._stopping.wait(TURN_SECONDS):
            with self._lock:
                checks = list(self._checks.values())
            rows = [row for check in checks for row in self._turn(check, time.monotonic())]
            if rows:
                body = gzip.compress(json.dumps({"batch_id": (key := uuid.uuid4().hex), "rows": rows}).encode(), 1)
                self._sender.put(Batch(key, len(rows), body))

    def _turn(self, check: _Registered, now: float) -> list[dict[str, Any]]:
        """Start what is due, and return what ended or took too long."""
        run = check.run
        if run is None:
            if now >= check.next_at:
                check.next_at, check.run = now + check.interval_seconds, _Run(now)
                threading.Thread(target=_ask, args=(check.func, check.run, check.timeout_seconds),
                                 name=f"aivillage-check-{check.name}", daemon=True).start()  # fmt: skip
            return []
        if run.ended:
            check.run = None
            # What was already told as too late is not told again, and good, when it ends at last.
            return [] if run.told else [self._row(check, *run.answer[0], (run.ended - run.began) * 1000)]
        if not run.told and now - run.began > check.timeout_seconds:
            run.told = True
            return [self._late(check, now - run.began)]
        if run.told and now >= check.next_at:
            check.next_at = now + check.interval_seconds
            return [self._late(check, now - run.began)]
        return []

    def _late(self, check: _Registered, seconds: float) -> dict[str, Any]:
        return self._row(check, "unhealthy", f"no answer within {check.timeout_seconds:g} s", seconds * 1000)

    def _row(self, check: _Registered, status: str, message: str, duration_ms: float) -> dict[str, Any]:
        return {**self._about, "check": check.name, "status": status, "message": message,
                "duration_ms": round(duration_ms, 3), "at_ms": time.time_ns() // 1_000_000}  # fmt: skip


def _ask(func: Func, run: _Run, timeout_seconds: float) -> None:
    try:
        answer = func()
        if inspect.isawaitable(answer):
            answer = asyncio.run(_bounded(answer, timeout_seconds))
        found = read_answer(answer)
    except Exception as error:  # noqa: BLE001 - a check is the host's own code and may raise anything at all
        found = "unhealthy", f"{type(error).__name__}: {error}"[:MESSAGE_CHARS]
    run.answer.append(found)
    run.ended = time.monotonic()


async def _bounded(answer: Awaitable[Answer], timeout_seconds: float) -> Answer:
    async with asyncio.timeout(timeout_seconds):
        return await answer
