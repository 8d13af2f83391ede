"""Counts that cost a pass over all series are kept for a while; one thread counts, the others wait for it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from aivillage_console.lib import clock
from metrics.store.inventory import TooSlow

KEPT_SECONDS = 30.0
MOST_KEPT = 128


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What was counted and when; `is_stale` where counting again took too long."""

    value: T
    at: datetime
    is_stale: bool = False


_lock = threading.RLock()
_kept: "OrderedDict[Hashable, tuple[float, Look[Any] | None]]" = OrderedDict()


def forget_counts() -> None:
    """Count anew at the next question."""
    with _lock:
        _kept.clear()


def held(key: Hashable, count: Callable[[], T]) -> Look[T] | None:
    """Return what was counted within the last half minute, else count; None where that never ended in time."""
    with _lock:
        made_at_seconds, look = _kept.get(key, (float("-inf"), None))
        if time.monotonic() - made_at_seconds < KEPT_SECONDS:
            return look
        try:
            look = Look(count(), clock.now())
        except TooSlow:
            # Kept as well, and not asked again for a while: nobody gains from everybody waiting.
            look = None if look is None else Look(look.value, look.at, is_stale=True)
        _kept[key] = time.monotonic(), look
        _kept.move_to_end(key)
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
        return look
