"""The console's clock for requests that come thousands a second: read twice a second, carried on in between."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from aivillage_console.lib import clock

READ_EVERY_SECONDS = 0.5


class ArrivalClock:
    """One reading of the clock and the monotonic time at which it was made."""

    def __init__(self, read: Callable[[], datetime] = clock.now) -> None:
        """Read nothing yet."""
        self._read = read
        self._last: tuple[datetime, float] | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the console's time, at most half a second behind a change of its offset."""
        last, seconds = self._last, time.monotonic()
        if last is None or seconds - last[1] > READ_EVERY_SECONDS:
            at = self._read()
            with self._lock:
                last = self._last = (at, time.monotonic())
        return last[0] + timedelta(seconds=max(0.0, time.monotonic() - last[1]))

    def forget(self) -> None:
        """Read again at the next request."""
        self._last = None


ARRIVAL = ArrivalClock()
