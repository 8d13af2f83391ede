"""The words senders have for how bad it is and where it stands."""

from collections.abc import Mapping

from alerts.engine.inbound.told import Status
from alerts.engine.severity import SYNONYMS
from alerts.engine.states import Severity

_RESOLVED = """
ok okay resolved resolve recovered recovery recover recovering up cleared clear closed close green normal healthy good
success successful succeeded passed passing pass fixed ended end solved operational available online restored expired
stopped deactivated inactive complete completed untriggered finished nominal archived done dismissed declined canceled
cancelled
"""
_ACKNOWLEDGED = "acknowledged acknowledge acknowledgement acknowledgment ack acked accepted accept"
_FIRING = """
firing fire fired active activated triggered trigger triggering retriggered alert alerting alarm alarmed problem open
opened new created create down critical crit warning warn error failed failure fail failing unhealthy red yellow amber
orange bad unreachable unavailable offline degraded anomalous anomaly unknown nodata insufficient started ongoing
raised raise reopened reopen unresolved trouble unstable broken outage breached breach violated violation
investigating identified missing lost dead timeout stalled late major minor fatal emergency disaster invoked occurred
detected escalated renotify flapping regression expiring exceeded abnormal
"""
STATUSES: Mapping[str, Status] = {
    **dict.fromkeys(_FIRING.split(), Status.FIRING),
    **dict.fromkeys(_ACKNOWLEDGED.split(), Status.ACKNOWLEDGED),
    **dict.fromkeys(_RESOLVED.split(), Status.RESOLVED),
}
# Turn the word after them round: "not resolved".
_NEGATIONS = frozenset(("not", "no", "non", "never", "isn"))

_CRITICAL = """
crit emerg disaster blocker catastrophic severe urgent highest extreme p0 sev0 sev1 s1 outage immediate panic veryhigh
availability alert
"""
_HIGH = "err important failure failed failing danger sev2 s2 serious fail fatality"
_MEDIUM = "average sev3 s3 elevated degraded performance normal standard resource custom caution"
_LOW = "debug trace information lowest trivial notclassified classified sev4 sev5 s4 s5 verbose ok none"
SEVERITIES: Mapping[str, Severity] = {
    **dict.fromkeys(_CRITICAL.split(), Severity.CRITICAL),
    **dict.fromkeys(_HIGH.split(), Severity.HIGH),
    **dict.fromkeys(_MEDIUM.split(), Severity.MEDIUM),
    **dict.fromkeys(_LOW.split(), Severity.LOW),
    **SYNONYMS,
}
# How bad it is where only a state is told.
BY_STATE: Mapping[str, Severity] = {
    **dict.fromkeys(
        ("down", "critical", "crit", "outage", "fatal", "dead", "unreachable", "offline", "disaster"), Severity.CRITICAL
    ),
    **dict.fromkeys(("error", "failed", "failure", "fail", "failing", "red", "trouble", "major"), Severity.HIGH),
    **dict.fromkeys(("warning", "warn", "degraded", "unstable", "yellow", "minor"), Severity.MEDIUM),
}
WORST_COUNT, TEN, MOST_LEVEL = 5, 10, 15


def tokens(text: str) -> list[str]:
    """Return the words of a text in small letters; camelCase is two words."""
    spaced: list[str] = []
    for before, letter in zip(" " + text, text, strict=False):
        if letter.isupper() and before.islower():
            spaced.append(" ")
        spaced.append(letter.lower() if letter.isalnum() else " ")
    return "".join(spaced).split()


def plain(text: str) -> str:
    """Return a name without letter case and punctuation: `alert_name`, `alertName` and `Alert Name` are one."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def status_in(text: str) -> Status | None:
    """Return what a state, an action or a kind of event says; of a change, where it led."""
    words = tokens(text.replace("→", "->").rpartition("->")[2] or text)
    if "from" in words and "to" in words[words.index("from") :]:
        words = words[len(words) - words[::-1].index("to") :]
    found = [_turned(words, place) for place, word in enumerate(words) if word in STATUSES]
    for status in (Status.RESOLVED, Status.ACKNOWLEDGED, Status.FIRING):
        if status in found:
            return status
    whole = STATUSES.get("".join(words))
    return whole if found == [] else None


def _turned(words: list[str], place: int) -> Status:
    status = STATUSES[words[place]]
    if place and words[place - 1] in _NEGATIONS and status is not Status.FIRING:
        return Status.FIRING
    return status


def severity_in(text: str) -> Severity | None:
    """Return the severity a text means, or None for a word nobody knows."""
    whole = plain(text)
    if whole in SEVERITIES:
        return SEVERITIES[whole]
    number = _number(text)
    if number is not None:
        return _by_number(number, whole="." not in text)
    known = [SEVERITIES[word] for word in tokens(text) if word in SEVERITIES]
    return known[0] if known else None


def is_over(text: str) -> bool:
    """Say whether a severity is none: the trouble is gone."""
    return plain(text) in ("ok", "okay", "clear", "cleared", "recovered", "resolved", "green", "up")


def by_state(text: str) -> Severity | None:
    """Return the severity that a state alone suggests."""
    return next((BY_STATE[word] for word in reversed(tokens(text)) if word in BY_STATE), None)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 100 else None


def _by_number(number: float, *, whole: bool) -> Severity:
    """Read small whole numbers as ranks, 1 the worst, and larger ones or fractions as scores, the more the worse."""
    if whole and number <= WORST_COUNT:
        ranks = (Severity.CRITICAL, Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)
        return ranks[int(number)] if number < len(ranks) else Severity.LOW
    return score(number / (TEN if number <= TEN else MOST_LEVEL if number <= MOST_LEVEL else 100))


def score(share: float) -> Severity:
    """Return the severity of a score, as a share of the worst there is."""
    bands = ((0.9, Severity.CRITICAL), (0.7, Severity.HIGH), (0.4, Severity.MEDIUM))
    return next((severity for least, severity in bands if share >= least), Severity.LOW)
