"""The six categories of alerts about test runs: runs in, findings out. Runs come oldest first; the last is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from alerts.engine.testruns.canaries import SEVERITY, Canary, Change, change_of

BASELINE_RUNS = 5
LEAST_TREND_RUNS = 5
LEAST_MODULE_TESTS = 3
MODULE_RATE, BAD_MODULE_RATE = 70.0, 50.0
MOST_TESTS_TOLD = 10


class Category(StrEnum):
    """What a finding is about; the values are labels."""

    SUCCESS_RATE = "success_rate"
    PERFORMANCE = "performance"
    MODULE_DEGRADATION = "module_degradation"
    FLAKY_TESTS = "flaky_tests"
    TREND = "trend"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is worth telling."""

    success_rate: float = 95.0
    performance: float = 1.5
    flaky_tests: float = 0.2
    consecutive_failures: int = 3
    trend_runs: int = 10


@dataclass(frozen=True, slots=True)
class Run:
    """What is kept of one run."""

    success_rate: float | None
    tried: int = 0  # How many tests were not skipped.
    duration_seconds: float | None = None
    modules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flips: Sequence[Mapping[str, Any]] = ()  # {"test", "flips", "runs", "share"}, the worst first.
    variation: Sequence[Mapping[str, Any]] = ()  # {"module", "variation"}, where no single tests were told.
    canaries: Mapping[str, str] = field(default_factory=dict)  # Status by the canary's id.

    @property
    def mean_seconds(self) -> float | None:
        """Return how long a test took on average."""
        return self.duration_seconds / self.tried if self.duration_seconds is not None and self.tried else None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the last run."""

    category: Category
    severity: str
    value: float | None
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


def success_rate(runs: Sequence[Run], limits: Limits, _canaries: Sequence[Canary] = ()) -> list[Finding]:
    """Find a rate below its threshold; a run without a rate says nothing."""
    rates = [run.success_rate for run in runs if run.success_rate is not None]
    if not rates or rates[-1] >= limits.success_rate:
        return []
    rate, last = rates[-1], rates[-limits.consecutive_failures :]
    in_a_row = len(last) == limits.consecutive_failures and all(each < limits.success_rate for each in last)
    severity = "critical" if rate < 80 or in_a_row else "high" if rate < 90 else "medium"
    text = f"{rate:.1f} % of the tests pass, less than {limits.success_rate:g} %"
    if in_a_row:
        text += f", as in each of the last {len(last)} runs"
    return [Finding(Category.SUCCESS_RATE, severity, rate, text, evidence={"rates": last, "in_a_row": in_a_row})]


def performance(runs: Sequence[Run], limits: Limits, _canaries: Sequence[Canary] = ()) -> list[Finding]:
    """Find tests that take longer than in the runs before."""
    now = runs[-1].mean_seconds if runs else None
    before = [mean for run in runs[-BASELINE_RUNS - 1 : -1] if (mean := run.mean_seconds) is not None]
    baseline = sum(before) / len(before) if before else 0.0
    if now is None or baseline <= 0 or now <= limits.performance * baseline:
        return []
    factor = now / baseline
    text = f"A test takes {factor:.2f} times as long as in the last {len(before)} runs: {now:.3g} s on average"
    facts = {"slowdown_factor": factor, "mean_seconds": now, "baseline_seconds": baseline, "runs": len(before)}
    return [Finding(Category.PERFORMANCE, "medium", factor, text, evidence=facts)]


def module_degradation(runs: Sequence[Run], _limits: Limits, _canaries: Sequence[Canary] = ()) -> list[Finding]:
    """Find modules of which too few tests pass."""
    found = []
    for name, counts in sorted(runs[-1].modules.items() if runs else ()):
        rate = counts.get("success_rate")
        if rate is None or counts.get("total", 0) < LEAST_MODULE_TESTS or rate >= MODULE_RATE:
            continue
        severity = "high" if rate < BAD_MODULE_RATE else "medium"
        text = f"{rate:.1f} % of the tests of {name} pass, less than {MODULE_RATE:g} %"
        found.append(
            Finding(Category.MODULE_DEGRADATION, severity, rate, text, {"module": name}, {"counts": dict(counts)})
        )
    return found


def flaky_tests(runs: Sequence[Run], limits: Limits, _canaries: Sequence[Canary] = ()) -> list[Finding]:
    """Find tests that flip; by modules' rates where the reports tell of no single tests."""
    if not runs:
        return []
    flips = [one for one in runs[-1].flips if one["share"] > limits.flaky_tests]
    if flips:
        worst, many = flips[0], len(flips)
        text = f"{worst['test']} flipped {worst['flips']} times in {worst['runs']} runs" + _more(many, "test")
        facts: dict[str, Any] = {"tests": flips[:MOST_TESTS_TOLD], "by": "flips"}
        return [Finding(Category.FLAKY_TESTS, "medium", worst["share"], text, evidence=facts)]
    varying = [one for one in runs[-1].variation if one["variation"] > limits.flaky_tests]
    if not varying:
        return []
    text = f"The success rate of {varying[0]['module']} varies by {varying[0]['variation']:.0%} of its mean"
    facts = {"modules": varying[:MOST_TESTS_TOLD], "by": "variation"}
    text += _more(len(varying), "module")
    return [Finding(Category.FLAKY_TESTS, "medium", varying[0]["variation"], text, evidence=facts)]


