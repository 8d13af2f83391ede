"""Does a thing at once, and then not again for a while: what is asked for meanwhile is done together at its end."""

import threading
import time
from collections.abc import Callable, Iterable


class Paced:
    """Calls `do` with items, each once, at most every so many seconds; only a busy process ever waits."""

    def __init__(self, do: Callable[[list[str]], object], *, every_seconds: float) -> None:
        self._do, self._every_seconds = do, every_seconds
        self._lock = threading.Lock()
        self._waiting: dict[str, None] = {}
        self._timer: threading.Timer | None = None
        self._ready_at = 0.0

    def __call__(self, items: Iterable[str]) -> None:
        """Do these now, or with the next ones."""
        with self._lock:
            self._waiting.update(dict.fromkeys(items))
            if self._timer is not None:
                return
            wait_seconds = self._ready_at - time.monotonic()
            if wait_seconds > 0:
                self._timer = threading.Timer(wait_seconds, self._flush)
                self._timer.start()
                return
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            items = list(self._waiting)
            self._waiting.clear()
            self._timer, self._ready_at = None, time.monotonic() + self._every_seconds
        if items:
            self._do(items)
