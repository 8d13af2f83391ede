"""What is said of classic histograms whose counts had to be made to rise."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from metrics.native_histograms.text import general
from metrics.promql.annotations import Note
from metrics.promql.frames import Frame
from metrics.promql.histograms.buckets import Histograms
from metrics.promql.histograms.kernels import histogram_falls
from metrics.promql.labels import NAME
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
    fell = np.tile([np.inf, -np.inf, 0.0], (len(held.labels), 1))
    histogram_falls(vector.values, vector.present, held.starts, held.members, held.bounds, forced, fell)
    for group in np.flatnonzero(forced.any(axis=1)).tolist():
        falls = found.setdefault(held.labels[group].get(NAME, ""), Falls())
        first, last, largest = fell[group].tolist()
        falls.first_bound, falls.last_bound = min(falls.first_bound, first), max(falls.last_bound, last)
        falls.largest = max(falls.largest, largest)
        steps = np.flatnonzero(forced[group])
        falls.times += steps.size
        begin, end = (frame.grid.start_ms + int(step) * frame.grid.step_ms for step in (steps[0], steps[-1]))
        falls.first_ms, falls.last_ms = min(falls.first_ms, begin), max(falls.last_ms, end)
    for name, falls in found.items():
        frame.notes.infos[FORCED + for_metric(name)] = Note(place, falls.detail())
