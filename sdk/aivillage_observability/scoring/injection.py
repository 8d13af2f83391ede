"""`score_injection`: one text, four answers."""

from dataclasses import dataclass

from aivillage_observability.scoring.history import floor_reason, historical_score
from aivillage_observability.scoring.score import NOTHING, Reason, Score

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
    value = historical_score(read)
    if not value:
        return Injection()
    reason = floor_reason(read, 0.0) or Reason("historical_floor", "", 0.0)
    return Injection(sqli=Score(value, (reason,)))
