"""Runs the checks that are due: claim, ask with no transaction open, write under the fence.

One thread talks to PostgreSQL, up to eight ask. A row is claimed only when a slot is free, so a slow check holds one
slot and delays nobody. Every probe bounds its own waits; what does not end all the same is written down as unhealthy
when its time is over, and is not asked again before it has ended.
"""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from time import monotonic

from django.db import close_old_connections, connection, transaction
from django.db.models import QuerySet

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import clock, outbox
from aivillage_console.lib.sealing import CannotUnseal
from alerts.measures import WORK
from health.intake.results import Found, component_seen, result_store
from health.models import LONGEST_TIMEOUT_SECONDS, Check, CheckKind
from health.probes import PROBES
from health.probes.results import DETAIL_CHARS, Question, Result, Unanswered
from health.scoring import grade
from health.services.tending import tend

SLOTS = 8
LEASE_SECONDS = LONGEST_TIMEOUT_SECONDS + 10
SPARE_SECONDS = 1.0
Clock = Callable[[], datetime]


class NotPossible(Exception):
    """The check cannot be run now; the text says why."""


@dataclass(slots=True)
class Flight:
    """A check on its way."""

    check: Check
    began: float
    started_at: datetime


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(SLOTS, thread_name_prefix="check")


# Slots belong to the process, however many tasks of it run checks at once.
_free = threading.BoundedSemaphore(SLOTS)
_hanging: set[uuid.UUID] = set()


def runnable() -> QuerySet[Check]:
    """Return the checks that the console runs itself."""
    return Check.objects.filter(enabled=True).exclude(kind=CheckKind.REPORTED)


def _ask(kind: str, question: Question) -> Result:
    close_old_connections()
    began = monotonic()
    try:
        result = PROBES[kind].ask(question)
    except Unanswered as reason:
        result = Result("unhealthy", str(reason)[:DETAIL_CHARS])
    finally:
        # A pool of threads must not keep one connection each for the few checks that use the database.
        connection.close()
    took = (monotonic() - began) * 1000
    return Result(result.status, result.detail, took if result.duration_ms is None else result.duration_ms)


def graded(check: Check, result: Result) -> Result:
    """Return the result with the time it took taken into account: a good answer that came late is no good answer."""
    if result.status not in ("healthy", "degraded") or result.duration_ms is None:
        return result
    by_time = grade(result.duration_ms, degraded_ms=check.degraded_ms, unhealthy_ms=check.unhealthy_ms)
    if by_time == "healthy" or (by_time == "degraded" and result.status == "degraded"):
        return result
    limit = check.unhealthy_ms if by_time == "unhealthy" else check.degraded_ms
    words = f"slow: {result.duration_ms:.0f} ms, more than {limit} ms"
    return Result(by_time, f"{words}; {result.detail}"[:DETAIL_CHARS] if result.detail else words, result.duration_ms)


def check_due(
    *, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20, late_seconds: float = 0
) -> bool:
    """Run due checks for at most so many seconds; return whether rows may remain."""
    ends_at = monotonic() + deadline_seconds
    flying: dict[Future[Result], Flight] = {}
    tend(now=read_clock(), hand=hand)
    try:
        while monotonic() < ends_at:
            started = _start(flying, read_clock(), hand, late_seconds)
            if not flying:
                return False
            _land(flying, read_clock, seconds=0 if started else 0.05)
    finally:
        while flying:
            _land(flying, read_clock, seconds=0.5)
    return True


def _take_slots() -> int:
    taken = 0
    while taken < SLOTS and _free.acquire(blocking=False):
        taken += 1
    return taken


def _give_back(count: int) -> None:
    for _ in range(count):
        _free.release()


def _start(flying: dict[Future[Result], Flight], now: datetime, hand: str, late_seconds: float) -> int:
    free, started, rows = _take_slots(), 0, []
    try:
        before = now - timedelta(seconds=late_seconds)
        rows = outbox.claim(runnable().filter(due_at__lte=before), now=now, limit=free, lease_seconds=LEASE_SECONDS) \
            if free else []  # fmt: skip
        for row in rows:
            future = _submit(row, now)
            WORK.labels(kind="check", hand=hand).inc()
            if future is None:
                continue
            started += 1
            flying[future] = Flight(row, monotonic(), now)
    finally:
        _give_back(free - started)
    return len(rows)


