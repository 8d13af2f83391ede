"""Innocent visitors of the demo service, at a bounded rate for a bounded time.

python -m demo.load --port N --rate 8 --seconds 300
"""

import argparse
import contextlib
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from demo.children import say, tied_to_parent
from demo.visitors import Line, Visit, innocent

WORKERS = 12
MOST_PER_SECOND, MOST_SECONDS = 50.0, 1800.0


class Load:
    """A few threads with a connection each; who finds none free waits no longer than the next turn."""

    def __init__(self, port: int) -> None:
        self.statuses: Counter[int] = Counter()
        self._port, self._own = port, threading.local()
        self._free = threading.Semaphore(WORKERS)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="visitor")

    def run(self, rate: float, seconds: float, dice: random.Random) -> None:
        """Send for some seconds."""
        visits, pause = innocent(dice), 1 / min(rate, MOST_PER_SECOND)
        ends_at = time.monotonic() + min(seconds, MOST_SECONDS)
        with self._pool:
            while time.monotonic() < ends_at:
                if self._free.acquire(timeout=pause):
                    self._pool.submit(self._visit, next(visits))
                time.sleep(pause * dice.uniform(0.7, 1.3))

    def _visit(self, visit: Visit) -> None:
        try:
            line = getattr(self._own, "line", None) or Line(self._port)
            self._own.line = line
            self.statuses[line.send(visit)] += 1
        finally:
            self._free.release()


def main() -> int:
    """Send until the time is over or the parent is gone, and say what came back."""
    parser = argparse.ArgumentParser(prog="python -m demo.load")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=8.0)
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    tied_to_parent()
    load = Load(arguments.port)
    with contextlib.suppress(KeyboardInterrupt):
        load.run(arguments.rate, arguments.seconds, random.Random(1))  # noqa: S311 (traffic, not a secret)
    with contextlib.suppress(BrokenPipeError):
        say(statuses={str(status): count for status, count in sorted(load.statuses.items())})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
