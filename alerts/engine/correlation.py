"""Which incident an alert belongs to: the first correlation rule that fits, and the incident that takes its key now.

A rule fits where one of its name patterns and all its matchers hold and the alert has every label of the group key.
Alerts with equal values of those labels share a key; at most one incident takes a key at a time. It takes an alert that
begins no later than the rule's window after the last one, or after the incident ended. Times are epoch seconds.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import re2

from alerts.engine.alertmanager.matching import BadMatcher, Matchers, all_hold, pattern_of
from alerts.engine.severity import worse

# The window of an incident that people made, which has no rule to say it.
HAND_WINDOW_SECONDS = 300.0
LONGEST_PATTERN = 500
GLOB = {"*": ".*", "?": "."}


class IncidentState(StrEnum):
    """Where an incident stands."""

    OPEN = "open"  # One of its alerts fires, or the last one ended a moment ago.
    RESOLVED = "resolved"  # All of its alerts have ended, somebody ended it, or another one has taken them in.


class Notify(StrEnum):
    """Which alerts of an incident are told."""

    EACH = "each"  # Every one, by its own policy: the incident is a list and keeps nothing back.
    FIRST_AND_GROWTH = "first_and_growth"  # The first, the one that doubles it, and one that is worse than all told.


class Verb(StrEnum):
    """What becomes of an alert that begins."""

    NONE = "none"  # It belongs to no incident.
    OPENS = "opens"  # It is the first of a new one.
    JOINS = "joins"  # An open one takes it in.
    STAYS = "stays"  # It is in an open one already.
    REOPENS = "reopens"  # One that had ended goes on.


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A correlation rule."""

    id: str
    name: str
    group_key: tuple[str, ...] = ()
    window_seconds: float = 300.0
    patterns: tuple[str, ...] = ()
    matchers: Matchers = ()
    notify: Notify = Notify.EACH


Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """The rule that fits an alert, and the alert's values of its group key."""

    rule: Rule
    values: Values

    @property
    def key(self) -> str:
        """Return what alerts that belong together share."""
        return f"{self.rule.id}:{hashlib.sha256(json.dumps(self.values).encode()).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as it bears on the next alert."""

    id: int
    is_open: bool = True
    active_at: float = 0.0  # When the last alert joined, or when it ended.
    severity: str = ""
    members: int = 0
    window_seconds: float = HAND_WINDOW_SECONDS
    notify: Notify = Notify.EACH
    told_members: int = 0  # How many alerts it had when somebody was last told of one.
    told_severity: str = ""  # The worst that somebody was told of.
    has_teller: bool = False  # Whether an alert of it fires of which somebody was told.


@dataclass(frozen=True, slots=True)
class Own:
    """What the alert itself has to do with incidents."""

    incident: Incident | None = None  # The one it was last in.
    listed: bool = False  # Whether nobody was told of it there.
    taken_out_of: frozenset[int] = frozenset()  # Those a person took it out of.


@dataclass(frozen=True, slots=True)
class Question:
    """All that is known of incidents when an alert may begin."""

    fit: Fit | None = None
    taking: Incident | None = None  # The one that has the key of the fit.
    own: Own = Own()


@dataclass(frozen=True, slots=True)
class Joining:
    """What becomes of the alert, and how the incident is afterwards."""

    verb: Verb
    reason: str
    fit: Fit | None = None
    after: Incident | None = None
    distance_seconds: float | None = None
    listed: bool = False  # Nobody is told of it, because somebody was told of the incident.

    @property
    def held(self) -> str:
        """Return the one reason for which nobody is told of a listed alert."""
        return held_reason(self.after.id) if self.listed and self.after is not None else ""


def held_reason(incident_id: int) -> str:
    """Return the one reason for which nobody is told of an alert that an incident lists."""
    return f"joined incident #{incident_id}, of which somebody was told"


def pattern_problem(text: object) -> str:
    """Return what is wrong with a name pattern; an empty text means nothing."""
    if not isinstance(text, str) or not text or len(text) > LONGEST_PATTERN:
        return f"A pattern is a text of 1 to {LONGEST_PATTERN} characters."
    try:
        pattern_of(expression_of(text))
    except BadMatcher as problem:
        return f"{text}: {problem}"
    return ""


def expression_of(pattern: str) -> str:
    """Return a pattern as a regular expression: `/…/` is one already, else * and ? stand for any text and letter."""
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        return pattern[1:-1]
    return "(?s:" + "".join(GLOB.get(letter) or re2.escape(letter) for letter in pattern) + ")"


def fit_of(rules: Sequence[Rule], sent: Mapping[str, str]) -> Fit | None:
    """Return the first rule that fits; `sent` are the labels as they were sent, the name among them."""
    for rule in rules:
        values = tuple((name, sent.get(name, "")) for name in rule.group_key)
        if all(value for _, value in values) and _named(rule, sent) and all_hold(rule.matchers, sent):
            return Fit(rule, values)
    return None


