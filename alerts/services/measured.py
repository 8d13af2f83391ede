"""The answer of a rule over stored samples."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from alerts.engine.fingerprint import fingerprint
from alerts.engine.levels import Condition, Level
from alerts.engine.threshold import Compiled
from alerts.models import Rule, RuleState
from alerts.rules import asking
from alerts.rules.queries import DYNAMIC_LABEL, compiled
from alerts.rules.texts import labels_of, surroundings
from alerts.services.dynamic import Thresholds, ThresholdsOf, stored_thresholds
from alerts.services.held import Held, Presence
from metrics.promql.questions import operands_of, selector_texts

STOPPED = "its data stopped coming, which its rule takes for an alert"
MOST_NAMED = 3
MOST_OPERANDS = 6
States = Callable[[], Iterable[RuleState]]


class Measured:
    """What a query says of each label set at one time.

    `ask` answers queries, `states` says how label sets stand, `thresholds` what the past of each series makes of it.
    """

    shows_at_once = False

    def __init__(
        self,
        rule: Rule,
        at: datetime,
        ask: asking.Ask = asking.instant,
        *,
        states: States | None = None,
        thresholds: ThresholdsOf = stored_thresholds,
    ) -> None:
        """Ask for the label sets."""
        self._rule, self._at, self._query, self._ask = rule, at, compiled(rule), ask
        self._at_ms = round((at.timestamp() - rule.group.query_offset_seconds) * 1000)
        self._around = surroundings(at, ask)
        self._window_seconds = max(rule.window_seconds, rule.for_seconds * 2, 600)
        self._columns: dict[frozenset[tuple[str, str]], dict[str, list[float]]] | None = None
        self._parts: list[tuple[str, list[asking.Row]]] | None = None
        self.threshold = self._query.threshold if self._query.operator and not self._query.by_series else None
        self.no_data = self._query.no_data
        self.graded = self._query.condition is not None and len(self._query.condition.levels) > 1
        self.complaint = ""
        self._judged: frozenset[str] | None = None
        rows = [self._held(row) for row in ask(self._query.asked, self._at_ms)]
        if self._query.condition or self._query.by_series:
            rows = self._holding(rows, states or rule.states.all, thresholds)
        self.held = rows + (self._stopped({row.fingerprint for row in rows}) if self._query.stopped else [])
        self._refuse_bad_sets()

    def _refuse_bad_sets(self) -> None:
        """Fail the rule where it makes one alert of several rows, or more alerts than its group may have."""
        if len({held.fingerprint for held in self.held}) < len(self.held):
            raise ValueError("several results have the same labels once the rule's own are on them")
        limit = self._rule.group.limit
        if 0 < limit < len(self.held):
            raise ValueError(f"exceeded limit of {limit} with {len(self.held)} alerts")

    def _held(self, row: asking.Row) -> Held:
        own = labels_of(self._rule, row.labels, row.value, self._around)
        labels = {name: text for name, text in {**row.labels, **own}.items() if text and name != "alertname"}
        # Severity is a label here: two rules of one name and different severity are different alerts. Only where it
        # follows the value it is none, for then the alert stays the same.
        labels.pop("severity", None)
        if not self.graded:
            labels["severity"] = self._rule.severity
        if self._query.by_series:
            labels[DYNAMIC_LABEL] = "true"
        return Held(
            fingerprint=fingerprint(self._rule.alertname, labels), labels=labels, value=row.value,
            severity=self._rule.severity, told=row.labels, found=row.labels,
        )  # fmt: skip

    def _holding(self, rows: list[Held], states: States, thresholds: ThresholdsOf) -> list[Held]:
        """Return the rows whose values are bad, each at its level."""
        conditions = self._conditions(rows, thresholds)
        self._judged = frozenset(conditions)
        standing = self._standing(states) if any(each.remembers for each in conditions.values()) else {}
        found = []
        for row in rows:
            condition = conditions.get(row.fingerprint)
            level = condition.level_of(row.value or 0.0, standing.get(row.fingerprint, "")) if condition else None
            if level is not None:
                found.append(_at_level(row, level))
        return found

    def _conditions(self, rows: list[Held], thresholds: ThresholdsOf) -> dict[str, Condition]:
        """Return the condition of each row; one that has none yet is left out, and the complaint says so."""
        query = self._query
        if not query.by_series:
            return {row.fingerprint: query.condition for row in rows} if query.condition else {}
        known, severity = thresholds(self._rule, query, self._at), self._rule.severity
        found: dict[str, Condition] = {}
        without = []
        for row in rows:
            limit = known.of(row.told, self._at_ms / 1000)
            condition = Condition(query.operator, (Level(severity, limit),)) if limit is not None else query.condition
            if condition is None:
                without.append(row)
            else:
                found[row.fingerprint] = condition
        self.complaint = _without_threshold(without, known, len(rows))
        return found

    def _standing(self, states: States) -> dict[str, str]:
        """Return the severity at which label sets fire; one that has recovered and is kept firing does not count."""
        return {
            state.fingerprint: state.severity or self._rule.severity
            for state in states()
            if state.fired_at is not None and state.kept_since_at is None
        }

    def _stopped(self, holding: set[str]) -> list[Held]:
        """Return the label sets that were seen within the last hour and have stopped."""
        rows = [self._held(row) for row in self._ask(self._query.stopped, self._at_ms)]
        return [
            Held(
                fingerprint=row.fingerprint, labels=row.labels, value=row.value, severity=row.severity,
                told=row.told, found=row.found, reason=STOPPED,
            )
            for row in rows if row.fingerprint not in holding
        ]  # fmt: skip

    def evidence(self, held: Held) -> dict[str, object]:
        """Return the query, its threshold and the values of one label set; all are asked for at the first question."""
        query = self._query
        if self._columns is None:
            left = query.expression or query.query
            self._columns = self._histories(left)
        columns = self._columns.get(frozenset(held.told.items()), asking.NO_HISTORY)
        return {
            "query": query.query, "expression": query.expression, "operator": query.operator,
            "threshold": self.threshold if held.threshold is None else held.threshold,
            "window_seconds": self._window_seconds, "evaluated_at": self._at.isoformat(),
            "series_labels": dict(held.told), "operands": self._operands(held), **_levels_shown(query), **columns,
        }  # fmt: skip

    def _operands(self, held: Held) -> list[dict[str, object]]:
        """Return what the query reckons with, each with its value for the label set; all are asked for once."""
        if self._parts is None:
            texts = operands_of(self._query.expression or self._query.query)[:MOST_OPERANDS]
            self._parts = [(text, self._ask(text, self._at_ms)) for text in texts]
        found = [(text, _about(rows, held.told)) for text, rows in self._parts]
        return [{"text": text, "value": row.value, "labels": dict(row.labels)} for text, row in found if row]

    def _histories(self, left: str) -> dict[frozenset[tuple[str, str]], dict[str, list[float]]]:
        try:
            return asking.histories(left, end_ms=self._at_ms, window_seconds=self._window_seconds)
        except ValueError:
            # It could be answered now and not at every time before: that must not keep an alert from being told.
            return {}

    def presence(self) -> Presence:
        """Ask the left side alone, or whether any series the query reads has fresh samples."""
        query = self._query
        if self._judged is not None:
            return Presence(bool(self._judged), self._judged, query.recovered)
        if query.expression:
            rows = [self._held(row) for row in self._ask(query.expression, self._at_ms)]
            return Presence(bool(rows), frozenset(row.fingerprint for row in rows), query.recovered)
        asked = selector_texts(query.query)
        fresh = not asked or any(self._ask(f"count({each})", self._at_ms) for each in asked)
        return Presence(fresh, None, "no longer true")


def _about(rows: Iterable[asking.Row], labels: Mapping[str, str]) -> asking.Row | None:
    """Return the row that agrees with a label set in every label both have, of several the one that shares most."""
    fits = [row for row in rows if all(labels.get(name, text) == text for name, text in row.labels.items())]
    return max(fits, key=lambda row: len(row.labels.keys() & labels.keys()), default=None)


def _at_level(row: Held, level: Level) -> Held:
    return Held(
        fingerprint=row.fingerprint, labels=row.labels, value=row.value, severity=level.severity, told=row.told,
        found=row.found, threshold=level.threshold,
    )  # fmt: skip


def _levels_shown(query: Compiled) -> dict[str, object]:
    """Return the levels for the evidence, where there is more to say than one threshold."""
    if query.condition is None or query.by_series:
        return {}
    levels = [
        {"severity": level.severity, "threshold": level.threshold, "recovery_threshold": level.recovery}
        for level in query.condition.levels
    ]
    return {"levels": levels}


def _without_threshold(rows: list[Held], known: Thresholds, of: int) -> str:
    if not rows:
        return ""
    named = [f"{_named(row.told)}: {known.why(row.told)}" for row in rows[:MOST_NAMED]]
    more = f"; and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return f"no threshold yet for {len(rows)} of {of} series, which are not judged: {'; '.join(named)}{more}"


def _named(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in sorted(labels.items())) or "the one series"
