"""The load of the soak: counters and gauges by remote write at a steady pace, while some series end and others begin.

Every body has new times, no time is used twice, and what was acknowledged is counted by the minute its times fall into,
so that it can be asked for afterwards. A request that was refused or not answered is sent again, as a sender does.
"""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.remote_write import Labels, Target, Template

SERIES = 10_000
REQUEST_SAMPLES = 2_000
SAMPLES_PER_SECOND = 50_000
STEP_MS = SERIES * 1_000 // SAMPLES_PER_SECOND
MINUTE_MS = 60_000
CHURN_SECONDS = 60.0
CHURNED_OF = 500
CONNECTIONS = 2
RETRY_SECONDS = 1.0
METRIC_SERIES = 500
Floats = npt.NDArray[np.float64]


def named(number: int, generation: int) -> Labels:
    """Return the labels of one series: of each thousand, half are a counter's and half a gauge's."""
    metric, within = divmod(number, METRIC_SERIES)
    name = f"soak_requests_{metric}_total" if metric % 2 == 0 else f"soak_level_{metric}"
    labels = {
        "__name__": name, "job": "soak", "instance": f"host-{within // 10:03d}.example.org:9100",
        "handler": f"/api/v1/things/{within % 10}", "pod": f"pod-{number}-{generation}",
    }  # fmt: skip
    # The last series of each request says how far a query sees.
    return {**labels, "newest": "yes"} if number % REQUEST_SAMPLES == REQUEST_SAMPLES - 1 else labels


class Values:
    """The present value of some series: counters that rise, random walks of two decimals, and one constant in ten."""

    def __init__(self, first: int, count: int) -> None:
        """Begin somewhere."""
        numbers = np.arange(first, first + count)
        self._random = np.random.default_rng(first)
        self._rises = numbers // METRIC_SERIES % 2 == 0
        self._walks = ~self._rises & (numbers % 10 != 0)
        self._rates = self._random.integers(1, 40, count)
        self.now: Floats = np.where(self._rises, 0.0, np.round(self._random.uniform(10, 1_000, count), 2))

    def step(self) -> Floats:
        """Return the next value of each."""
        rises = self._random.integers(0, self._rates + 1)
        walks = np.round(self.now + self._random.normal(0, 0.3, self.now.size), 2)
        self.now = np.where(self._rises, self.now + rises, np.where(self._walks, walks, self.now))
        return self.now

    def restart(self, places: list[int]) -> None:
        """Begin these counters from zero."""
        self.now[places] = np.where(self._rises[places], 0.0, self.now[places])


@dataclass
class Counts:
    """What was offered, taken and refused so far; `by_minute` is what was taken, by the minute its times end in."""

    offered: int = 0
    acknowledged: int = 0
    refused: int = 0
    churned: int = 0
    latest_ms: int = 0
    by_minute: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


class Slice:
    """The series of one request, step by step."""

    def __init__(self, first: int) -> None:
        """Name them."""
        self._first = first
        self._series = [named(first + place, 0) for place in range(REQUEST_SAMPLES)]
        self._values = Values(first, REQUEST_SAMPLES)
        self._template = Template(self._series)

    def body(self, time_ms: int) -> bytes:
        """Return the next request."""
        return self._template.body(time_ms, self._values.step())

    def churn(self, generation: int) -> int:
        """End one series in so many, and begin another in its place; returns how many."""
        places = list(range(generation % (CHURNED_OF - 1), REQUEST_SAMPLES, CHURNED_OF))
        for place in places:
            self._series[place] = named(self._first + place, generation)
        self._values.restart(places)
        self._template = Template(self._series)
        return len(places)


class Load:
    """Threads that send at the pace until told to stop; each has its own series and connection."""

    def __init__(self, target: Target) -> None:
        """Build the first requests."""
        self._slices = [Slice(first) for first in range(0, SERIES, REQUEST_SAMPLES)]
        self._target = target
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.counts = Counts()
        self.failure = ""
        self._threads = [
            threading.Thread(target=self._run, args=(self._slices[number::CONNECTIONS],))
            for number in range(CONNECTIONS)
        ]

    def prime(self) -> None:
        """Send the first sample of each series."""
        connection = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=120)
        time_ms = int(time.time() * 1000)
        for one in self._slices:
            self._deliver(connection, one.body(time_ms), time_ms)
        connection.close()

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after what is on its way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, slices: list[Slice]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=30)
        begun_at = time.time()
        begun_ms, step, generation = int(begun_at * 1000), 0, 0
        while not self._stop.is_set():
            if step * STEP_MS > (generation + 1) * CHURN_SECONDS * 1000:
                generation += 1
                churned = sum(one.churn(generation) for one in slices)
                with self._lock:
                    self.counts.churned += churned
            for number, one in enumerate(slices):
                due = begun_at + (step + number / len(slices)) * STEP_MS / 1000
                if self._stop.wait(max(0.0, due - time.time())):
                    break
                time_ms = begun_ms + step * STEP_MS
                self._deliver(connection, one.body(time_ms), time_ms)
            step += 1
        connection.close()

    def _deliver(self, connection: http.client.HTTPConnection, body: bytes, time_ms: int) -> None:
        with self._lock:
            self.counts.offered += REQUEST_SAMPLES
        while problem := self._try(connection, body):
            with self._lock:
                self.counts.refused += 1
                self.counts.reasons[problem] += 1
            if self._stop.wait(RETRY_SECONDS):
                return
        with self._lock:
            self.counts.acknowledged += REQUEST_SAMPLES
            self.counts.by_minute[-(-time_ms // MINUTE_MS)] += REQUEST_SAMPLES
            self.counts.latest_ms = max(self.counts.latest_ms, time_ms)

    def _try(self, connection: http.client.HTTPConnection, body: bytes) -> str:
        """Send once; returns what was wrong, nothing where it was taken."""
        headers = {
            "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0", "Authorization": f"Bearer {self._target.token}",
        }  # fmt: skip
        try:
            connection.request("POST", self._target.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__
        return "" if answer.status < 300 else f"{answer.status} {text[:120].decode(errors='replace')}"