def _submit(check: Check, now: datetime) -> Future[Result] | None:
    """Ask in a thread of the pool, which gives its slot back; None where the answer is known without asking."""
    if check.pk in _hanging:
        _write(check, Result("unhealthy", "its last run has not ended yet"), now, now)
        return None
    try:
        question = Question(check.config, check.unseal(), check.timeout_seconds)
    except CannotUnseal as error:
        _write(check, Result("unknown", str(error)), now, now)
        return None
    _hanging.add(check.pk)
    future = _pool().submit(_ask, check.kind, question)
    future.add_done_callback(lambda _: _ended(check.pk))
    return future


def _ended(check_id: uuid.UUID) -> None:
    _hanging.discard(check_id)
    _free.release()


def _land(flying: dict[Future[Result], Flight], read_clock: Clock, *, seconds: float) -> None:
    done, _ = wait(flying, timeout=seconds, return_when=FIRST_COMPLETED)
    for future in done:
        flight = flying.pop(future)
        _write(flight.check, graded(flight.check, outcome(future)), flight.started_at, read_clock())
    for future, flight in list(flying.items()):
        if monotonic() - flight.began > flight.check.timeout_seconds + SPARE_SECONDS:
            del flying[future]
            words = f"no answer within {flight.check.timeout_seconds:g} s"
            _write(flight.check, Result("unhealthy", words), flight.started_at, read_clock())


def outcome(future: Future[Result]) -> Result:
    """Return what a run found; a mistake in a callable is an unhealthy result, not the end of its neighbours."""
    error = future.exception()
    if error is not None:
        return Result("unhealthy", f"{type(error).__name__}: {error}"[:DETAIL_CHARS])
    return future.result()


def _write(check: Check, result: Result, started_at: datetime, now: datetime) -> bool:
    """Keep a result while the lease holds; a run that lost its lease leaves nothing behind."""
    with transaction.atomic():
        held = outbox.fence(check).select_for_update().first()
        if held is None:
            return False
        changes = result_store(held, Found(now, result.status, result.duration_ms, result.detail))
        ahead = max(started_at + timedelta(seconds=held.interval_seconds), now)
        error = result.detail if result.status == "unhealthy" else ""
        outbox.finish(check, due_at=ahead, last_error=error, attempts=0, **changes)
        if result.status != "unknown":
            component_seen(check.component_id, now) if result.status != "unhealthy" else None
    return True


def check_run_now(*, check_id: uuid.UUID | str, actor: Actor, now: datetime, read_clock: Clock = clock.now) -> Check:
    """Run one check at once and wait for it, at most its own time-out; raises NotPossible."""
    check = Check.objects.get(pk=check_id)
    if check.kind == CheckKind.REPORTED:
        raise NotPossible("The service reports this check itself; the console cannot run it.")
    if not check.enabled:
        raise NotPossible("The check is switched off; switch it on first.")
    with transaction.atomic():
        audit(actor, "check.run", check, now=now, after={"name": check.name})
        held = Check.objects.select_for_update().get(pk=check.pk)
        if held.lease_token is not None and held.due_at > now:
            raise NotPossible("The check is running just now; its result appears in a moment.")
        held.lease_token, held.due_at = uuid.uuid4(), now + timedelta(seconds=LEASE_SECONDS)
        held.save(update_fields=["lease_token", "due_at"])
    if not _free.acquire(blocking=False):
        outbox.fail(held, error="", due_at=now)
        raise NotPossible(f"{SLOTS} checks are running in this process; try again in a moment.")
    future = _submit(held, now)
    if future is None:
        _free.release()
    else:
        flying = {future: Flight(held, monotonic(), now)}
        while flying:
            _land(flying, read_clock, seconds=0.5)
    check.refresh_from_db()
    return check