def _more(many: int, noun: str) -> str:
    rest = many - 1
    return f", and {rest} more {noun}{'s' if rest > 1 else ''}" if rest else ""


def slope_of(values: Sequence[float]) -> float:
    """Return the slope of the line of least squares through values one step apart."""
    n = len(values)
    middle, mean = (n - 1) / 2, sum(values) / n
    spread = sum((place - middle) ** 2 for place in range(n))
    return sum((place - middle) * (value - mean) for place, value in enumerate(values)) / spread if spread else 0.0


def trend(runs: Sequence[Run], limits: Limits, _canaries: Sequence[Canary] = ()) -> list[Finding]:
    """Find a rate that falls run by run."""
    rates = [run.success_rate for run in runs if run.success_rate is not None][-limits.trend_runs :]
    n = len(rates)
    if n < LEAST_TREND_RUNS or (slope := slope_of(rates)) >= -(10 / n):
        return []
    change = rates[-1] - rates[0]
    severity = "high" if change < -20 else "medium" if change < -10 else "low"
    text = f"The success rate falls by {-slope:.2f} points a run: {rates[0]:.1f} % to {rates[-1]:.1f} % in {n} runs"
    return [Finding(Category.TREND, severity, slope, text, evidence={"change": change, "slope": slope, "rates": rates})]


def canary(runs: Sequence[Run], _limits: Limits, canaries: Sequence[Canary] = ()) -> list[Finding]:
    """Find canaries that do something else than they are known for."""
    found = []
    for one in canaries:
        statuses = [run.canaries[one.id] for run in runs if one.id in run.canaries]
        change = change_of(one, statuses)
        if change is Change.NONE:
            continue
        text = f"{one.name}: {change.value} (expected {one.expected.value}, now {statuses[-1]})"
        facts = {"path": one.path, "expected": one.expected.value, "status": statuses[-1], "last": statuses[-10:]}
        found.append(Finding(Category.CANARY, SEVERITY[change], None, text, {"canary": one.name}, facts))
    return found


Judge = Callable[[Sequence[Run], Limits, Sequence[Canary]], list[Finding]]
JUDGES: Mapping[Category, Judge] = {
    Category.SUCCESS_RATE: success_rate, Category.PERFORMANCE: performance,
    Category.MODULE_DEGRADATION: module_degradation, Category.FLAKY_TESTS: flaky_tests, Category.TREND: trend,
    Category.CANARY: canary,
}  # fmt: skip


def findings(
    categories: Sequence[Category], runs: Sequence[Run], limits: Limits, canaries: Sequence[Canary] = ()
) -> list[Finding]:
    """Return what is wrong with the last run in some categories."""
    return [found for category in categories for found in JUDGES[category](runs, limits, canaries)]
