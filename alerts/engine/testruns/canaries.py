"""Canaries: tests that are known not to pass. What one did in the last runs says whether that changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from alerts.engine.testruns.names import matching
from alerts.engine.testruns.outcomes import WORST_FIRST, Outcome

MISSING = "missing"
PASSING = frozenset({Outcome.PASSED, Outcome.XPASSED, Outcome.XPASSED_STRICT})
FAILING = frozenset({Outcome.FAILED, Outcome.ERROR, Outcome.COLLECTION_ERROR})


class Expected(StrEnum):
    """What a canary is expected to do."""

    XFAIL = "xfail"
    SKIP = "skip"
    FAIL = "fail"
    COLLECTION_ERROR = "collection_error"


AS_EXPECTED = {
    Expected.XFAIL: frozenset({Outcome.XFAILED}), Expected.SKIP: frozenset({Outcome.SKIPPED}),
    Expected.FAIL: frozenset({Outcome.FAILED, Outcome.ERROR}),
    Expected.COLLECTION_ERROR: frozenset({Outcome.COLLECTION_ERROR}),
}  # fmt: skip
# Where these pass, somebody has mended what was known to be broken: it must be said at first sight.
MENDED_WHEN_PASSING = (Expected.XFAIL, Expected.COLLECTION_ERROR)


class Change(StrEnum):
    """What a canary tells."""

    NONE = ""
    MENDED = "it passes though it was known not to"
    BROKEN = "it passed before and fails now"
    OTHER = "it does something else than expected"


SEVERITY = {Change.MENDED: "critical", Change.BROKEN: "medium", Change.OTHER: "low"}


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary; `path` is a node id, a name or a glob."""

    id: str
    name: str
    path: str
    expected: Expected
    failure_threshold: int = 1


def status_of(canary: Canary, outcomes: Mapping[str, Outcome]) -> str:
    """Return what a canary did in one run; of several tests the one that is news."""
    found = {outcomes[name] for name in matching(canary.path, outcomes)}
    if not found:
        return MISSING
    passing = found & PASSING
    if passing and canary.expected in MENDED_WHEN_PASSING:
        return Outcome.PASSED.value
    first = min(found, key=WORST_FIRST.index)
    return Outcome.PASSED.value if first in PASSING else first.value


def change_of(canary: Canary, statuses: Sequence[str]) -> Change:
    """Return what a canary tells by its statuses, the newest last."""
    if all(status == MISSING for status in statuses):
        return Change.NONE  # The suite never had it.
    newest = statuses[-1]
    if newest in PASSING:
        return Change.MENDED if canary.expected in MENDED_WHEN_PASSING else Change.OTHER
    if newest in AS_EXPECTED[canary.expected]:
        return Change.NONE
    if newest in FAILING:
        streak = _failing_streak(statuses)
        before = statuses[-streak - 1] if streak < len(statuses) else ""
        if before in PASSING:
            return Change.BROKEN if streak >= canary.failure_threshold else Change.NONE
    return Change.OTHER


def _failing_streak(statuses: Sequence[str]) -> int:
    streak = 0
    for status in reversed(statuses):
        if status not in FAILING:
            break
        streak += 1
    return streak
