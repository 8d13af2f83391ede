"""Sends what is owed: claim, send with no transaction open, finish under the fence.

One thread talks to PostgreSQL, up to sixteen to receivers. A row is claimed only when a slot is free, and a channel
holds at most four slots of all processes together, counted in the table, so a dead receiver delays nobody else's.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from time import monotonic

from aivillage_console.lib import clock
from alerts.channels import CHANNELS, ChannelError, Letter, Sent
from alerts.measures import WORK
from alerts.models import Channel, Notification
from alerts.services import claims, outcomes
from alerts.services.letters import letter_of

SLOTS = 16
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Try:
    """How one try to send ended."""

    sent: Sent | None
    error: ChannelError | None
    duration_ms: int


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(SLOTS, thread_name_prefix="send")


# Slots belong to the process, however many tasks of it dispatch at once.
_free = threading.BoundedSemaphore(SLOTS)


def _send(channel_type: str, letter: Letter) -> Try:
    began = monotonic()
    sent, error = None, None
    try:
        sent = CHANNELS[channel_type].send(letter)
    except ChannelError as failure:
        error = failure
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as failure:
        # A channel's mistake must not take its neighbours' slots with it.
        error = ChannelError(f"{type(failure).__name__}: {failure}", permanent=False, maybe_delivered=True)
    return Try(sent, error, round((monotonic() - began) * 1000))


def _take_slots() -> int:
    taken = 0
    while taken < SLOTS and _free.acquire(blocking=False):
        taken += 1
    return taken


def _give_back(count: int) -> None:
    for _ in range(count):
        _free.release()


def dispatch_due(
    *, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20, late_seconds: float = 0
) -> bool:
    """Send due messages for at most so many seconds; return whether rows may remain."""
    ends_at = monotonic() + deadline_seconds
    flying: dict[Future[Try], Notification] = {}
    try:
        while monotonic() < ends_at:
            started = _start(flying, read_clock(), hand, late_seconds)
            if not flying:
                return False
            if not started:
                _land(flying, hand, read_clock, seconds=0.05)
            else:
                _land(flying, hand, read_clock, seconds=0)
    finally:
        while flying:
            _land(flying, hand, read_clock, seconds=5)
    return True


def _start(flying: dict[Future[Try], Notification], now: datetime, hand: str, late_seconds: float) -> int:
    free = _take_slots()
    rows: list[Notification] = []
    started = 0
    try:
        rows = claims.claim(now, free, late_seconds=late_seconds) if free else []
        for row in rows:
            channel = row.channel
            letter = letter_of(row, now) if channel else None
            if channel is None or letter is None:
                continue
            future = _pool().submit(_send, channel.type, letter)
            future.add_done_callback(lambda _: _free.release())
            flying[future] = row
            started += 1
            WORK.labels(kind="dispatch", hand=hand).inc()
    finally:
        _give_back(free - started)
    return len(rows)


def _land(flying: dict[Future[Try], Notification], hand: str, read_clock: Clock, *, seconds: float) -> None:
    done, _ = wait(flying, timeout=seconds, return_when=FIRST_COMPLETED)
    for future in done:
        row, attempt = flying.pop(future), future.result()
        now = read_clock()
        if attempt.sent is not None:
            outcomes.delivered(row, attempt.sent, attempt.duration_ms, now=now, hand=hand)
        elif attempt.error is not None:
            jitter = random.random()  # noqa: S311 (spreads retries, guards nothing)
            outcomes.not_delivered(row, attempt.error, attempt.duration_ms, now=now, hand=hand, jitter=jitter)


def channel_slots_in_use(channel: Channel, now: datetime) -> int:
    """Return how many messages to a channel are in flight in all processes."""
    return claims.leased(now).filter(channel=channel).count()
