"""Pure scorers of attacks, the same at the edge and in the console.

No I/O, no clock, no state: windows are counted by the caller. Each answer is a `Score` from 0 to 1 with its reasons.
"""

from aivillage_observability.scoring.behaviour import (
    FIXED_SCORES,
    distance_km,
    score_behaviour,
    score_deviation,
    score_exfiltration,
    score_fixed,
    score_travel,
)
from aivillage_observability.scoring.counts import (
    BASES,
    BRUTE_FORCE_WINDOW_SECONDS,
    COUNTED,
    DEFAULT_BASE,
    RATE_WINDOW_SECONDS,
    SLOW_WINDOW_SECONDS,
    base_for,
    score_brute_force,
    score_counted,
    score_rate,
)
from aivillage_observability.scoring.history import historical_score
from aivillage_observability.scoring.injection import TEXT_CHARS_MAX, Injection, score_injection
from aivillage_observability.scoring.score import (
    ALERT_FROM,
    CRITICAL_FROM,
    HIGH_FROM,
    LISTED_FROM,
    MEDIUM_FROM,
    NOTHING,
    Band,
    Reason,
    Score,
    band,
    excerpt,
)
from aivillage_observability.scoring.tools import ToolUse, score_suspicious_command, score_tool_use

__all__ = [
    "ALERT_FROM",
    "BASES",
    "BRUTE_FORCE_WINDOW_SECONDS",
    "COUNTED",
    "CRITICAL_FROM",
    "DEFAULT_BASE",
    "FIXED_SCORES",
    "HIGH_FROM",
    "LISTED_FROM",
    "MEDIUM_FROM",
    "NOTHING",
    "RATE_WINDOW_SECONDS",
    "SLOW_WINDOW_SECONDS",
    "TEXT_CHARS_MAX",
    "Band",
    "Injection",
    "Reason",
    "Score",
    "ToolUse",
    "band",
    "base_for",
    "distance_km",
    "excerpt",
    "historical_score",
    "score_behaviour",
    "score_brute_force",
    "score_counted",
    "score_deviation",
    "score_exfiltration",
    "score_fixed",
    "score_injection",
    "score_rate",
    "score_suspicious_command",
    "score_tool_use",
    "score_travel",
]
