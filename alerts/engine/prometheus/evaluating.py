"""Evaluates rule groups over a shelf of samples as time goes on: states of alerts, recorded series, what has ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from alerts.engine.prometheus.asking import Ask
from alerts.engine.prometheus.rule_files import FileGroup, FileRule
from alerts.engine.prometheus.shelf import Key, Shelf
from alerts.engine.templates.prometheus import AlertTexts, Surroundings
from alerts.engine.templates.values import Sample
from metrics.native_histograms.model import Histogram
from metrics.promql.labels import NAME
from metrics.promql.scripts.series import Point
from metrics.promql.types import STALE_NAN, QueryError

ALERTS, FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"
ALERT_NAME, ALERT_STATE = "alertname", "alertstate"
RESOLVED_KEPT_MS = 15 * 60_000


class State(StrEnum):
    """Where one alert stands."""

    INACTIVE = "inactive"  # Over, and remembered for a while.
    PENDING = "pending"  # Its expression holds, but not yet long enough.
    FIRING = "firing"  # It has held long enough, or is kept firing.


@dataclass(slots=True)
class ActiveAlert:
    """One label set of an alerting rule; times are milliseconds."""

    labels: dict[str, str]
    annotations: dict[str, str]
    active_ms: int
    value: float
    state: State = State.PENDING
    fired_ms: int | None = None
    kept_since_ms: int | None = None
    resolved_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What one evaluation of a rule knows: the time, and what is around it."""

    ask: Ask
    at_ms: int
    offset_ms: int
    limit: int
    external_labels: Mapping[str, str]
    external_url: str

    def rows(self, query: str) -> list[Sample]:
        """Ask the rule's query."""
        return self.ask(query, self.at_ms - self.offset_ms)

    def around(self) -> Surroundings:
        """Return what templates know."""
        return Surroundings(
            at_seconds=self.at_ms / 1000,
            query=lambda query: self.ask(query, self.at_ms),
            external_url=self.external_url,
            external_labels=self.external_labels,
        )


Written = tuple[dict[str, str], Any]


def _key(labels: Mapping[str, str]) -> Key:
    return frozenset(labels.items())


