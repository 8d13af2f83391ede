"""How long runs and phases of a size usually take, told from the ones that succeeded."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from forge_dashboard.models import PhaseRun, Run
from forge_dashboard.timing import Band, band

EARLIER_PHASES = 1_000
EARLIER_RUNS = 300


@dataclass(frozen=True, slots=True)
class Usual:
    """Bands by model size; a size nobody ran before has none."""

    runs: dict[str, Band]
    phases: dict[tuple[str, str], Band]

    def of_run(self, run: Run) -> Band | None:
        """Return how long runs of this size usually take."""
        return self.runs.get(run.model_size)

    def of_phase(self, run: Run, phase: str) -> Band | None:
        """Return how long this phase usually takes for models of this size."""
        return self.phases.get((run.model_size, phase))


def usual_runs(sizes: Iterable[str]) -> dict[str, Band]:
    """Return the bands of whole runs; one query."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    ended = Run.objects.filter(state="succeeded", model_size__in=set(sizes), duration_seconds__isnull=False)
    for size, seconds in ended.order_by("-ended_at").values_list("model_size", "duration_seconds")[:EARLIER_RUNS]:
        found[size].append(seconds or 0.0)
    return {size: known for size, seconds in found.items() if (known := band(seconds))}


def usual_phases(size: str, without: Run | None = None) -> dict[tuple[str, str], Band]:
    """Return the bands of the phases of runs of one size; one query."""
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    ended = PhaseRun.objects.filter(state="succeeded", run__model_size=size, duration_seconds__isnull=False)
    if without is not None:
        ended = ended.exclude(run=without)
        if without.ended_at is not None:
            # What ran afterwards was not known then, so it says nothing about this run.
            ended = ended.filter(ended_at__lte=without.ended_at)
    for phase, seconds in ended.order_by("-ended_at").values_list("phase", "duration_seconds")[:EARLIER_PHASES]:
        found[size, phase].append(seconds or 0.0)
    return {key: known for key, seconds in found.items() if (known := band(seconds))}
