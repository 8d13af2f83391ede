"""Samples that are pushed again and again, as whoever measures pushes them, to one product or to several."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx

from bench.remote_write import Labels, history

PUSH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where samples are pushed to."""

    url: str
    token: str = ""

    def push(self, body: bytes) -> bool:
        """Push a request; tell whether it was taken."""
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                   **({"Authorization": f"Bearer {self.token}"} if self.token else {})}  # fmt: skip
        with suppress(httpx.HTTPError):
            return httpx.post(
                f"{self.url}/api/v1/write", content=body, headers=headers, timeout=PUSH_SECONDS
            ).is_success
        return False


@dataclass
class Pushed:
    """What every series has now; pushing sends all of it with one time to all doors."""

    doors: Sequence[Door]
    refused: int = 0
    _values: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, labels: Labels, value: float) -> None:
        """Give a series another value; it is sent with the next push."""
        self._values[tuple(sorted(labels.items()))] = value

    def push(self) -> bool:
        """Send everything once with the present time; tell whether all doors took it."""
        with self._lock:
            at_ms = int(time.time() * 1000)
            body = history([(dict(labels), [(at_ms, value)]) for labels, value in list(self._values.items())])
            taken = [door.push(body) for door in self.doors]
        self.refused += taken.count(False)
        return all(taken)

    def push_until_taken(self) -> float:
        """Send everything until all doors have taken it; return when that was."""
        while not self.push():
            time.sleep(0.2)
        return time.time()

    @contextmanager
    def repeating(self, every_seconds: float) -> Iterator[None]:
        """Push at this pace until left."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(every_seconds):
                self.push()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
