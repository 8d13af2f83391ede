"""What every scorer answers: a number and the reasons that made it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Band = Literal["critical", "high", "medium", "low"]

CRITICAL_FROM = 0.9
HIGH_FROM = 0.7
MEDIUM_FROM = 0.5
LISTED_FROM = 0.3
ALERT_FROM = HIGH_FROM
EXCERPT_CHARS = 80
REASONS_MAX = 12


@dataclass(frozen=True, slots=True)
class Reason:
    """One observation and how much it adds; the excerpt is what it was seen in, as inert text."""

    code: str
    text: str
    weight: float
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """How sure a scorer is, from 0 to 1, and why."""

    value: float
    reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, reasons: Iterable[Reason]) -> "Score":
        """Return the sum of the weights, at most 1, with the heaviest reasons first."""
        kept = sorted(reasons, key=lambda reason: -reason.weight)
        # Rounded, so that 0.3 + 0.4 is the 0.7 a threshold asks for.
        total = round(sum(reason.weight for reason in kept), 4)
        return cls(min(max(total, 0.0), 1.0), tuple(kept[:REASONS_MAX]))


NOTHING = Score(0.0)


def band(score: "Score | float") -> Band:
    """Return the name of a score: critical from 0.9, high from 0.7, medium from 0.5, else low."""
    value = score.value if isinstance(score, Score) else score
    if value >= CRITICAL_FROM:
        return "critical"
    if value >= HIGH_FROM:
        return "high"
    return "medium" if value >= MEDIUM_FROM else "low"


def excerpt(text: str, start: int = 0, end: int | None = None) -> str:
    """Return a bounded piece of hostile text without control characters, fit for a log line or a page."""
    stop = len(text) if end is None else end
    piece = text[max(start, 0) : min(stop, max(start, 0) + EXCERPT_CHARS)]
    return "".join(character if character.isprintable() else "\N{MIDDLE DOT}" for character in piece)
