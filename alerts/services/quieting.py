"""Whether somebody may be told of an alert now: silences, inhibitions, mute times; one reason where not."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import orjson
from django.db import connection
from django.db.models import QuerySet

from aivillage_console.lib import clock
from alerts.engine.alertmanager import documents, syntax
from alerts.engine.alertmanager.documents import list_of
from alerts.engine.alertmanager.matching import Matcher, Matchers, all_hold, matcher
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.alertmanager.route_fields import InhibitRule
from alerts.engine.alertmanager.times import TimeInterval, time_interval
from alerts.engine.correlation import held_reason
from alerts.engine.states import AlertState, QuietKind
from alerts.models import Alert, Quieted
from alerts.services.listing import listed_in

# JSON made by the database in one statement: every message that is owed asks.
READ = """
SELECT (
    SELECT coalesce(json_agg(json_build_object(
        'id', id, 'matchers', matchers, 'ends_at', extract(epoch FROM ends_at), 'author', author, 'reason', reason,
        'critical', lets_critical_through
    ) ORDER BY created_at), '[]') FROM alerts_silence WHERE ends_at > %(now)s AND starts_at <= %(now)s
)::text, (
    SELECT coalesce(json_agg(json_build_object(
        'name', name, 'source', source_matchers, 'target', target_matchers, 'equal', equal
    ) ORDER BY name), '[]') FROM alerts_inhibition WHERE enabled
)::text, (
    SELECT coalesce(json_agg(json_build_object(
        'id', id, 'name', name, 'intervals', intervals, 'matchers', matchers, 'inside', tells_inside, 'policies', (
            SELECT coalesce(json_agg(m.policy_id), '[]') FROM alerts_mutetime_policies m WHERE m.mutetime_id = t.id
        )
    ) ORDER BY name), '[]') FROM alerts_mutetime t WHERE enabled
)::text, EXISTS (SELECT 1 FROM alerts_incidentmember WHERE current AND listed)
    AND coalesce((SELECT enable_correlation FROM alerts_alertsettings LIMIT 1), true)
