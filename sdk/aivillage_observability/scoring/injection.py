"""`score_injection`: one text, four answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aivillage_observability.scoring.decoding import focus, readings
from aivillage_observability.scoring.history import floor_reason
from aivillage_observability.scoring.paths import path_reasons, spelled_reasons
from aivillage_observability.scoring.score import LISTED_FROM, NOTHING, Reason, Score
from aivillage_observability.scoring.shell import command_reasons
from aivillage_observability.scoring.sql import sql_reasons
from aivillage_observability.scoring.xss import xss_reasons

TEXT_CHARS_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Injection:
    """How sure we are that a text attacks by each of four ways."""

    sqli: Score = NOTHING
    xss: Score = NOTHING
    traversal: Score = NOTHING
    command: Score = NOTHING

    @property
    def worst(self) -> Score:
        """Return the highest of the four."""
        return max((self.sqli, self.xss, self.traversal, self.command), key=lambda score: score.value)

    @property
    def event_type(self) -> str:
        """Return the event type of the highest score, or nothing where all are 0."""
        named = {
            "sql_injection_attempt": self.sqli,
            "xss_attempt": self.xss,
            "path_traversal": self.traversal,
            "command_injection": self.command,
        }
        name, score = max(named.items(), key=lambda pair: pair[1].value)
        return name if score.value else ""


def score_injection(text: str) -> Injection:
    """Score one value that came from outside; beyond 64 Ki characters it is read to there."""
    read = text[:TEXT_CHARS_MAX]
    ways = readings(focus(read))
    found = {
        "sqli": _highest(sql_reasons, ways),
        "xss": _highest(xss_reasons, ways),
        "traversal": _spelled(_highest(path_reasons, ways), ways[0]),
        "command": _highest(command_reasons, ways),
    }
    leader = max(found, key=lambda name: found[name].value)
    found[leader] = _floored(found[leader], read)
    return Injection(**found)


def _spelled(score: Score, text: str) -> Score:
    """Add to a way out of a directory that it was hidden; hiding alone is nothing."""
    return Score.of((*score.reasons, *spelled_reasons(text))) if score.value >= LISTED_FROM else score


def _floored(score: Score, text: str) -> Score:
    """Lift what is an attack to the score the original gave it; innocent text has no floor."""
    reason = floor_reason(text, score.value) if score.value >= LISTED_FROM else None
    return Score.of((*score.reasons, reason)) if reason is not None else score


def _highest(reasons_of: Callable[[str], list[Reason]], ways: Sequence[str]) -> Score:
    return max((Score.of(reasons_of(way)) for way in ways), key=lambda score: score.value)
