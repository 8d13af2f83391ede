"""`manage.py scrape`: asks targets for their metrics; one process does, a second one waits."""

import argparse
import asyncio
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection

from metrics.scrape.lock import lock_held, lock_released
from metrics.scrape.scraper import Scraper

POLL_SECONDS = 5.0


class _Running(threading.Thread):
    """The event loop of the scraper; the thread beside it watches over the lock."""

    def __init__(self) -> None:
        super().__init__(name="scraper")
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()

    def run(self) -> None:
        """Scrape until told to stop."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(Scraper().run(self._done))

    def stop(self) -> None:
        """Stop, and return when what was scraped is stored."""
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
        self.join()


class Command(BaseCommand):
    """Scrape while holding the lock; wait for it while another process has it."""

    help = "Scrape the targets of all pools."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stopping = threading.Event()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add `--seconds`."""
        parser.add_argument("--seconds", type=float, default=0.0, help="End after so long; 0: never.")

    def handle(self, *_args: Any, seconds: float = 0.0, **_options: Any) -> None:
        """Run until a signal comes or the time is over."""
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        signal.signal(signal.SIGINT, lambda *_: self.stopping.set())
        ends_at = time.monotonic() + seconds if seconds else float("inf")
        running: _Running | None = None
        while not self.stopping.is_set() and time.monotonic() < ends_at:
            running = self._watched(running)
            self.stopping.wait(min(POLL_SECONDS, max(0.0, ends_at - time.monotonic())))
        if running is not None:
            running.stop()
            lock_released()

    def _watched(self, running: _Running | None) -> _Running | None:
        """Return the scraper if this process is to scrape; one that runs goes on while the database is away."""
        try:
            held = lock_held()
        except (OperationalError, InterfaceError) as error:
            self.stderr.write(f"scraper: the database is away ({error.__class__.__name__}), trying again")
            connection.close()
            return running
        if running is not None and not (held and running.is_alive()):
            running.stop()
            running = None
        if held and running is None:
            running = _Running()
            running.start()
        return running
