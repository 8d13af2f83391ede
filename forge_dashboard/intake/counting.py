"""Tells the counters of transitions, each once: what they were told is kept beside the phase."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from forge_dashboard import catalogue, measures
from forge_dashboard.models import PhaseRun, Run

Tell = Callable[[], None]
# What ended long ago, such as an imported run, is marked as told: a counter speaks of now.
RECENT = timedelta(hours=1)


def tellings(run: Run, phases: Sequence[PhaseRun], now: datetime) -> list[Tell]:
    """Return what the counters are to be told once the transaction has committed."""
    return [tell for row in phases for tell in _of_phase(run, row, now)]


def _of_phase(run: Run, row: PhaseRun, now: datetime) -> list[Tell]:
    known = row.counted
    over = [one for one in row.attempts if one["state"] in catalogue.TERMINAL]
    ended = Counter(one["state"] for one in over)
    took = [seconds for one in over if (seconds := _seconds(one)) is not None]
    ratios = catalogue.compression_ratios(row.phase, row.metrics)
    recent = row.ended_at is None or now - row.ended_at < RECENT
    tells: list[Tell] = []
    for status, count in ended.items():
        fresh = count - known.get("ended", {}).get(status, 0)
        tells += [partial(measures.phase_ended, row.phase, status, run.model_size)] * max(0, fresh)
    tells += [partial(measures.phase_took, row.phase, run.model_size, one) for one in took[known.get("took", 0) :]]
    for kind, ratio in ratios.items():
        if known.get("ratios", {}).get(kind) != ratio:
            tells.append(partial(measures.compressed, run.model, kind, ratio))
    told = {status: max(count, ended[status]) for status, count in known.get("ended", {}).items()}
    row.counted = {
        "ended": {**dict(ended), **told}, "took": max(len(took), known.get("took", 0)), "ratios": ratios,
    }  # fmt: skip
    return tells if recent else []


def _seconds(attempt: dict[str, str]) -> float | None:
    if "started_at" not in attempt or "ended_at" not in attempt:
        return None
    start, end = (datetime.fromisoformat(attempt[name]) for name in ("started_at", "ended_at"))
    return max(0.0, (end - start).total_seconds())
