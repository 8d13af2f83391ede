"""Which tests change their mind: how each ended in the last runs, a sign a run, and how often that flipped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from alerts.engine.testruns.outcomes import Outcome

RUNS_KEPT = 100
LEAST_RUNS = 10
MOST_SHOWN = 50
MOST_MODULES_SHOWN = 10
ABSENT = "."
SIGNS = {
    Outcome.PASSED: "p", Outcome.XPASSED: "p", Outcome.FAILED: "f", Outcome.ERROR: "f", Outcome.XPASSED_STRICT: "f",
    Outcome.COLLECTION_ERROR: "f",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flipping:
    """One test and how often it changed between passing and failing."""

    name: str
    flips: int
    runs: int

    @property
    def share(self) -> float:
        """Return the flips for each pair of runs that follow each other."""
        return self.flips / (self.runs - 1)


def histories_after(histories: Mapping[str, str], outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Return every test's signs with those of one more run; a test that is gone from all kept runs is forgotten."""
    longest = max(map(len, histories.values()), default=0)
    after = {}
    for name in histories.keys() | outcomes.keys():
        sign = SIGNS.get(outcomes[name], ABSENT) if name in outcomes else ABSENT
        signs = (histories.get(name, "").rjust(longest, ABSENT) + sign)[-RUNS_KEPT:]
        if signs.strip(ABSENT):
            after[name] = signs
    return after


def flipping(histories: Mapping[str, str]) -> list[Flipping]:
    """Return the tests that flipped and ran often enough to say so, the worst first."""
    found = []
    for name, signs in histories.items():
        tried = signs.replace(ABSENT, "")
        flips = sum(before != after for before, after in pairwise(tried))
        if flips and len(tried) >= LEAST_RUNS:
            found.append(Flipping(name, flips, len(tried)))
    return sorted(found, key=lambda one: (-one.share, one.name))[:MOST_SHOWN]


def varying(runs: Sequence[Mapping[str, float | None]]) -> list[tuple[str, float]]:
    """Return the modules whose success rates vary most by their coefficient of variation, for want of single tests."""
    if len(runs) < LEAST_RUNS:
        return []
    found = []
    for name in {name for run in runs for name in run}:
        rates = [rate for run in runs if (rate := run.get(name)) is not None]
        mean = sum(rates) / len(rates) if rates else 0.0
        if len(rates) >= LEAST_RUNS and 0 < mean < 100:
            spread = sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates))
            found.append((name, spread / mean))
    return sorted(found, key=lambda one: (-one[1], one[0]))[:MOST_MODULES_SHOWN]