def _named(rule: Rule, sent: Mapping[str, str]) -> bool:
    name = sent.get("alertname", "")
    return not rule.patterns or any(
        pattern_of(expression_of(pattern)).search(name) is not None for pattern in rule.patterns
    )


def shown(values: Values) -> str:
    """Return the values of a group key in words."""
    return ", ".join(f"{name}={value}" for name, value in values) or "one key for all"


def correlate(fit: Fit | None, taking: Incident | None, own: Own, *, severity: str, now: float) -> Joining:
    """Return what becomes of an alert that begins or got worse; `taking` is the incident that has its key."""
    if own.incident is not None and _takes(own.incident, now, whatever=own.incident.is_open):
        return _back(fit, own.incident, own.listed, severity, now)
    if fit is None:
        return Joining(Verb.NONE, "no correlation rule fits")
    if taking is not None and taking.id in own.taken_out_of:
        return Joining(Verb.NONE, f"a person took it out of incident #{taking.id}", fit)
    if taking is None or not _takes(taking, now):
        return _opened(fit, severity, now)
    return _joined(fit, taking, severity, now)


def _takes(incident: Incident, now: float, *, whatever: bool = False) -> bool:
    return whatever or now - incident.active_at <= incident.window_seconds


def _opened(fit: Fit, severity: str, now: float) -> Joining:
    rule = fit.rule
    after = Incident(
        id=0, active_at=now, severity=severity, members=1, window_seconds=rule.window_seconds, notify=rule.notify,
        told_members=1, told_severity=severity,
    )  # fmt: skip
    return Joining(Verb.OPENS, f"opened an incident by {rule.name}: {shown(fit.values)}", fit, after)


def _joined(fit: Fit, taking: Incident, severity: str, now: float) -> Joining:
    verb = Verb.JOINS if taking.is_open else Verb.REOPENS
    distance = max(0.0, now - taking.active_at)
    grown = replace(
        taking, is_open=True, active_at=max(now, taking.active_at), members=taking.members + 1,
        severity=_worst(severity, taking.severity),
    )  # fmt: skip
    word = "joined" if taking.is_open else "reopened"
    since = "after its last alert" if taking.is_open else "after it had ended"
    reason = f"{word} incident #{taking.id} {distance:.0f} s {since}, by {fit.rule.name}: {shown(fit.values)}"
    return _told(Joining(verb, reason, fit, grown, distance), severity)


def _back(fit: Fit | None, incident: Incident, listed: bool, severity: str, now: float) -> Joining:
    """Return what becomes of an alert that is in the incident already."""
    after = replace(incident, severity=_worst(severity, incident.severity))
    if incident.is_open:
        joining = Joining(Verb.STAYS, f"is in incident #{incident.id} already", fit, after)
    else:
        distance = max(0.0, now - incident.active_at)
        after = replace(after, is_open=True, active_at=max(now, incident.active_at))
        reason = f"reopened incident #{incident.id} {distance:.0f} s after it had ended, as one of its alerts"
        joining = Joining(Verb.REOPENS, reason, fit, after, distance)
    return _told(joining, severity) if listed else replace(joining, after=_teller(after, severity))


def _told(joining: Joining, severity: str) -> Joining:
    """Decide whether somebody is told of an alert that is not the first."""
    after = joining.after
    if after is None or after.notify is Notify.EACH:
        return joining if after is None else replace(joining, after=_teller(after, severity))
    if not after.has_teller:
        why = "nobody was told of any that fires"
    elif worse(severity, after.told_severity):
        why = "it is worse than all that were told"
    elif joining.verb is not Verb.STAYS and after.members >= 2 * after.told_members:
        why = f"the incident has grown to {after.members} alerts"
    else:
        return replace(joining, listed=True, reason=f"{joining.reason}; listed there, for somebody was told of it")
    return replace(joining, after=_teller(after, severity), reason=f"{joining.reason}; told, for {why}")


def _teller(after: Incident, severity: str) -> Incident:
    return replace(
        after, told_members=max(after.members, after.told_members), told_severity=_worst(severity, after.told_severity)
    )


def furthest(one: Incident, other: Incident) -> Incident:
    """Return what an incident is after two decisions of one transaction, in whichever order they were made."""
    return replace(
        one, active_at=max(one.active_at, other.active_at), members=max(one.members, other.members),
        severity=_worst(one.severity, other.severity), told_members=max(one.told_members, other.told_members),
        told_severity=_worst(one.told_severity, other.told_severity) if other.told_severity else one.told_severity,
    )  # fmt: skip


def _worst(severity: str, than: str) -> str:
    return severity if not than or worse(severity, than) else than