def _named(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels without those that are empty."""
    return {name: value for name, value in labels.items() if value}


class Recording:
    """A recording rule."""

    def __init__(self, rule: FileRule, labels: Mapping[str, str]) -> None:
        """Keep the rule and the labels it sets."""
        self.name, self._rule, self._labels = rule.record, rule, labels

    def evaluate(self, asked: Asked) -> list[Written]:
        """Return the series to write; raises QueryError."""
        found: dict[Key, Written] = {}
        rows = asked.rows(self._rule.expr)
        for row in rows:
            labels = _named({**row.labels, NAME: self.name, **self._labels})
            if _key(labels) in found:
                raise QueryError("vector contains metrics with the same labelset after applying rule labels")
            found[_key(labels)] = (labels, row.value)
        if 0 < asked.limit < len(rows):
            raise QueryError(f"exceeded limit of {asked.limit} with {len(rows)} series")
        return list(found.values())


class Alerting:
    """An alerting rule and the alerts it has."""

    def __init__(self, rule: FileRule, labels: Mapping[str, str]) -> None:
        """Keep the rule and the labels it sets."""
        self.name, self._rule, self._labels = rule.alert, rule, labels
        self.active: dict[Key, ActiveAlert] = {}

    @property
    def firing(self) -> list[ActiveAlert]:
        """Return the alerts that fire."""
        return [alert for alert in self.active.values() if alert.state is State.FIRING]

    def evaluate(self, asked: Asked) -> list[Written]:
        """Carry the alerts on; return the series that tell of them. Raises QueryError."""
        found = self._found(asked)
        for key, alert in found.items():
            known = self.active.get(key)
            if known is not None and known.state is not State.INACTIVE:
                known.value, known.annotations = alert.value, alert.annotations
            else:
                self.active[key] = alert
        going = [alert for key, alert in list(self.active.items()) if self._goes_on(key, alert, key in found, asked)]
        if 0 < asked.limit < len(going):
            self.active = {}
            raise QueryError(f"exceeded limit of {asked.limit} with {len(going)} alerts")
        return [written for alert in going for written in self._told(alert)]

    def _found(self, asked: Asked) -> dict[Key, ActiveAlert]:
        found: dict[Key, ActiveAlert] = {}
        around = asked.around()
        for row in asked.rows(self._rule.expr):
            texts = AlertTexts(self.name, row.labels, row.value, around)
            own = {name: texts.expanded(text) for name, text in self._labels.items()}
            bare = {name: value for name, value in row.labels.items() if name != NAME}
            labels = _named({**bare, **own, ALERT_NAME: self.name})
            if _key(labels) in found:
                raise QueryError("vector contains metrics with the same labelset after applying alert labels")
            annotations = {name: texts.expanded(text) for name, text in self._rule.annotations.items()}
            value = 0.0 if isinstance(row.value, Histogram) else row.value
            found[_key(labels)] = ActiveAlert(labels, annotations, asked.at_ms, value)
        return found

    def _goes_on(self, key: Key, alert: ActiveAlert, holds: bool, asked: Asked) -> bool:
        """Move one alert along; return whether it is pending or firing."""
        if holds:
            alert.kept_since_ms = None
        elif not self._kept(key, alert, asked.at_ms):
            return False
        held_ms = asked.at_ms - alert.active_ms
        if alert.state is State.PENDING and held_ms >= self._rule.for_ms:
            alert.state, alert.fired_ms = State.FIRING, asked.at_ms
        if alert.state is State.FIRING and held_ms < self._rule.for_ms:
            alert.state, alert.fired_ms, alert.kept_since_ms = State.PENDING, None, None
        return True

    def _kept(self, key: Key, alert: ActiveAlert, at_ms: int) -> bool:
        """Say whether an alert whose expression no longer holds is kept firing; end it where it is not."""
        keeps = False
        if alert.state is State.FIRING and self._rule.keep_firing_for_ms:
            alert.kept_since_ms = at_ms if alert.kept_since_ms is None else alert.kept_since_ms
            keeps = at_ms - alert.kept_since_ms < self._rule.keep_firing_for_ms
        forgotten = alert.resolved_ms is not None and at_ms - alert.resolved_ms > RESOLVED_KEPT_MS
        if alert.state is State.PENDING or forgotten:
            del self.active[key]
        if alert.state is not State.INACTIVE and not keeps:
            alert.state, alert.resolved_ms = State.INACTIVE, at_ms
        return keeps

    def _told(self, alert: ActiveAlert) -> list[Written]:
        labels = _named({**self._labels, **alert.labels, ALERT_NAME: self.name})
        return [
            ({**labels, NAME: ALERTS, ALERT_STATE: alert.state.value}, 1.0),
            ({**labels, NAME: FOR_STATE}, float(alert.active_ms // 1000)),
        ]


@dataclass(slots=True)
class RunningGroup:
    """A group that is evaluated: its rules with their states, and the series each had the last time."""

    group: FileGroup
    rules: list[Recording | Alerting]
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    before: list[dict[Key, dict[str, str]]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, group: FileGroup, *, external_labels: Mapping[str, str], external_url: str) -> "RunningGroup":
        """Start a group."""
        rules = [(Alerting if rule.alert else Recording)(rule, group.labels_of(rule)) for rule in group.rules]
        return cls(group, rules, external_labels, external_url, [{} for _ in rules])

    @property
    def alerting(self) -> Sequence[Alerting]:
        """Return the alerting rules."""
        return [rule for rule in self.rules if isinstance(rule, Alerting)]

    def evaluate(self, ask: Ask, shelf: Shelf, at_ms: int) -> list[tuple[str, str]]:
        """Evaluate the rules in order; return rule names with what went wrong."""
        offset_ms = self.group.query_offset_ms or 0
        asked = Asked(ask, at_ms, offset_ms, self.group.limit, self.external_labels, self.external_url)
        found = partial(self._evaluate_rule, asked, shelf)
        problems = [(rule.name, found(place, rule)) for place, rule in enumerate(self.rules)]
        return [(name, text) for name, text in problems if text]

    def _evaluate_rule(self, asked: Asked, shelf: Shelf, place: int, rule: Recording | Alerting) -> str:
        try:
            written = rule.evaluate(asked)
        except QueryError as problem:
            return str(problem)
        wrong, now = "", {}
        at_ms = asked.at_ms - asked.offset_ms
        for labels, value in written:
            point = Point(None, value) if isinstance(value, Histogram) else Point(value)
            refused = shelf.append(labels, at_ms, point)
            if not refused:
                now[_key(labels)] = labels
            wrong = refused or wrong
        for key, labels in self.before[place].items():
            if key not in now:
                # Where another rule writes the series, its sample stays.
                shelf.append(labels, at_ms, Point(STALE_NAN))
        self.before[place] = now
        return wrong
