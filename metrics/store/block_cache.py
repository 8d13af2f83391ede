"""Opened blocks of this process; blocks never change, so none is ever stale."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What says how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        ...


Block = TypeVar("Block", bound=Sized)


class BlockCache(Generic[Block]):
    """A cache with a bound in bytes, and in time: a block that was packed into another one is never asked for again."""

    def __init__(self, *, max_bytes: int, idle_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty; a block nobody asked for within `idle_seconds` is dropped."""
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._bytes = 0
        # With its size and when it was last asked for, the longest ago first.
        self._blocks: OrderedDict[Hashable, tuple[Block, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return self._bytes

    def get(self, key: Hashable) -> Block | None:
        """Return the block if it is here."""
        with self._lock:
            found = self._blocks.get(key)
            if found is None:
                return None
            self._blocks[key] = *found[:2], self._clock()
            self._blocks.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, block: Block) -> None:
        """Keep a block, dropping the oldest ones beyond the bounds."""
        size, now = block.nbytes, self._clock()
        with self._lock:
            if key in self._blocks or size > self._max_bytes // 4:
                return
            self._blocks[key] = block, size, now
            self._bytes += size
            idle_before = now - self._idle_seconds
            while self._bytes > self._max_bytes or next(iter(self._blocks.values()))[2] < idle_before:
                _, (_, dropped, _) = self._blocks.popitem(last=False)
                self._bytes -= dropped

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._blocks.clear()
            self._bytes = 0
