"""Opened blocks of this process; blocks never change, so none is ever stale."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What says how much memory it holds."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        ...


Block = TypeVar("Block", bound=Sized)


class BlockCache(Generic[Block]):
    """A cache with a bound in bytes."""

    def __init__(self, *, max_bytes: int) -> None:
        """Start empty."""
        self._max_bytes = max_bytes
        self._bytes = 0
        self._blocks: OrderedDict[Hashable, tuple[Block, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Block | None:
        """Return the block if it is here."""
        with self._lock:
            found = self._blocks.get(key)
            if found is None:
                return None
            self._blocks.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, block: Block) -> None:
        """Keep a block, dropping the oldest ones beyond the bound."""
        size = block.nbytes
        with self._lock:
            if key in self._blocks or size > self._max_bytes // 4:
                return
            self._blocks[key] = block, size
            self._bytes += size
            while self._bytes > self._max_bytes:
                _, (_, dropped) = self._blocks.popitem(last=False)
                self._bytes -= dropped

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._blocks.clear()
            self._bytes = 0
