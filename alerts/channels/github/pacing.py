"""How closely this process calls GitHub: at most five requests at once, and begun a tenth of a second apart."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from alerts.channels.message import ChannelError

PARALLEL = 5
APART_SECONDS = 0.1

_parallel = threading.BoundedSemaphore(PARALLEL)
_turn = threading.Lock()
_next_at = [0.0]


@contextmanager
def paced(longest_seconds: float) -> Iterator[None]:
    """Wait for a place and for one's turn, for at most so long."""
    if not _parallel.acquire(timeout=max(0.0, longest_seconds)):
        raise ChannelError("other messages to GitHub took all the time", permanent=False)
    try:
        with _turn:
            began = max(time.monotonic(), _next_at[0])
            _next_at[0] = began + APART_SECONDS
        time.sleep(max(0.0, began - time.monotonic()))
        yield
    finally:
        _parallel.release()
