"""What is said of classic histograms whose counts had to be made to rise."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from metrics.native_histograms.text import general
from metrics.promql.annotations import Note
from metrics.promql.frames import Frame
from metrics.promql.histograms.buckets import Histograms
from metrics.promql.histograms.kernels import gathered, nearly_equal
from metrics.promql.labels import NAME
from metrics.promql.native.cells import places
from metrics.promql.native.notes import for_metric
from metrics.promql.nodes import Call, Place
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools

FORCED = (
    "input to histogram_quantile needed to be fixed for monotonicity "
    "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
)


@dataclass(slots=True)
class Falls:
    """Where counts of one metric fell: between which bounds, by how much at most, how often and when."""

    first_bound: float = np.inf
    last_bound: float = -np.inf
    largest: float = 0.0
    times: int = 0
    first_ms: int = 2**62
    last_ms: int = -(2**62)

    def detail(self) -> str:
        """Say it as Prometheus does."""
        begin, end = (_moment(instant) for instant in (self.first_ms, self.last_ms))
        bounds = f"from buckets {general(self.first_bound)} to {general(self.last_bound)}"
        return f", {bounds}, with a max diff of {self.largest:.2g}, over {self.times} samples from {begin} to {end}"


def _moment(instant_ms: int) -> str:
    try:
        return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(instant_ms / 1000)


def tell_forced(frame: Frame[Call], held: Histograms, vector: VectorValue, forced: Bools, place: Place) -> None:
    """Inform about each metric some of whose counts fell."""
    found: dict[str, Falls] = {}
    room = np.empty((2, held.members.size))
    for group, step in places(forced):
        span = slice(int(held.starts[group]), int(held.starts[group + 1]))
        rows, bounds = held.members[span], held.bounds[span]
        size = gathered(vector.values, vector.present, rows, bounds, step, room[0], room[1])
        falls = found.setdefault(held.labels[group].get(NAME, ""), Falls())
        _count_falls(falls, room[0, :size].tolist(), room[1, :size].tolist())
        instant = frame.grid.start_ms + step * frame.grid.step_ms
        falls.times += 1
        falls.first_ms, falls.last_ms = min(falls.first_ms, instant), max(falls.last_ms, instant)
    for name, falls in found.items():
        frame.notes.infos[FORCED + for_metric(name)] = Note(place, falls.detail())


def _count_falls(falls: Falls, bounds: list[float], counts: list[float]) -> None:
    before = counts[0]
    for bound, count in zip(bounds[1:], counts[1:], strict=True):
        if count == before or nearly_equal(before, count):
            continue
        if count < before:
            falls.first_bound, falls.last_bound = min(falls.first_bound, bound), max(falls.last_bound, bound)
            falls.largest = max(falls.largest, before - count)
            continue
        before = count
