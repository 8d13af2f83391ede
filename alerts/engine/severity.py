"""Four severities, and what the rest of the world calls them."""

from collections.abc import Mapping

from alerts.engine.states import Severity

SYNONYMS: Mapping[str, Severity] = {
    **{severity.value: severity for severity in Severity},
    **dict.fromkeys(("page", "fatal", "emergency", "p1"), Severity.CRITICAL),
    **dict.fromkeys(("error", "major", "p2"), Severity.HIGH),
    **dict.fromkeys(("warning", "warn", "moderate", "p3"), Severity.MEDIUM),
    **dict.fromkeys(("info", "informational", "notice", "minor", "none", "p4", "p5"), Severity.LOW),
}
# The enumeration is written from the worst down.
RANKS: Mapping[str, int] = {severity.value: place for place, severity in enumerate(Severity)}


def severity_from(text: str, default: Severity = Severity.MEDIUM) -> Severity:
    """Return the severity a word means; an unknown word means the default, it is never refused."""
    return SYNONYMS.get(text.strip().lower(), default)


def with_original(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels with the received severity kept beside its mapped form."""
    received = labels.get("severity", "")
    if not received or received in set(Severity):
        return dict(labels)
    return {**labels, "severity": severity_from(received).value, "severity_original": received}


def rank(severity: str) -> int:
    """Return 0 for the worst severity; what is no severity comes last."""
    return RANKS.get(severity, len(RANKS))


def worse(severity: str, than: str) -> bool:
    """Say whether a severity is above another one; from no severity to one is no worsening."""
    return than in RANKS and rank(severity) < rank(than)
