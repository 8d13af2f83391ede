"""What an answer is made of: label sets that hold, and what can be said of those that do not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

NO_DATA = "its data stopped coming"
# Lost data makes an alert unknown; that it was lost is for the rules it comes from to tell.
FOLLOWS = "follows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One label set for which the condition of a rule holds."""

    fingerprint: str
    labels: Mapping[str, str]
    value: float | None
    severity: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)  # What the row itself says, for the evidence.
    found: Mapping[str, str] = field(default_factory=dict)  # The labels the query answered with.
    threshold: float | None = None  # Its own, where it is not that of the whole answer.
    reason: str = ""  # Why it holds, where that is not the rule's condition.


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the data a rule is about still comes; `prints` is None where only all of it together can be told."""

    any_data: bool
    prints: frozenset[str] | None
    cause: str
    because: Callable[[Mapping[str, str]], str] | None = None  # Says more of a label set than the cause does.
    lost: frozenset[str] = frozenset()  # Label sets of which nothing can be said, whatever else is known.

    def tells(self, print_of: str) -> bool:
        """Say whether a label set that is gone has data, so that its condition is over."""
        if print_of in self.lost:
            return False
        return print_of in self.prints if self.prints is not None else self.any_data

    def cause_of(self, labels: Mapping[str, str]) -> str:
        """Return why the condition of a label set is over."""
        return (self.because(labels) if self.because else "") or self.cause


class Answer(Protocol):
    """A rule's answer at one time."""

    held: list[Held]
    shows_at_once: bool  # Whether evidence costs nothing, so that it can go with every observation.
    no_data: str  # What becomes of label sets without data: unknown, alert, ok, keep, or FOLLOWS.
    graded: bool  # Whether the severity of a label set follows its value, down as well as up.
    complaint: str  # What could not be answered, though the rest could.

    @property
    def threshold(self) -> float | None:
        """Return what the values are held against, where that is one number."""

    def evidence(self, held: Held) -> dict[str, object]:
        """Return what the rule saw of a label set."""

    def presence(self) -> Presence:
        """Say of which label sets that are gone the condition is over."""
