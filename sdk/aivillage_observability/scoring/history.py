"""The original's formula for SQL injection and XSS, kept as a floor under attacks (docs/security-detectors.md)."""

import re

from aivillage_observability.scoring.score import Reason

# One linear pass each: no two neighbours of a pattern can match the same character.
PATTERNS = {
    "sqli": (
        re.compile(r"union\s+select"),
        re.compile(r"or\s+1\s*=\s*1"),
        re.compile(r"drop\s+table"),
        re.compile(r"exec\s*\("),
    ),
    "xss": (re.compile(r"script\s*>"), re.compile(r"javascript:"), re.compile(r"<\s*iframe")),
}
TOKENS = ("'", '"', ";", "--", "/*", "*/")


def historical_score(text: str) -> float:
    """Return what the original scored: 0.3 for each pattern, 0.1 for each token present, at most 1."""
    lowered = text.lower()
    patterns = sum(1 for patterns in PATTERNS.values() for pattern in patterns if pattern.search(lowered))
    tokens = sum(1 for token in TOKENS if token in text)
    return round(min(0.3 * patterns + 0.1 * tokens, 1.0), 4)


def floor_reason(text: str, reached: float) -> Reason | None:
    """Return what is missing to the original's score for an attack, or None."""
    missing = round(historical_score(text) - reached, 4)
    if missing <= 0:
        return None
    return Reason("historical_floor", "the score this text always had", missing)
