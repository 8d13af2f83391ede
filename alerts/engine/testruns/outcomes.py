"""What a report of a test run says, whichever tool wrote it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MOST_TESTS = 50_000
MOST_MODULES = 2_000
LONGEST_NAME = 500


class BadReport(ValueError):
    """The report cannot be taken; the text says why and what to do."""


class Outcome(StrEnum):
    """How one test ended; the values are stored."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    XPASSED_STRICT = "xpassed_strict"  # It passed where it must not, so the run counts it as failed.
    COLLECTION_ERROR = "collection_error"


# Of several outcomes of one name the first of these is kept.
WORST_FIRST = (
    Outcome.COLLECTION_ERROR, Outcome.ERROR, Outcome.FAILED, Outcome.XPASSED_STRICT, Outcome.PASSED, Outcome.XPASSED,
    Outcome.XFAILED, Outcome.SKIPPED,
)  # fmt: skip
COUNTED_AS = {
    Outcome.PASSED: "passed", Outcome.XPASSED: "passed", Outcome.FAILED: "failed", Outcome.XPASSED_STRICT: "failed",
    Outcome.ERROR: "errors", Outcome.COLLECTION_ERROR: "errors", Outcome.SKIPPED: "skipped", Outcome.XFAILED: "skipped",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests ended how. Skipped ones, and those expected to fail, are left out of the rate."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    errors: int = 0
    given_rate: float | None = None  # What the sender says it is.

    @property
    def success_rate(self) -> float | None:
        """Return the share that passed in percent; None where nothing was tried."""
        if self.given_rate is not None:
            return self.given_rate
        tried = self.passed + self.failed + self.errors
        return self.passed * 100 / tried if tried else None

    def as_map(self) -> dict[str, Any]:
        """Return it as it is stored and shown."""
        return {
            "total": self.total, "passed": self.passed, "failed": self.failed, "skipped": self.skipped,
            "errors": self.errors, "success_rate": self.success_rate,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test of a report; `name` and `module` are dotted paths."""

    __test__ = False

    name: str
    module: str
    outcome: Outcome
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    form: str
    counts: Counts
    modules: Mapping[str, Counts] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)  # By name of the test; empty where none were sent.
    duration_seconds: float | None = None
    at: float | None = None  # When it ran by the sender's clock, in epoch seconds.


def counted(outcomes: Iterable[Outcome]) -> Counts:
    """Return how many ended how."""
    found = {"passed": 0, "failed": 0, "skipped": 0, "errors": 0}
    for outcome in outcomes:
        found[COUNTED_AS[outcome]] += 1
    return Counts(total=sum(found.values()), **found)


def report_of(
    form: str, cases: list[TestCase], *, duration_seconds: float | None = None, at: float | None = None
) -> Report:
    """Return the report of single tests; raises BadReport where there are too many."""
    by_module: dict[str, list[Outcome]] = {}
    outcomes: dict[str, Outcome] = {}
    for case in cases:
        by_module.setdefault(case.module[:LONGEST_NAME], []).append(case.outcome)
        name = case.name[:LONGEST_NAME]
        outcomes[name] = worst(case.outcome, outcomes.get(name, case.outcome))
    if len(by_module) > MOST_MODULES:
        raise BadReport(f"{len(by_module)} modules, at most {MOST_MODULES} are taken: send a report per part.")
    return Report(
        form, counted(case.outcome for case in cases), {name: counted(each) for name, each in by_module.items()},
        outcomes, _duration(cases) if duration_seconds is None else duration_seconds, at,
    )  # fmt: skip


def _duration(cases: list[TestCase]) -> float | None:
    known = [case.duration_seconds for case in cases if case.duration_seconds is not None]
    return sum(known) if known else None


def worst(one: Outcome, other: Outcome) -> Outcome:
    """Return the worse of two outcomes."""
    return min(one, other, key=WORST_FIRST.index)


def number(value: Any, field_name: str, most: float) -> float:
    """Return a number from 0 to a bound; raises BadReport."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadReport(f"{field_name} is no number from 0 to {most:g}.")
    return value