"""
LOOK_AGAIN = timedelta(seconds=5)
MOST_SOURCES = 1000
OPEN = (AlertState.FIRING.value, AlertState.UNKNOWN.value)
# Labels that are columns, or mapped as they come in.
NOT_IN_LABELS = frozenset({"alertname", "severity", "severity_original"})


@dataclass(frozen=True, slots=True)
class Hush:
    """Why nobody is told: the one reason, and until when it holds if that is known."""

    kind: QuietKind
    by: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuietTime:
    """A silence that holds now."""

    id: str
    matchers: Matchers
    ends_at: float
    said: str
    lets_critical_through: bool


@dataclass(frozen=True, slots=True)
class Times:
    """A mute time."""

    id: str
    name: str
    intervals: tuple[TimeInterval, ...]
    matchers: Matchers
    inside: bool
    policies: frozenset[str]

    def mutes(self, sent: Mapping[str, str], policy_id: str, at: datetime) -> bool:
        """Tell whether this keeps an alert of a policy quiet now."""
        concerned = (not self.policies or policy_id in self.policies) and all_hold(self.matchers, sent)
        return concerned and any(each.contains(at) for each in self.intervals) is not self.inside


def matchers_from(rows: Iterable[Mapping[str, Any]]) -> Matchers:
    """Return matchers as silences keep them; raises BadMatcher."""
    return tuple(matcher(operator(row), row["name"], row["value"]) for row in rows)


def operator(row: Mapping[str, Any]) -> str:
    """Return the operator of a stored matcher."""
    equal, regex = row.get("isEqual", True) is not False, bool(row.get("isRegex"))
    return ("=~" if equal else "!~") if regex else ("=" if equal else "!=")


def matchers_to(matchers: Iterable[Matcher]) -> list[dict[str, Any]]:
    """Return matchers as silences keep them."""
    return [
        {"name": m.name, "value": m.value, "isRegex": m.op in {"=~", "!~"}, "isEqual": m.op in {"=", "=~"}}
        for m in matchers
    ]


def matchers_of(texts: Iterable[str]) -> Matchers:
    """Return matchers from their texts; raises BadMatcher."""
    return tuple(each for text in texts for each in syntax.matchers(text))


def intervals_of(rows: list[Any]) -> tuple[TimeInterval, ...]:
    """Return time intervals as mute times keep them; raises BadConfig."""
    # JSON is YAML.
    found = documents.read(orjson.dumps(rows).decode(), list_of(time_interval)) or []
    return tuple(each if each is not None else TimeInterval() for each in found)


@functools.lru_cache(maxsize=4)
def _silences(text: str) -> tuple[QuietTime, ...]:
    return tuple(
        QuietTime(
            row["id"],
            matchers_from(row["matchers"]),
            row["ends_at"],
            f"{row['author']}: {row['reason']}",
            row["critical"],
        )
        for row in orjson.loads(text)
    )


@functools.lru_cache(maxsize=4)
def _inhibitions(text: str) -> tuple[InhibitRule, ...]:
    return tuple(
        InhibitRule(row["name"], matchers_of(row["source"]), matchers_of(row["target"]), tuple(row["equal"]))
        for row in orjson.loads(text)
    )


@functools.lru_cache(maxsize=4)
def _times(text: str) -> tuple[Times, ...]:
    return tuple(
        Times(
            row["id"], row["name"], intervals_of(row["intervals"]), matchers_of(row["matchers"]), row["inside"],
            frozenset(row["policies"]),
        )
        for row in orjson.loads(text)
    )  # fmt: skip


@dataclass
class Quiet:
    """What holds at one time, read at the first question; one for each transaction."""

    now: datetime

    @cached_property
    def _read(self) -> tuple[str, str, str, bool]:
        with connection.cursor() as cursor:
            cursor.execute(READ, {"now": self.now})
            silences, inhibitions, times, lists = cursor.fetchone()
        return silences, inhibitions, times, lists

    @property
    def silences(self) -> tuple[QuietTime, ...]:
        """Return the silences that hold."""
        return _silences(self._read[0])

    @property
    def inhibitions(self) -> tuple[InhibitRule, ...]:
        """Return the inhibitions that are on."""
        return _inhibitions(self._read[1])

    @property
    def times(self) -> tuple[Times, ...]:
        """Return the mute times that are on."""
        return _times(self._read[2])

    @property
    def lists(self) -> bool:
        """Say whether an incident speaks for any of its alerts."""
        return self._read[3]

    def reason(self, alert: Alert, policy_id: Callable[[], str] = str) -> Hush | None:
        """Return why nobody may be told of an alert now, None where they may: inhibited, not the time, or silenced."""
        if not (self.silences or self.inhibitions or self.times or self.lists):
            return None
        sent = as_sent(alert.name, alert.labels)
        own = self._inhibited(alert, sent) or self._muted(sent, policy_id) or self._silenced(alert, sent)
        return own or self._listed(alert)

    def _listed(self, alert: Alert) -> Hush | None:
        incident_id = listed_in(alert) if self.lists else None
        if incident_id is None:
            return None
        return Hush(QuietKind.INCIDENT, str(incident_id), held_reason(incident_id))

    def _silenced(self, alert: Alert, sent: Mapping[str, str]) -> Hush | None:
        for silence in self.silences:
            if silence.lets_critical_through and alert.severity == "critical":
                continue
            if all_hold(silence.matchers, sent):
                until = clock.at_seconds(silence.ends_at)
                reason = f"silenced until {until:%Y-%m-%d %H:%M:%S} UTC by {silence.said}"
                return Hush(QuietKind.SILENCE, silence.id, reason[:300], until)
        return None

    def _muted(self, sent: Mapping[str, str], policy_id: Callable[[], str]) -> Hush | None:
        for times in self.times:
            if times.mutes(sent, policy_id() if times.policies else "", self.now):
                word = "outside of the active time" if times.inside else "in the mute time"
                return Hush(QuietKind.MUTE_TIME, times.id, f"{word} {times.name}"[:300])
        return None

    def _inhibited(self, alert: Alert, sent: Mapping[str, str]) -> Hush | None:
        for rule in self.inhibitions:
            if not all_hold(rule.target, sent):
                continue
            two_sided = all_hold(rule.source, sent)
            for source in self.sources(alert, rule, sent):
                theirs = as_sent(source.name, source.labels)
                agree = all(sent.get(name, "") == theirs.get(name, "") for name in rule.equal)
                if agree and all_hold(rule.source, theirs) and not (two_sided and all_hold(rule.target, theirs)):
                    reason = f"inhibited by #{source.pk} {source.name} ({rule.name})"
                    return Hush(QuietKind.INHIBITION, source.fingerprint, reason[:300])
        return None

    def sources(self, alert: Alert, rule: InhibitRule, sent: Mapping[str, str]) -> Iterable[Alert]:
        """Return the open alerts that may inhibit another."""
        return _sources(alert, rule, sent)


def _sources(alert: Alert, rule: InhibitRule, sent: Mapping[str, str]) -> QuerySet[Alert]:
    """Return the open alerts that may inhibit, as far as the database can tell."""
    rows = Alert.objects.filter(state__in=OPEN).exclude(pk=alert.pk)
    known = {name: sent[name] for name in rule.equal if name not in NOT_IN_LABELS and sent.get(name)}
    for each in rule.source:
        if each.op == "=" and each.name == "alertname":
            rows = rows.filter(name=each.value)
        elif each.op == "=" and each.value and each.name not in NOT_IN_LABELS:
            known[each.name] = each.value
    if known:
        rows = rows.filter(labels__contains=known)
    return rows.order_by("id")[:MOST_SOURCES]


def quieted(alert: Alert, hush: Hush, *, policy_id: str, now: datetime) -> Quieted:
    """Return the row that remembers that an alert was not told, so that it is once the reason is gone."""
    return Quieted(
        alert=alert, episode=alert.episode, kind=hush.kind.value, by=hush.by[:200], reason=hush.reason,
        policy_id=policy_id, since_at=now, due_at=look_again_at(hush, now),
    )  # fmt: skip


def look_again_at(hush: Hush, now: datetime) -> datetime:
    """Return when the reason may be gone."""
    return hush.until or now + LOOK_AGAIN
