"""What a rule answers at one time: for which label sets its condition holds, whichever tables it asks."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol

import structlog

from alerts.engine.fingerprint import fingerprint
from alerts.engine.severity import rank, severity_from
from alerts.engine.states import Severity
from alerts.engine.threshold import Compiled
from alerts.models import Rule
from alerts.rules import asking
from alerts.rules.kinds import ASKED_KINDS, AskedKind, Case
from alerts.rules.queries import compiled
from alerts.rules.texts import labels_of, surroundings
from metrics.promql.questions import selector_texts

NO_DATA = "its data stopped coming"
# Label sets one rule of an asked kind may hold for at once; of more, the worst are taken.
MOST_CASES = 1000
LONGEST_TEXT = 4000
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One label set for which the condition of a rule holds."""

    fingerprint: str
    labels: Mapping[str, str]
    value: float | None
    severity: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)  # What the row itself says, for the evidence.
    found: Mapping[str, str] = field(default_factory=dict)  # The labels the query answered with.


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the data a rule is about still comes; `prints` is None where only all of it together can be told."""

    any_data: bool
    prints: frozenset[str] | None
    cause: str

    def tells(self, print_of: str) -> bool:
        """Say whether a label set that is gone has data, so that its condition is over."""
        return print_of in self.prints if self.prints is not None else self.any_data


class Answer(Protocol):
    """A rule's answer at one time."""

    held: list[Held]
    threshold: float | None
    shows_at_once: bool  # Whether evidence costs nothing, so that it can go with every observation.

    def evidence(self, held: Held) -> dict[str, object]:
        """Return what the rule saw of a label set."""

    def presence(self) -> Presence:
        """Say of which label sets that are gone the condition is over."""


def answer(
    rule: Rule, at: datetime, *, ask: asking.Ask = asking.instant, known: Callable[[], Collection[str]] | None = None
) -> Answer:
    """Ask a rule; raises what its query or the owner of its kind raises.

    `ask` answers its queries; `known` says which label sets the rule holds for already, as its rows do.
    """
    if rule.kind not in ASKED_KINDS.slots:
        return Measured(rule, at, ask)
    kind = ASKED_KINDS.get(rule.kind)
    if kind is None:
        raise LookupError(f"the app that answers rules of the kind {rule.kind} is not installed")
    return Told(rule, at, kind, known or (lambda: set(rule.states.values_list("fingerprint", flat=True))))


class Measured:
    """The answer of a rule over stored samples."""

    shows_at_once = False

    def __init__(self, rule: Rule, at: datetime, ask: asking.Ask = asking.instant) -> None:
        """Ask for the label sets."""
        self._rule, self._at, self._query, self._ask = rule, at, compiled(rule), ask
        self._at_ms = round((at.timestamp() - rule.group.query_offset_seconds) * 1000)
        self._around = surroundings(at, ask)
        self._window_seconds = max(rule.window_seconds, rule.for_seconds * 2, 600)
        self._columns: dict[frozenset[tuple[str, str]], dict[str, list[float]]] | None = None
        self.threshold = self._query.threshold if self._query.operator else None
        self.held = [self._held(row) for row in ask(self._query.query, self._at_ms)]
        self._refuse_bad_sets()

    def _refuse_bad_sets(self) -> None:
        """Fail the rule where it makes one alert of several rows, or more alerts than its group may have."""
        if len({held.fingerprint for held in self.held}) < len(self.held):
            raise ValueError("several results have the same labels once the rule's own are on them")
        limit = self._rule.group.limit
        if 0 < limit < len(self.held):
            raise ValueError(f"exceeded limit of {limit} with {len(self.held)} alerts")

    def _held(self, row: asking.Row) -> Held:
        # Severity is a label here: two rules of one name and different severity are different alerts.
        own = labels_of(self._rule, row.labels, row.value, self._around)
        labels = {name: text for name, text in {**row.labels, **own}.items() if text and name != "alertname"}
        labels["severity"] = self._rule.severity
        return Held(
            fingerprint=fingerprint(self._rule.alertname, labels), labels=labels, value=row.value,
            severity=self._rule.severity, told=row.labels, found=row.labels,
        )  # fmt: skip

    def evidence(self, held: Held) -> dict[str, object]:
        """Return the query, its threshold and the values of one label set; all are asked for at the first question."""
        query = self._query
        if self._columns is None:
            left = query.expression or query.query
            self._columns = asking.histories(left, end_ms=self._at_ms, window_seconds=self._window_seconds)
        columns = self._columns.get(frozenset(held.told.items()), asking.NO_HISTORY)
        return {
            "query": query.query, "expression": query.expression, "operator": query.operator,
            "threshold": self.threshold, "window_seconds": self._window_seconds,
            "evaluated_at": self._at.isoformat(), "series_labels": dict(held.told), **columns,
        }  # fmt: skip

    def presence(self) -> Presence:
        """Ask the left side alone, or whether any series the query reads has fresh samples."""
        query: Compiled = self._query
        if query.expression:
            rows = [self._held(row) for row in self._ask(query.expression, self._at_ms)]
            return Presence(bool(rows), frozenset(row.fingerprint for row in rows), "recovered")
        asked = selector_texts(query.query)
        fresh = not asked or any(self._ask(f"count({each})", self._at_ms) for each in asked)
        return Presence(fresh, None, "no longer true")


class Told:
    """The answer of a rule of a kind that an app above owns."""

    shows_at_once = True

    def __init__(self, rule: Rule, at: datetime, kind: AskedKind, known: Callable[[], Collection[str]]) -> None:
        """Ask the owner."""
        self._rule, self._at, self._over = rule, at, kind.over
        self.threshold = kind.threshold(rule.spec)
        self.held = _bounded([self._held(case) for case in kind.ask(rule.spec, rule.window_seconds, at)], rule, known())

    def _held(self, case: Case) -> Held:
        # The severity may worsen, so it is no part of what tells alerts apart.
        labels = {
            name: str(text) for name, text in {**case.labels, **self._rule.all_labels}.items() if name != "severity"
        }
        severity = severity_from(case.severity, Severity(self._rule.severity))
        return Held(
            fingerprint=fingerprint(self._rule.alertname, labels), labels=labels, value=case.value,
            severity=severity.value, told=case.evidence,
            annotations={name: str(text)[:LONGEST_TEXT] for name, text in case.annotations.items()},
        )  # fmt: skip

    def evidence(self, held: Held) -> dict[str, object]:
        """Return what the owner shows for the label set, and what was asked."""
        return {
            "facts": dict(held.told), "kind": self._rule.kind, "spec": self._rule.spec, "threshold": self.threshold,
            "window_seconds": self._rule.window_seconds, "evaluated_at": self._at.isoformat(),
        }  # fmt: skip

    def presence(self) -> Presence:
        """Say that a label set that is gone is over: stored events do not go missing."""
        return Presence(True, None, self._over)


def _bounded(rows: list[Held], rule: Rule, known: Collection[str]) -> list[Held]:
    """Return each label set once, with its worst case; of too many, those that run already and then the worst."""
    once: dict[str, Held] = {}
    for row in sorted(rows, key=lambda row: rank(row.severity), reverse=True):
        once[row.fingerprint] = row
    if len(once) <= MOST_CASES:
        return list(once.values())
    log.warning("rule.too_many", rule=rule.name, cases=len(once), taken=MOST_CASES)
    by_print = sorted(once.values(), key=attrgetter("fingerprint"))
    return sorted(by_print, key=lambda row: (row.fingerprint not in known, rank(row.severity)))[:MOST_CASES]
